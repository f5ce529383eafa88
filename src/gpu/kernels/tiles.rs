//! `shaders/tiles.wgsl`: pixels to the tiles of a texture.

use super::{Binding, Kernel, Pass, RUN, constant_buffer, folded, shader};
use crate::gpu::device::Gpu;

pub(crate) const KERNEL: Kernel = Kernel {
    name: "tiles",
    parts: &[RUN, shader!("../../../shaders/pixel.wgsl"), shader!("../../../shaders/tiles.wgsl")],
    bindings: &[Binding::Read, Binding::Read, Binding::Read, Binding::Texture],
    workgroup_size: 64,
};

/// Where the tiles of a texture are.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Grid {
    /// Of a row.
    columns: u32,
    /// The tile of the first image.
    first: u32,
    /// After so many tiles it goes on with tile 0.
    wrap: u32,
}

impl Grid {
    /// With a `wrap` of 0 it never goes on with tile 0.
    pub(crate) fn new(columns: u32, first: u32, wrap: u32) -> Self {
        Grid { columns, first, wrap: if wrap == 0 { u32::MAX } else { wrap } }
    }
}

/// u8 pixels `[images, side, side, channels]` to tiles of `target`, from the place of the run on.
pub(crate) fn pass(
    gpu: &Gpu,
    pipeline: &wgpu::ComputePipeline,
    run: &wgpu::Buffer,
    pixels: &wgpu::Buffer,
    target: &wgpu::TextureView,
    grid: Grid,
    side: usize,
) -> Pass {
    let grid = constant_buffer(gpu, "fsvae.grid", &[grid], wgpu::BufferUsages::STORAGE);
    let resources = [
        run.as_entire_binding(),
        pixels.as_entire_binding(),
        grid.as_entire_binding(),
        wgpu::BindingResource::TextureView(target),
    ];
    KERNEL.bind(gpu, pipeline, &resources, folded(gpu, &KERNEL, (side * side) as u32, 1))
}
