//! Runs programs and reads their results.

use super::case::{GROUP, Kind};
use crate::error::Result;
use crate::gpu::Gpu;
use crate::gpu::kernels::{Binding, Kernel, Loops, constant_buffer};
use crate::gpu::readback::submit;

const WORDS: Kernel =
    Kernel { name: "words", parts: &[], bindings: &[Binding::Read, Binding::Write], workgroup_size: 64 };

const TEXELS: Kernel =
    Kernel { name: "texels", parts: &[], bindings: &[Binding::Read, Binding::Texture], workgroup_size: 64 };

const GROUPS: Kernel = Kernel {
    name: "groups",
    parts: &[],
    bindings: &[Binding::Read, Binding::Write, Binding::Write, Binding::Write],
    workgroup_size: GROUP as u32,
};

/// Texels of a row; a row's bytes are a multiple of 256, as copies to buffers must be.
pub(super) const ROW: usize = 256;

/// Storage words that a workgroup has for its atomics.
pub(super) const COUNTERS: usize = 32;

fn kernel(kind: Kind) -> &'static Kernel {
    match kind {
        Kind::Words => &WORDS,
        Kind::Texels => &TEXELS,
        Kind::Groups => &GROUPS,
    }
}

/// How many words a device can make at a time of each of `cases` cases, in `bytes` bytes.
pub(super) fn most(gpu: &Gpu, kind: Kind, cases: usize, bytes: u64) -> usize {
    let limits = gpu.device.limits();
    let bytes = bytes.min(limits.max_storage_buffer_binding_size).min(limits.max_buffer_size);
    // Inputs have three words, the memory of a workgroup four for each invocation.
    let fit = bytes / (4 * cases.max(4) as u64);
    let dispatched =
        u64::from(limits.max_compute_workgroups_per_dimension) * u64::from(kernel(kind).workgroup_size);
    let drawn = match kind {
        Kind::Texels => u64::from(limits.max_texture_dimension_2d) * ROW as u64,
        _ => u64::MAX,
    };
    fit.min(dispatched).min(drawn) as usize
}

/// A program on a device.
pub(super) struct Compiled {
    kind: Kind,
    pipeline: wgpu::ComputePipeline,
}

impl Compiled {
    pub(super) async fn new(gpu: &Gpu, kind: Kind, source: String) -> Result<Self> {
        let pipeline = gpu.checked(|| kernel(kind).compile(gpu, source, Loops::Audited)).await?;
        Ok(Compiled { kind, pipeline })
    }

    /// Results `[cases, count]`.
    pub(super) async fn run(
        &self,
        gpu: &Gpu,
        inputs: &[u32],
        cases: usize,
        count: usize,
    ) -> Result<Vec<u32>> {
        let words = if self.kind == Kind::Texels { count.next_multiple_of(ROW) } else { cases * count };
        let record = |encoder: &mut wgpu::CommandEncoder, readback: &wgpu::Buffer| {
            let inputs = constant_buffer(gpu, "fsvae.verify", inputs, wgpu::BufferUsages::STORAGE);
            if self.kind == Kind::Texels {
                self.record_texels(gpu, encoder, &inputs, count, readback);
            } else {
                self.record_words(gpu, encoder, &inputs, count, readback);
            }
        };
        let mut results = submit(gpu, 4 * words as u64, record).await?;
        results.truncate(cases * count);
        Ok(results)
    }

    fn record_words(
        &self,
        gpu: &Gpu,
        encoder: &mut wgpu::CommandEncoder,
        inputs: &wgpu::Buffer,
        count: usize,
        readback: &wgpu::Buffer,
    ) {
        let storage = wgpu::BufferUsages::STORAGE;
        let results = buffer(gpu, readback.size(), storage | wgpu::BufferUsages::COPY_SRC);
        let memory = buffer(gpu, 16 * count as u64, storage);
        let counters = buffer(gpu, 4 * (count.div_ceil(GROUP) * COUNTERS) as u64, storage);
        let resources = [inputs, &results, &memory, &counters].map(wgpu::Buffer::as_entire_binding);
        self.record(gpu, encoder, &resources[..kernel(self.kind).bindings.len()], count);
        encoder.copy_buffer_to_buffer(&results, 0, readback, 0, results.size());
    }

    fn record_texels(
        &self,
        gpu: &Gpu,
        encoder: &mut wgpu::CommandEncoder,
        inputs: &wgpu::Buffer,
        count: usize,
        readback: &wgpu::Buffer,
    ) {
        let texture = texture(gpu, count.div_ceil(ROW) as u32);
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        let resources = [inputs.as_entire_binding(), wgpu::BindingResource::TextureView(&view)];
        self.record(gpu, encoder, &resources, count);
        let layout = wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(4 * ROW as u32),
            rows_per_image: None,
        };
        let to = wgpu::TexelCopyBufferInfo { buffer: readback, layout };
        encoder.copy_texture_to_buffer(texture.as_image_copy(), to, texture.size());
    }

    fn record(
        &self,
        gpu: &Gpu,
        encoder: &mut wgpu::CommandEncoder,
        resources: &[wgpu::BindingResource<'_>],
        count: usize,
    ) {
        let kernel = kernel(self.kind);
        let workgroups = [count.div_ceil(kernel.workgroup_size as usize) as u32, 1];
        let pass = kernel.bind(gpu, &self.pipeline, resources, workgroups);
        pass.record(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()), 1);
    }
}

fn buffer(gpu: &Gpu, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("fsvae.verify"),
        size,
        usage,
        mapped_at_creation: false,
    })
}

fn texture(gpu: &Gpu, rows: u32) -> wgpu::Texture {
    gpu.device.create_texture(&wgpu::TextureDescriptor {
        label: Some("fsvae.verify"),
        size: wgpu::Extent3d { width: ROW as u32, height: rows, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    })
}
