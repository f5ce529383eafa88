//! `shaders/tiles.wgsl`: pixels to the tiles of a texture.

use super::{Binding, Kernel, Pass};
use crate::gpu::device::Gpu;

pub(crate) const KERNEL: Kernel = Kernel {
    name: "tiles",
    parts: &[include_str!("../../../shaders/pixel.wgsl"), include_str!("../../../shaders/tiles.wgsl")],
    bindings: &[Binding::Read, Binding::Read, Binding::Texture],
    workgroup_size: 64,
};

/// u8 pixels `[images, side, side, channels]` to tiles of `target`, from the place of the run on.
pub(crate) fn pass(
    gpu: &Gpu,
    pipeline: &wgpu::ComputePipeline,
    run: &wgpu::Buffer,
    pixels: &wgpu::Buffer,
    target: &wgpu::TextureView,
    side: usize,
) -> Pass {
    let resources =
        [run.as_entire_binding(), pixels.as_entire_binding(), wgpu::BindingResource::TextureView(target)];
    KERNEL.bind(gpu, pipeline, &resources, [((side * side) as u32).div_ceil(KERNEL.workgroup_size), 1])
}
