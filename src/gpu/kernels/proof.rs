//! `shaders/proof.wgsl`: that the passes of a batch were carried out.

use super::{Binding, Kernel, Pass, RUN, shader};
use crate::gpu::device::Gpu;

pub(crate) const KERNEL: Kernel = Kernel {
    name: "proof",
    parts: &[RUN, shader!("../../../shaders/proof.wgsl")],
    bindings: &[Binding::Read, Binding::Write],
    workgroup_size: 1,
};

/// Bytes of what it writes: the ticket, and how many passes.
pub(crate) const BYTES: u64 = 12;

/// The last dispatch of a compute pass, whatever the number of its images.
pub(crate) fn pass(
    gpu: &Gpu,
    pipeline: &wgpu::ComputePipeline,
    run: &wgpu::Buffer,
    proved: &wgpu::Buffer,
) -> Pass {
    KERNEL.pass(gpu, pipeline, &[run, proved], [1, 1])
}
