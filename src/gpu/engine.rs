//! Batches in flight: submit, and read back in order.

use std::collections::VecDeque;
use std::sync::mpsc;

use super::device::Gpu;
use super::kernels::sample::Run;
use super::plan::Plan;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::philox::halves;

/// Batches that may be in flight at once: one is read back while the next is computed.
pub(crate) const RING: usize = 2;

/// A network on a device.
#[derive(Debug)]
pub(crate) struct Engine {
    gpu: Gpu,
    plan: Plan,
    image_bytes: usize,
    /// Readback buffers that are not in use.
    free: Vec<wgpu::Buffer>,
    in_flight: VecDeque<Ticket>,
}

/// A submitted batch.
#[derive(Debug)]
struct Ticket {
    readback: wgpu::Buffer,
    bytes: usize,
    submission: wgpu::SubmissionIndex,
    mapped: mpsc::Receiver<Result<(), wgpu::BufferAsyncError>>,
}

impl Engine {
    pub(crate) async fn new(gpu: &Gpu, network: &Network, batch: usize) -> Result<Self> {
        let image_bytes = network.architecture.image_bytes();
        let built = gpu.checked(|| {
            let plan = Plan::new(gpu, network, batch)?;
            let readback = |_| {
                gpu.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("fsvae.readback"),
                    size: (plan.capacity * image_bytes) as u64,
                    usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                })
            };
            let free = (0..RING).map(readback).collect();
            Ok(Engine { gpu: gpu.clone(), plan, image_bytes, free, in_flight: VecDeque::new() })
        });
        built.await?
    }

    pub(crate) fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Images of a batch.
    pub(crate) fn capacity(&self) -> usize {
        self.plan.capacity
    }

    /// True where another batch may be submitted.
    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// Starts the batch of `images` images from index `first`, at most [`Engine::capacity`], if
    /// there is room. Does not wait.
    pub(crate) fn submit(&mut self, seed: u64, first: u64, images: usize) {
        let Some(readback) = self.free.pop() else { return };
        let bytes = images * self.image_bytes;
        let run = Run { seed: halves(seed), first: halves(first) };
        self.gpu.queue.write_buffer(&self.plan.run, 0, bytemuck::bytes_of(&run));
        let mut encoder = self
            .gpu
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("fsvae.generate") });
        self.plan.record(&mut encoder, images);
        encoder.copy_buffer_to_buffer(&self.plan.pixels, 0, &readback, 0, bytes as u64);
        let submission = self.gpu.queue.submit([encoder.finish()]);
        let (sender, mapped) = mpsc::channel();
        readback.map_async(wgpu::MapMode::Read, ..bytes as u64, move |result| {
            // The receiver is gone if the batch was cancelled.
            let _ = sender.send(result);
        });
        self.in_flight.push_back(Ticket { readback, bytes, submission, mapped });
    }

    /// Waits for the oldest batch and appends its pixels.
    pub(crate) fn collect(&mut self, pixels: &mut Vec<u8>) -> Result<()> {
        let Some(ticket) = self.in_flight.pop_front() else { return Ok(()) };
        let lost = || Error::DeviceLost { adapter: self.gpu.name() };
        let wait = wgpu::PollType::Wait { submission_index: Some(ticket.submission), timeout: None };
        self.gpu.device.poll(wait).map_err(|_| lost())?;
        self.gpu.take_fault()?;
        // The callback has run by now; if it was dropped unrun, the device is gone.
        ticket.mapped.recv().map_err(|_| lost())?.map_err(|_| lost())?;
        let view = ticket.readback.get_mapped_range(..ticket.bytes as u64).map_err(|_| lost())?;
        pixels.extend_from_slice(&view);
        drop(view);
        ticket.readback.unmap();
        self.free.push(ticket.readback);
        Ok(())
    }

    /// Forgets the batches in flight.
    pub(crate) fn cancel(&mut self) {
        for ticket in self.in_flight.drain(..) {
            ticket.readback.unmap();
            self.free.push(ticket.readback);
        }
    }
}
