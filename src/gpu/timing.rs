//! How long each kernel takes, by the device's own clock.

use std::future::poll_fn;
use std::sync::PoisonError;
use std::time::Duration;

use super::backend::{GpuBackend, Shared};
use super::device::Gpu;
use super::kernels::sample::Run;
use super::kernels::{Pass, constant_buffer};
use super::signal::Signal;
use super::steps::RUN_BYTES;
use crate::error::Result;

/// One dispatch of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelTime {
    /// The kernel, as its file in `shaders/` is called.
    pub kernel: &'static str,
    /// The time between its start and its end on the GPU.
    pub time: Duration,
}

impl GpuBackend {
    /// Generates a batch of so many images, or as many as there is memory for, with each dispatch between two timestamps.
    /// `None` where the device has none.
    pub(crate) async fn timings(
        &self,
        seed: u64,
        first: u64,
        images: usize,
    ) -> Result<Option<Vec<KernelTime>>> {
        let Shared { model, plan, .. } = &*self.shared;
        let images = images.min(plan.capacity);
        let passes: Vec<&Pass> =
            std::iter::once(plan.prior(images)).chain(plan.decoder(images)).chain(plan.readout()).collect();
        let run = Some((Run::new(seed, first), &plan.run));
        let submitted = {
            // Not between the parts of a batch: they share the plan's memory.
            let _alone = self.shared.submitting.lock().unwrap_or_else(PoisonError::into_inner);
            model.gpu.watch(|| Timed::submit(&model.gpu, run, &passes, images as u32))
        };
        let (timed, verdict) = submitted;
        verdict.await?;
        let Some(timed) = timed else { return Ok(None) };
        let times = timed.awaited(&model.gpu).await?;
        Ok(Some(
            passes.iter().zip(times).map(|(pass, time)| KernelTime { kernel: pass.kernel, time }).collect(),
        ))
    }
}

/// Dispatches that were submitted, each between two timestamps.
pub(super) struct Timed {
    readback: wgpu::Buffer,
    submission: wgpu::SubmissionIndex,
    mapped: Signal,
}

impl Timed {
    /// Submits dispatches for `images` images, after what they run with was copied to its place. `None`, and nothing is
    /// submitted, where the device has no timestamps. Not [`Gpu::checked`] yet.
    pub(super) fn submit(
        gpu: &Gpu,
        run: Option<(Run, &wgpu::Buffer)>,
        passes: &[&Pass],
        images: u32,
    ) -> Option<Self> {
        if !gpu.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return None;
        }
        let count = 2 * passes.len() as u32;
        let bytes = 8 * u64::from(count);
        let (sender, mapped) = gpu.pump.signal();
        let label = Some("fsvae.timestamps");
        let buffer = |usage| gpu.buffer("fsvae.timestamps", bytes, usage);
        let ty = wgpu::QueryType::Timestamp;
        let queries = gpu.device.create_query_set(&wgpu::QuerySetDescriptor { label, ty, count });
        let resolved = buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC);
        let readback = buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label });
        if let Some((run, place)) = run {
            let from = constant_buffer(gpu, "fsvae.starts", &[run], wgpu::BufferUsages::COPY_SRC);
            encoder.copy_buffer_to_buffer(&from, 0, place, 0, RUN_BYTES);
        }
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
        let submission = gpu.queue.submit([encoder.finish()]);
        readback.map_async(wgpu::MapMode::Read, .., gpu.on_map(|success| sender.say(success)));
        Some(Timed { readback, submission, mapped })
    }

    /// The time of each dispatch.
    pub(super) async fn awaited(self, gpu: &Gpu) -> Result<Vec<Duration>> {
        gpu.pump.wake_after(Some(&self.submission));
        let mapped = poll_fn(|context| self.mapped.poll(context)).await;
        self.times(gpu, mapped)
    }

    /// The same for a caller who waits.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn wait(self, gpu: &Gpu) -> Result<Vec<Duration>> {
        let mapped = gpu.pump.wait(&self.mapped, Some(&self.submission));
        self.times(gpu, mapped)
    }

    fn times(&self, gpu: &Gpu, mapped: bool) -> Result<Vec<Duration>> {
        let view =
            mapped.then(|| self.readback.get_mapped_range(..).ok()).flatten().ok_or_else(|| gpu.lost())?;
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&view[..]);
        let nanoseconds = f64::from(gpu.queue.get_timestamp_period());
        let time = |ticks: &[u64]| elapsed(ticks[0], ticks[1], nanoseconds);
        ticks.chunks_exact(2).map(|ticks| time(ticks).ok_or_else(|| gpu.objection(WRAPPED.into()))).collect()
    }
}

const WRAPPED: &str = "the device's clock went backwards between two timestamps";

/// Whether this is what went wrong, and all else is well.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn is_wrapped(error: &crate::error::Error) -> bool {
    matches!(error, crate::error::Error::Gpu { message, .. } if message == WRAPPED)
}

/// Between two readings of a clock whose ticks take so long. A reading that is before the other, where the clock has
/// wrapped, is no time of 0.
pub(super) fn elapsed(begin: u64, end: u64, nanoseconds: f64) -> Option<Duration> {
    let ticks = end.checked_sub(begin)?;
    Some(Duration::from_nanos((ticks as f64 * nanoseconds).round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_wraps_gives_no_time() {
        assert_eq!(elapsed(10, 14, 2.5), Some(Duration::from_nanos(10)));
        assert_eq!(elapsed(u64::MAX, 3, 1.0), None);
    }
}
