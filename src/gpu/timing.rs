//! How long each kernel takes, by the device's own clock.

use std::time::Duration;

use super::device::Gpu;
use super::engine::Engine;
use super::kernels::Pass;
use super::kernels::sample::Run;
use crate::error::Result;

/// One dispatch of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelTime {
    /// The kernel, as its file in `shaders/` is called.
    pub kernel: &'static str,
    /// The time between its start and its end on the GPU.
    pub time: Duration,
}

impl Engine {
    /// Generates a batch of `images` images, at most [`Engine::capacity`], with each dispatch between two timestamps.
    /// `None` where the device has none.
    pub(crate) fn timings(&self, seed: u64, first: u64, images: usize) -> Result<Option<Vec<KernelTime>>> {
        let (gpu, plan) = (&self.model.gpu, &self.plan);
        let passes: Vec<&Pass> =
            std::iter::once(&plan.prior).chain(&plan.decoder).chain(plan.readout()).collect();
        gpu.checked_now(|| {
            gpu.queue.write_buffer(&plan.run, 0, bytemuck::bytes_of(&Run::new(seed, first)));
        })?;
        let times = timed(gpu, &passes, images as u32)?;
        let named = |time: (&&Pass, Duration)| KernelTime { kernel: time.0.kernel, time: time.1 };
        Ok(times.map(|times| passes.iter().zip(times).map(named).collect()))
    }
}

/// Submits dispatches for `images` images, each between two timestamps, and waits. `None`, and nothing is submitted,
/// where the device has none.
pub(super) fn timed(gpu: &Gpu, passes: &[&Pass], images: u32) -> Result<Option<Vec<Duration>>> {
    if !gpu.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
        return Ok(None);
    }
    let count = 2 * passes.len() as u32;
    let bytes = 8 * u64::from(count);
    let (sender, mapped) = gpu.pump.signal();
    let readback = gpu.checked_now(|| {
        let label = Some("fsvae.timestamps");
        let buffer = |usage| {
            let descriptor = wgpu::BufferDescriptor { label, size: bytes, usage, mapped_at_creation: false };
            gpu.device.create_buffer(&descriptor)
        };
        let ty = wgpu::QueryType::Timestamp;
        let queries = gpu.device.create_query_set(&wgpu::QuerySetDescriptor { label, ty, count });
        let resolved = buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC);
        let readback = buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label });
        for (pass, at) in passes.iter().zip((0..).step_by(2)) {
            let mut compute = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: Some(pass.kernel),
                timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                    query_set: &queries,
                    beginning_of_pass_write_index: Some(at),
                    end_of_pass_write_index: Some(at + 1),
                }),
            });
            pass.record(&mut compute, images);
        }
        encoder.resolve_query_set(&queries, 0..count, &resolved, 0);
        encoder.copy_buffer_to_buffer(&resolved, 0, &readback, 0, bytes);
        gpu.queue.submit([encoder.finish()]);
        readback.map_async(wgpu::MapMode::Read, .., move |result| sender.say(result.is_ok()));
        readback
    })?;
    if !gpu.pump.wait(&mapped, None) {
        return Err(gpu.lost());
    }
    let view = readback.get_mapped_range(..).map_err(|_| gpu.lost())?;
    let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&view[..]);
    let nanoseconds = f64::from(gpu.queue.get_timestamp_period());
    let time = |ticks: &[u64]| {
        Duration::from_nanos((ticks[1].saturating_sub(ticks[0]) as f64 * nanoseconds).round() as u64)
    };
    Ok(Some(ticks.chunks_exact(2).map(time).collect()))
}
