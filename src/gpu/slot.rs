//! What one batch in flight has for itself: where its parameters and inputs come from and its outputs go to.
//!
//! All of it is copied inside the batch's own commands. Were parameters written to the shared buffers by the queue, a
//! recording that the application submits in between would carry the write out and then put its own in their place.
//!
//! The last copy of a batch is its ticket, a number that is never used again. A watchdog that ends a batch may leave the
//! batch before in the readback and report success (Metal counts failed command buffers as completed; DX12 takes a
//! removed device's fence for done); its ticket is an old one.

use wgpu::BufferUsages as Usage;

use super::device::Gpu;
use super::kernels::sample::Run;
use super::steps::{Place, RUN_BYTES, Step};

const TICKET_BYTES: u64 = 8;
const INPUT_AT: u64 = RUN_BYTES + TICKET_BYTES;
/// Bytes of a slot's buffers besides inputs and outputs.
pub(super) const OVERHEAD: u64 = INPUT_AT;

#[derive(Debug)]
pub(super) struct Slot {
    /// [`Run`], the ticket, the input.
    upload: wgpu::Buffer,
    /// The outputs, then the ticket.
    readback: wgpu::Buffer,
}

impl Slot {
    /// Room for so many bytes of input and output.
    pub(super) fn new(gpu: &Gpu, input: u64, output: u64) -> Self {
        Slot {
            upload: gpu.buffer("fsvae.upload", INPUT_AT + input, Usage::COPY_SRC | Usage::COPY_DST),
            readback: gpu.buffer("fsvae.readback", output + TICKET_BYTES, Usage::MAP_READ | Usage::COPY_DST),
        }
    }

    pub(super) fn fits(&self, input: u64, output: u64) -> bool {
        self.upload.size() >= INPUT_AT + input && self.readback.size() >= output + TICKET_BYTES
    }

    /// True where it has more room than batches of these sizes need.
    pub(super) fn exceeds(&self, input: u64, output: u64) -> bool {
        self.upload.size() > INPUT_AT + input || self.readback.size() > output + TICKET_BYTES
    }

    /// What the batch's commands copy from here, once they are submitted.
    pub(super) fn write(&self, gpu: &Gpu, run: Run, ticket: u64, input: &[u8]) {
        gpu.queue.write_buffer(&self.upload, 0, bytemuck::bytes_of(&run));
        gpu.queue.write_buffer(&self.upload, RUN_BYTES, &ticket.to_le_bytes());
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

    /// The last of a batch's commands, behind `output` bytes.
    pub(super) fn ticket(&self, output: u64) -> Step<'_> {
        let from = Place { buffer: &self.upload, offset: RUN_BYTES };
        Step::Copy { from, to: self.output(output), bytes: TICKET_BYTES }
    }

    /// Asks for `output` bytes on the host; `done` hears when they are there.
    pub(super) fn map(&self, output: u64, done: impl FnOnce(bool) + Send + 'static) {
        let bytes = ..output + TICKET_BYTES;
        self.readback.map_async(wgpu::MapMode::Read, bytes, move |result| done(result.is_ok()));
    }

    /// The `output` bytes that were mapped, unless they are not those of the batch with this ticket.
    pub(super) fn read(&self, output: u64, ticket: u64) -> Option<Vec<u8>> {
        let view = self.readback.get_mapped_range(..output + TICKET_BYTES).ok()?;
        let (bytes, found) = view.split_at(output as usize);
        (found == ticket.to_le_bytes()).then(|| bytes.to_vec())
    }

    /// Ready for another batch, after [`Slot::read`].
    pub(super) fn unmap(&self) {
        self.readback.unmap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::steps::record;
    use crate::gpu::testing::gpus;

    /// A submission that a watchdog ended: it counts as done, and nothing of it was carried out.
    #[test]
    fn an_old_batch_is_not_taken_for_a_new_one() {
        for gpu in gpus() {
            let slot = Slot::new(gpu, 0, 8);
            let source = crate::gpu::kernels::constant_buffer(gpu, "test", &[5_u32, 6], Usage::COPY_SRC);
            let batch = |ticket, carried_out: bool| {
                slot.write(gpu, Run::new(1, 2), ticket, &[]);
                let mut encoder =
                    gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
                if carried_out {
                    let from = Place { buffer: &source, offset: 0 };
                    let copy = Step::Copy { from, to: slot.output(0), bytes: 8 };
                    record(&mut encoder, &[copy, slot.ticket(8)], 1);
                }
                gpu.queue.submit([encoder.finish()]);
                let (sender, mapped) = gpu.pump.signal();
                slot.map(8, move |success| sender.say(success));
                assert!(gpu.pump.wait(&mapped, None));
                let read = slot.read(8, ticket);
                slot.unmap();
                read
            };
            assert_eq!(batch(1, true).as_deref(), Some(&[5, 0, 0, 0, 6, 0, 0, 0][..]), "{}", gpu.name());
            assert_eq!(batch(2, false), None, "{}", gpu.name());
            assert!(batch(3, true).is_some(), "{}", gpu.name());
        }
    }
}
