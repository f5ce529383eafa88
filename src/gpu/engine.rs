//! Batches in flight: submit, and read back in order.

use std::collections::VecDeque;
use std::sync::mpsc;

use super::device::Gpu;
use super::kernels::Pass;
use super::kernels::sample::Run;
use super::plan::{EncoderPlan, ImageBytes, Plan, record};
use crate::error::{Error, Result};
use crate::network::Network;
use crate::philox::halves;

/// Batches that may be in flight at once: one is read back while the next is computed.
const RING: usize = 2;

/// A network on a device.
#[derive(Debug)]
pub(crate) struct Engine {
    gpu: Gpu,
    network: Network,
    plan: Plan,
    encoder: Option<EncoderPlan>,
    /// The readout as of each time step.
    moments: Vec<Pass>,
    image: ImageBytes,
    /// Readback buffers that are not in use.
    free: Vec<wgpu::Buffer>,
    in_flight: VecDeque<Ticket>,
}

/// Where the latents of a batch come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// Drawn from the prior.
    Prior { seed: u64, first: u64 },
    /// Drawn from the posterior, given u8 images `[n, side, side, channels]`.
    Posterior { images: &'a [u8], seed: u64, first: u64 },
    /// As they are, words `[n, C]`.
    Latents(&'a [u32]),
}

/// What a batch gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    /// Words `[n, C rounded up to groups of four]`.
    Latents,
    /// u8 `[n, side, side, channels]`
    Images,
    /// u8 `[T, n, side, side, channels]`: the pictures after each time step.
    Frames,
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
        let image = ImageBytes::new(&network.architecture);
        let built = gpu.checked(|| {
            let plan = Plan::new(gpu, network, batch)?;
            let bytes = image.pixels.max(image.latents) * plan.capacity as u64;
            let free = (0..RING).map(|_| readback(gpu, bytes)).collect();
            Ok(Engine {
                gpu: gpu.clone(),
                network: network.clone(),
                plan,
                encoder: None,
                moments: Vec::new(),
                image,
                free,
                in_flight: VecDeque::new(),
            })
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

    /// Images of a batch of [`Product::Frames`], whose readback is T times as large.
    pub(crate) fn frames_capacity(&self) -> usize {
        let bytes = self.image.pixels * self.network.readout.moments.len() as u64;
        let most = self.gpu.device.limits().max_buffer_size / bytes;
        self.plan.capacity.min(usize::try_from(most).unwrap_or(usize::MAX)).max(1)
    }

    /// Makes what [`Source::Posterior`] needs, the first time.
    pub(crate) fn prepare_encoder(&mut self) -> Result<()> {
        if self.encoder.is_none() {
            let made = self.plan.encoder(&self.gpu, &self.network);
            self.gpu.take_fault()?;
            self.encoder = Some(made);
        }
        Ok(())
    }

    /// Makes what [`Product::Frames`] needs, the first time.
    pub(crate) fn prepare_frames(&mut self) -> Result<()> {
        if self.moments.is_empty() {
            let made = self.plan.readouts(&self.gpu, &self.network, &self.network.readout.moments);
            self.gpu.take_fault()?;
            self.moments = made;
        }
        Ok(())
    }

    /// True where another batch may be submitted.
    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// Starts a batch of `images` images, at most [`Engine::capacity`], if there is room. What it needs
    /// besides generation was prepared. Does not wait.
    pub(crate) fn submit(&mut self, source: Source<'_>, product: Product, images: usize) {
        let Some(target) = self.free.pop() else { return };
        let Engine { gpu, plan, image, .. } = &*self;
        let mut encoder =
            gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("fsvae.batch") });
        let start = |seed, first| {
            let run = Run { seed: halves(seed), first: halves(first) };
            gpu.queue.write_buffer(&plan.run, 0, bytemuck::bytes_of(&run));
        };
        match (source, &self.encoder) {
            (Source::Prior { seed, first }, _) => {
                start(seed, first);
                record(&mut encoder, "fsvae.prior", &plan.prior, images);
            }
            (Source::Posterior { images: pixels, seed, first }, Some(posterior)) => {
                start(seed, first);
                gpu.queue.write_buffer(&posterior.images, 0, pixels);
                record(&mut encoder, "fsvae.posterior", &posterior.passes, images);
            }
            (Source::Latents(words), _) => {
                let channels = self.network.architecture.latent_channels;
                let mut padded = Vec::with_capacity(words.len().next_multiple_of(4));
                for words in words.chunks(channels) {
                    padded.extend_from_slice(words);
                    padded.resize(padded.len().next_multiple_of(4), 0);
                }
                gpu.queue.write_buffer(&plan.latents, 0, bytemuck::cast_slice(&padded));
            }
            // Not prepared: nothing is in flight, which `collect` reports.
            (Source::Posterior { .. }, None) => return,
        }

        let (image_bytes, latent_bytes) = (image.pixels * images as u64, image.latents * images as u64);
        let (readback, bytes) = match product {
            Product::Latents => {
                encoder.copy_buffer_to_buffer(&plan.latents, 0, &target, 0, latent_bytes);
                (target, latent_bytes)
            }
            Product::Images => {
                record(&mut encoder, "fsvae.decoder", &plan.decoder, images);
                record(&mut encoder, "fsvae.readout", &plan.readout, images);
                encoder.copy_buffer_to_buffer(&plan.pixels, 0, &target, 0, image_bytes);
                (target, image_bytes)
            }
            Product::Frames => {
                record(&mut encoder, "fsvae.decoder", &plan.decoder, images);
                let bytes = image_bytes * self.moments.len() as u64;
                let target = if target.size() < bytes { readback(gpu, bytes) } else { target };
                for (moment, offset) in self.moments.iter().zip((0..).step_by(image_bytes as usize)) {
                    record(&mut encoder, "fsvae.readout", std::slice::from_ref(moment), images);
                    encoder.copy_buffer_to_buffer(&plan.pixels, 0, &target, offset, image_bytes);
                }
                (target, bytes)
            }
        };
        let submission = gpu.queue.submit([encoder.finish()]);
        let (sender, mapped) = mpsc::channel();
        readback.map_async(wgpu::MapMode::Read, ..bytes, move |result| {
            // The receiver is gone if the batch was cancelled.
            let _ = sender.send(result);
        });
        self.in_flight.push_back(Ticket { readback, bytes: bytes as usize, submission, mapped });
    }

    /// Waits for the oldest batch and appends its bytes.
    pub(crate) fn collect(&mut self, result: &mut Vec<u8>) -> Result<()> {
        let lost = || Error::DeviceLost { adapter: self.gpu.name() };
        // Nothing is in flight where earlier errors have used up the ring.
        let ticket = self.in_flight.pop_front().ok_or_else(lost)?;
        let wait = wgpu::PollType::Wait { submission_index: Some(ticket.submission), timeout: None };
        self.gpu.device.poll(wait).map_err(|_| lost())?;
        self.gpu.take_fault()?;
        // The callback has run by now; if it was dropped unrun, the device is gone.
        ticket.mapped.recv().map_err(|_| lost())?.map_err(|_| lost())?;
        let view = ticket.readback.get_mapped_range(..ticket.bytes as u64).map_err(|_| lost())?;
        result.extend_from_slice(&view);
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

fn readback(gpu: &Gpu, size: u64) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("fsvae.readback"),
        size,
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}
