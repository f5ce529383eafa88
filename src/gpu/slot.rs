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

const RUN_BYTES: u64 = size_of::<Run>() as u64;
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
        let buffer = |label, size, usage| {
            let descriptor =
                wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
            gpu.device.create_buffer(&descriptor)
        };
        Slot {
            upload: buffer("fsvae.upload", INPUT_AT + input, Usage::COPY_SRC | Usage::COPY_DST),
            readback: buffer("fsvae.readback", output + TICKET_BYTES, Usage::MAP_READ | Usage::COPY_DST),
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

    pub(super) fn record_run(&self, encoder: &mut wgpu::CommandEncoder, run: &wgpu::Buffer) {
        encoder.copy_buffer_to_buffer(&self.upload, 0, run, 0, RUN_BYTES);
    }

    pub(super) fn record_input(&self, encoder: &mut wgpu::CommandEncoder, to: &wgpu::Buffer, bytes: u64) {
        encoder.copy_buffer_to_buffer(&self.upload, INPUT_AT, to, 0, bytes);
    }

    pub(super) fn record_output(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        from: &wgpu::Buffer,
        at: u64,
        bytes: u64,
    ) {
        encoder.copy_buffer_to_buffer(from, 0, &self.readback, at, bytes);
    }

    /// The last of a batch's commands, behind `output` bytes.
    pub(super) fn record_ticket(&self, encoder: &mut wgpu::CommandEncoder, output: u64) {
        encoder.copy_buffer_to_buffer(&self.upload, RUN_BYTES, &self.readback, output, TICKET_BYTES);
    }

    /// Asks for `output` bytes on the host; `done` hears when they are there.
    pub(super) fn map(&self, output: u64, done: impl FnOnce(bool) + Send + 'static) {
        let bytes = ..output + TICKET_BYTES;
        self.readback.map_async(wgpu::MapMode::Read, bytes, move |result| done(result.is_ok()));
    }

    /// Appends `output` bytes that were mapped; false if they are not those of the batch with this ticket.
    pub(super) fn read(&self, output: u64, ticket: u64, result: &mut Vec<u8>) -> bool {
        let Ok(view) = self.readback.get_mapped_range(..output + TICKET_BYTES) else { return false };
        let (bytes, found) = view.split_at(output as usize);
        let current = found == ticket.to_le_bytes();
        if current {
            result.extend_from_slice(bytes);
        }
        current
    }

    /// Ready for another batch, after [`Slot::read`].
    pub(super) fn unmap(&self) {
        self.readback.unmap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::testing::gpus;

    /// A submission that a watchdog ended: it counts as done, and nothing of it was carried out.
    #[test]
    fn an_old_batch_is_not_taken_for_a_new_one() {
        for gpu in gpus() {
            let slot = Slot::new(gpu, 0, 8);
            let source = crate::gpu::kernels::constant_buffer(gpu, "test", &[5_u32, 6], Usage::COPY_SRC);
            let batch = |ticket, carried_out: bool| {
                slot.write(gpu, Run::new(1, 2), ticket, &[]);
                let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
                if carried_out {
                    slot.record_output(&mut encoder, &source, 0, 8);
                    slot.record_ticket(&mut encoder, 8);
                }
                gpu.queue.submit([encoder.finish()]);
                let (sender, mapped) = gpu.pump.signal();
                slot.map(8, move |success| sender.say(success));
                assert!(gpu.pump.wait(&mapped, None));
                let mut bytes = Vec::new();
                let read = slot.read(8, ticket, &mut bytes);
                slot.unmap();
                read.then_some(bytes)
            };
            assert_eq!(batch(1, true).as_deref(), Some(&[5, 0, 0, 0, 6, 0, 0, 0][..]), "{}", gpu.name());
            assert_eq!(batch(2, false), None, "{}", gpu.name());
            assert!(batch(3, true).is_some(), "{}", gpu.name());
        }
    }
}
