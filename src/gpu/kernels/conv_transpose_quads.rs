//! `shaders/conv_transpose_quads.wgsl`: a spiking transposed convolution, step by step.

use super::{Binding, Kernel, LAYER, LayerBuffers, LayerSizes, Pass, folded, shader};
use crate::gpu::device::Gpu;

pub(crate) const KERNEL: Kernel = Kernel {
    name: "conv_transpose_quads",
    parts: &[LAYER, shader!("../../../shaders/conv_transpose_quads.wgsl")],
    bindings: &[Binding::Read, Binding::Read, Binding::Read, Binding::Write],
    workgroup_size: 64,
};

/// The constants in front of the shader.
pub(crate) fn constants(time_steps: usize, sizes: LayerSizes) -> [(&'static str, u32); 4] {
    let [inputs, outputs, side] = sizes.constants();
    [("TIME_STEPS", time_steps as u32), inputs, outputs, side]
}

/// Bytes of workgroup memory.
pub(crate) fn workgroup_bytes(time_steps: usize, sizes: LayerSizes) -> usize {
    let pixels = (KERNEL.workgroup_size - 1) / sizes.outputs + 2 + sizes.side + 1;
    4 * pixels as usize * time_steps * sizes.inputs.div_ceil(8) as usize
}

/// Spikes `[images, side, side, inputs]` in `input` to `[images, 2 side, 2 side, outputs]` in `output`.
pub(crate) fn pass(
    gpu: &Gpu,
    pipeline: &wgpu::ComputePipeline,
    layer: &LayerBuffers,
    _: u32,
    input: &wgpu::Buffer,
    output: &wgpu::Buffer,
) -> Pass {
    let sizes = layer.sizes;
    let workgroups = folded(gpu, &KERNEL, sizes.side * sizes.side * sizes.outputs, 1);
    KERNEL.pass(gpu, pipeline, &layer.bind(input, output), workgroups)
}
