//! What one batch in flight has for itself: where its parameters and inputs come from and its outputs go to.
//!
//! All of it is copied inside the batch's own commands. Were parameters written to the shared buffers by the queue, a
//! recording that the application submits in between would carry the write out and then put its own in their place.
//!
//! The last copy of a batch is its proof: its ticket, a number that is never used again, and how many of its compute passes
//! were carried out, both written by the device at the end of each pass (`shaders/proof.wgsl`). A watchdog that ends a batch
//! may leave the batch before in the readback and report success (Metal counts failed command buffers as completed, and each
//! compute pass is one; DX12 takes a removed device's fence for done); its proof is another.

use std::time::Duration;

use wgpu::BufferUsages as Usage;

use super::device::Gpu;
use super::kernels::proof;
use super::kernels::sample::Run;
use super::plan::Plan;
use super::steps::{Place, RUN_BYTES, Step, clocked, passes};

/// Of the ticket in [`Run`].
const TICKET_AT: u64 = std::mem::offset_of!(Run, ticket) as u64;
const TICKET_BYTES: u64 = 8;
/// Two timestamps.
const CLOCK_BYTES: u64 = 16;
/// Of the timestamps behind the outputs; the proof is before them.
const CLOCK_AT: u64 = proof::BYTES.next_multiple_of(8);
/// Behind the outputs.
const TAIL: u64 = CLOCK_AT + CLOCK_BYTES;
const INPUT_AT: u64 = RUN_BYTES;
/// Bytes of a slot's buffers besides inputs and outputs.
pub(super) const OVERHEAD: u64 = if INPUT_AT > TAIL { INPUT_AT } else { TAIL };

#[derive(Debug)]
pub(super) struct Slot {
    /// [`Run`], the input.
    upload: wgpu::Buffer,
    /// The outputs, the proof, the timestamps.
    readback: wgpu::Buffer,
    clock: Option<Clock>,
}

/// What the device writes its clock into.
#[derive(Debug)]
struct Clock {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
}

/// What a batch has to show for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Proof {
    pub(super) ticket: u64,
    /// Compute passes. Of a batch without any, only the ticket is looked at.
    pub(super) passes: u32,
}

impl Slot {
    /// Room for so many bytes of input and output; `clocked`: and for the device's clock, where it has one.
    pub(super) fn new(gpu: &Gpu, input: u64, output: u64, clocked: bool) -> Self {
        let clock = clocked.then(|| Clock {
            queries: gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("fsvae.clock"),
                ty: wgpu::QueryType::Timestamp,
                count: 2,
            }),
            resolved: gpu.buffer("fsvae.clock", CLOCK_BYTES, Usage::QUERY_RESOLVE | Usage::COPY_SRC),
        });
        Slot {
            upload: gpu.buffer("fsvae.upload", INPUT_AT + input, Usage::COPY_SRC | Usage::COPY_DST),
            readback: gpu.buffer("fsvae.readback", output + TAIL, Usage::MAP_READ | Usage::COPY_DST),
            clock,
        }
    }

    pub(super) fn fits(&self, input: u64, output: u64) -> bool {
        self.upload.size() >= INPUT_AT + input && self.readback.size() >= output + TAIL
    }

    /// True where it has more room than batches of these sizes need.
    pub(super) fn exceeds(&self, input: u64, output: u64) -> bool {
        self.upload.size() > INPUT_AT + input || self.readback.size() > output + TAIL
    }

    /// What the batch's commands copy from here, once they are submitted.
    pub(super) fn write(&self, gpu: &Gpu, run: Run, input: &[u8]) {
        gpu.queue.write_buffer(&self.upload, 0, bytemuck::bytes_of(&run));
        if !input.is_empty() {
            gpu.queue.write_buffer(&self.upload, INPUT_AT, input);
        }
    }

    /// Where the batch's [`Run`] is.
    pub(super) fn run(&self) -> Place<'_> {
        Place { buffer: &self.upload, offset: 0 }
    }

    pub(super) fn input(&self) -> Place<'_> {
        Place { buffer: &self.upload, offset: INPUT_AT }
    }

    pub(super) fn output(&self, offset: u64) -> Place<'_> {
        Place { buffer: &self.readback, offset }
    }

    /// Ends a batch's commands, which leave `output` bytes; how many compute passes they have.
    pub(super) fn end<'a>(&'a self, plan: &'a Plan, list: &mut Vec<Step<'a>>, output: u64) -> u32 {
        let passes = passes(list);
        let (from, bytes) = if passes > 0 {
            (Place { buffer: &plan.proved, offset: 0 }, proof::BYTES)
        } else {
            (Place { buffer: &self.upload, offset: TICKET_AT }, TICKET_BYTES)
        };
        list.push(Step::Copy { from, to: self.output(output), bytes });
        if let Some(Clock { queries, resolved }) = &self.clock
            && passes > 0
        {
            clocked(list, queries);
            list.push(Step::Resolve { queries, to: resolved });
            let from = Place { buffer: resolved, offset: 0 };
            list.push(Step::Copy { from, to: self.output(output + CLOCK_AT), bytes: CLOCK_BYTES });
        }
        passes
    }

    /// Asks for `output` bytes on the host; `done` hears when they are there.
    pub(super) fn map(&self, gpu: &Gpu, output: u64, done: impl FnOnce(bool) + Send + 'static) {
        self.readback.map_async(wgpu::MapMode::Read, ..output + TAIL, gpu.on_map(done));
    }

    /// The `output` bytes that were mapped, unless they are not those of the batch with this proof; and how long the device
    /// says that its passes took.
    pub(super) fn read(&self, gpu: &Gpu, output: u64, proof: Proof) -> Option<(Vec<u8>, Option<Duration>)> {
        let view = self.readback.get_mapped_range(..output + TAIL).ok()?;
        let (bytes, tail) = view.split_at(output as usize);
        let word = |at: usize| tail[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let long = |at: usize| tail[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        if long(0) != proof.ticket || proof.passes > 0 && word(TICKET_BYTES as usize) != proof.passes {
            return None;
        }
        let (begin, end) = (long(CLOCK_AT as usize), long(CLOCK_AT as usize + 8));
        let has_clock = self.clock.is_some() && proof.passes > 0;
        let period = f64::from(gpu.queue.get_timestamp_period());
        let time = has_clock.then(|| super::timing::elapsed(begin, end, period)).flatten();
        Some((bytes.to_vec(), time))
    }

    /// Ready for another batch, after [`Slot::read`].
    pub(super) fn unmap(&self) {
        self.readback.unmap();
    }
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use super::*;
    use crate::backend::Backend;
    use crate::gpu::backend::GpuBackend;
    use crate::gpu::steps::{From, To, record, singly, steps};
    use crate::gpu::testing::gpus;
    use crate::gpu::variant::Variant;
    use crate::{Checkpoint, Network};

    /// What a watchdog ends counts as done: all of a batch, or one of its compute passes, while the copies around it are
    /// carried out.
    #[test]
    fn an_old_batch_is_not_taken_for_a_new_one() {
        let network =
            Network::new(&Checkpoint::bundled("mnist").expect("bundled").expect("valid")).expect("valid");
        for gpu in gpus() {
            let backend = GpuBackend::new(gpu, &network, Variant::default().into(), 1, None);
            let backend = pollster::block_on(backend).expect("a model");
            let (model, plan) = (&backend.shared.model, &backend.shared.plan);
            let bytes = backend.network().architecture.image_bytes() as u64;
            let slot = Slot::new(gpu, 0, bytes, false);
            // Carries out a batch without the steps of these numbers, layer by layer or not.
            let batch = |ticket: u64, in_parts: bool, ended: &[usize]| {
                slot.write(gpu, Run::new(7, ticket).of_ticket(ticket), &[]);
                let outputs = [To::Pixels(plan.readouts.len() - 1, slot.output(0))];
                let list = steps(model, plan, (slot.run(), Some(&plan.proof)), From::Prior, &outputs, 1);
                let mut list = if in_parts { singly(&list) } else { list };
                let passes = slot.end(plan, &mut list, bytes);
                assert!(passes > 2);
                let all = list.len();
                let kept: Vec<Step<'_>> =
                    (0..all).filter(|at| !ended.contains(at)).map(|at| list[at]).collect();
                let mut encoder =
                    gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
                record(&mut encoder, &kept, 1);
                gpu.queue.submit([encoder.finish()]);
                let (sender, mapped) = gpu.pump.signal();
                slot.map(gpu, bytes, move |success| sender.say(success));
                assert!(gpu.pump.wait(&mapped, None));
                let read = slot.read(gpu, bytes, Proof { ticket, passes });
                slot.unmap();
                (read.map(|(bytes, _)| bytes), all)
            };
            let mut ticket = 0;
            for in_parts in [false, true] {
                ticket += 1;
                let (Some(first), steps) = batch(ticket, in_parts, &[]) else { panic!("{}", gpu.name()) };
                let nothing: Vec<usize> = (0..steps).collect();
                let (_, is_pass) = (first, 1..steps - 2);
                for ended in std::iter::once(nothing).chain(is_pass.map(|at| vec![at])) {
                    ticket += 1;
                    let (read, _) = batch(ticket, in_parts, &ended);
                    assert_eq!(read, None, "{}: without {ended:?}", gpu.name());
                    ticket += 1;
                    assert!(batch(ticket, in_parts, &[]).0.is_some(), "{}", gpu.name());
                }
            }
        }
    }
}
