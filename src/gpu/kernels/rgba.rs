//! `shaders/rgba.wgsl`: pixels to a buffer of RGBA8 words.

use super::{Binding, Kernel, Pass, RUN, folded, shader};
use crate::gpu::device::Gpu;

pub(crate) const KERNEL: Kernel = Kernel {
    name: "rgba",
    parts: &[RUN, shader!("../../../shaders/pixel.wgsl"), shader!("../../../shaders/rgba.wgsl")],
    bindings: &[Binding::Read, Binding::Read, Binding::Write],
    workgroup_size: 64,
};

/// u8 pixels `[images, side, side, channels]` to `target`, one word a pixel, from the place of the run on.
pub(crate) fn pass(
    gpu: &Gpu,
    pipeline: &wgpu::ComputePipeline,
    run: &wgpu::Buffer,
    pixels: &wgpu::Buffer,
    target: wgpu::BufferBinding<'_>,
    side: usize,
) -> Pass {
    let resources =
        [run.as_entire_binding(), pixels.as_entire_binding(), wgpu::BindingResource::Buffer(target)];
    KERNEL.bind(gpu, pipeline, &resources, folded(gpu, &KERNEL, (side * side) as u32, 1))
}
