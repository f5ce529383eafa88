//! `shaders/roofline_*.wgsl`: what a device can do a second.

use std::time::{Duration, Instant};

use super::device::Gpu;
use super::kernels::{Binding, Kernel, Pass, constant_buffer, shader};
use super::timing::Timed;
use crate::error::Result;
use crate::roofline::{CHAIN, COPY_BYTES, Peaks, UNROLL, rate};

const STATE: &str = shader!("../../shaders/roofline_state.wgsl");

pub(crate) const ADD: Kernel = Kernel {
    name: "roofline_add",
    parts: &[STATE, shader!("../../shaders/roofline_add.wgsl")],
    bindings: &[Binding::Read, Binding::Write],
    workgroup_size: 64,
};

pub(crate) const MULTIPLY_ADD: Kernel = Kernel {
    name: "roofline_multiply_add",
    parts: &[STATE, shader!("../../shaders/roofline_multiply_add.wgsl")],
    bindings: &[Binding::Read, Binding::Write],
    workgroup_size: 64,
};

pub(crate) const COPY: Kernel = Kernel {
    name: "roofline_copy",
    parts: &[shader!("../../shaders/roofline_copy.wgsl")],
    bindings: &[Binding::Read, Binding::Read, Binding::Write],
    workgroup_size: 64,
};

/// Workgroups of a dispatch: a quarter of a million invocations, enough for any GPU.
const WORKGROUPS: u32 = 4096;
/// Copies that are timed together at most: each needs two timestamps.
const MOST_COPIES: u32 = 64;

/// Measures a GPU: every rate is taken from work of about `target`, by the device's clock where it has one, else by the
/// host's. Waits.
///
/// # Errors
/// The device's errors.
pub fn measure(gpu: &Gpu, target: Duration) -> Result<Peaks> {
    let device_clock = gpu.device().features().contains(wgpu::Features::TIMESTAMP_QUERY);
    Ok(Peaks {
        additions: arithmetic(gpu, &ADD, target)?,
        multiply_adds: arithmetic(gpu, &MULTIPLY_ADD, target)?,
        bytes: copy(gpu, target)?,
        device_clock,
    })
}

fn workgroups(gpu: &Gpu) -> u32 {
    WORKGROUPS.min(gpu.device().limits().max_compute_workgroups_per_dimension)
}

fn arithmetic(gpu: &Gpu, kernel: &Kernel, target: Duration) -> Result<f64> {
    let invocations = workgroups(gpu) * kernel.workgroup_size;
    let Dispatch { work, pass, .. } = gpu.checked_now(|| arithmetic_pass(gpu, kernel, invocations))?;
    let operations = |rounds| f64::from(rounds) * f64::from(invocations) * (4 * CHAIN * UNROLL) as f64;
    rate(target, u32::MAX, operations, |rounds| {
        gpu.queue().write_buffer(&work, 0, bytemuck::cast_slice(&[rounds]));
        time(gpu, &[&pass])
    })
}

/// The buffer of the work, the dispatch and what it writes.
struct Dispatch {
    work: wgpu::Buffer,
    pass: Pass,
    #[cfg(test)]
    results: wgpu::Buffer,
}

fn arithmetic_pass(gpu: &Gpu, kernel: &Kernel, invocations: u32) -> Dispatch {
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
    let work = constant_buffer(gpu, "fsvae.roofline", &[1_u32, 7], usage);
    let results = buffer(gpu, 4 * u64::from(invocations));
    let pipeline = kernel.pipeline(gpu, &[]);
    let groups = invocations.div_ceil(kernel.workgroup_size);
    let pass = kernel.pass(gpu, &pipeline, &[&work, &results], [groups, 1]);
    Dispatch {
        work,
        pass,
        #[cfg(test)]
        results,
    }
}

fn copy(gpu: &Gpu, target: Duration) -> Result<f64> {
    let limits = gpu.device().limits();
    let bytes = COPY_BYTES.min(limits.max_storage_buffer_binding_size).min(limits.max_buffer_size) / 16 * 16;
    let pass = gpu.checked_now(|| copy_pass(gpu, bytes).pass)?;
    let moved = |copies| f64::from(copies) * 2.0 * bytes as f64;
    rate(target, MOST_COPIES, moved, |copies| time(gpu, &vec![&pass; copies as usize]))
}

fn copy_pass(gpu: &Gpu, bytes: u64) -> Dispatch {
    let vectors = (bytes / 16) as u32;
    let work = constant_buffer(gpu, "fsvae.roofline", &[vectors, 7], wgpu::BufferUsages::STORAGE);
    let (source, results) = (buffer(gpu, bytes), buffer(gpu, bytes));
    let pipeline = COPY.pipeline(gpu, &[]);
    let groups = workgroups(gpu).min(vectors.div_ceil(COPY.workgroup_size));
    let pass = COPY.pass(gpu, &pipeline, &[&work, &source, &results], [groups, 1]);
    Dispatch {
        work,
        pass,
        #[cfg(test)]
        results,
    }
}

fn buffer(gpu: &Gpu, size: u64) -> wgpu::Buffer {
    gpu.buffer("fsvae.roofline", size, wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC)
}

/// How long some dispatches take, one after the other.
fn time(gpu: &Gpu, passes: &[&Pass]) -> Result<Duration> {
    if let Some(timed) = gpu.checked_now(|| Timed::submit(gpu, None, passes, 1))? {
        return Ok(timed.wait(gpu)?.iter().sum());
    }
    let start = Instant::now();
    let (sender, done) = gpu.pump.signal();
    gpu.checked_now(|| {
        let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for pass in passes {
            pass.record(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()), 1);
        }
        gpu.queue().submit([encoder.finish()]);
        gpu.queue().on_submitted_work_done(move || sender.say(true));
    })?;
    if gpu.pump.wait(&done, None) { Ok(start.elapsed()) } else { Err(gpu.lost()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::testing::{gpus, run};
    use crate::roofline::rounds;

    /// What is timed is what was asked for: every invocation made all its rounds, and every byte was copied.
    #[test]
    fn the_kernels_do_their_work() {
        for gpu in gpus() {
            for (kernel, factor) in [(&ADD, 1), (&MULTIPLY_ADD, 7)] {
                let Dispatch { work, pass, results } = arithmetic_pass(gpu, kernel, 128);
                gpu.queue.write_buffer(&work, 0, bytemuck::cast_slice(&[13_u32]));
                let expected: Vec<u32> = (0..128).map(|id| rounds(13, factor, 7 + id)).collect();
                assert_eq!(run(gpu, &pass, 1, &results), expected, "{}: {}", gpu.name(), kernel.name);
            }
            let Dispatch { pass, results, .. } = copy_pass(gpu, 16 * 1000);
            assert_eq!(run(gpu, &pass, 1, &results), [7; 4 * 1000], "{}", gpu.name());
        }
    }

    #[test]
    fn every_adapter_has_limits() {
        for gpu in gpus() {
            let peaks = measure(gpu, Duration::from_millis(5)).expect("rates");
            eprintln!("{}: {peaks:?}", gpu.name());
            let rates = [peaks.additions, peaks.multiply_adds, peaks.bytes];
            assert!(rates.iter().all(|&rate| rate.is_finite() && rate > 1e5), "{}: {peaks:?}", gpu.name());
        }
    }
}
