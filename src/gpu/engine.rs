//! Batches in flight: submit, and read back in order.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::device::Verdict;
use super::kernels::sample::Run;
use super::limits::ImageBytes;
use super::model::Model;
use super::plan::{EncoderPlan, Plan, record};
use super::signal::{Signal, signal};
use crate::error::Result;

/// A network on a device with memory for a batch of its own. Several may share a [`Model`].
#[derive(Debug)]
pub(crate) struct Engine {
    pub(super) model: Arc<Model>,
    pub(super) plan: Plan,
    encoder: Option<EncoderPlan>,
    image: ImageBytes,
    /// Batches that may be in flight at once: one is read back while the next is computed.
    depth: usize,
    /// Readback buffers that are not in use; made as they are first needed.
    free: Vec<wgpu::Buffer>,
    in_flight: VecDeque<Ticket>,
    /// Whether the device had room for all this, until it is known.
    made: Option<Verdict>,
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
    /// What the device said to the commands, until it is known.
    verdict: Option<Verdict>,
    mapped: Signal,
    /// True once somebody is asked to poll for it.
    awaited: bool,
}

impl Engine {
    /// Memory for `batch` images, or as many as the device's limits allow, and `depth` batches in flight.
    pub(crate) fn new(model: &Arc<Model>, batch: usize, depth: usize) -> Result<Self> {
        let (plan, made) = model.gpu.watch(|| Plan::new(model, batch));
        let mut engine = Engine {
            model: model.clone(),
            plan: plan?,
            encoder: None,
            image: ImageBytes::new(model.architecture()),
            depth,
            free: Vec::new(),
            in_flight: VecDeque::new(),
            made: Some(made),
        };
        // Known at once but in browsers.
        match engine.poll_made(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(Err(error)) => Err(error),
            _ => Ok(engine),
        }
    }

    fn poll_made(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        if let Some(verdict) = &mut self.made {
            ready!(Pin::new(verdict).poll(context))?;
            self.made = None;
        }
        Poll::Ready(Ok(()))
    }

    pub(crate) fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Images of a batch.
    pub(crate) fn capacity(&self) -> usize {
        self.plan.capacity
    }

    /// Images of a batch of [`Product::Frames`], whose readback is T times as large.
    pub(crate) fn frames_capacity(&self) -> usize {
        let bytes = self.image.pixels * self.plan.readouts.len() as u64;
        let most = self.model.gpu.device.limits().max_buffer_size / bytes;
        self.plan.capacity.min(usize::try_from(most).unwrap_or(usize::MAX)).max(1)
    }

    /// Makes what [`Source::Posterior`] needs, the first time.
    pub(crate) fn prepare_encoder(&mut self) -> Result<()> {
        if self.encoder.is_none() {
            self.encoder = Some(self.plan.encoder(&self.model)?);
        }
        Ok(())
    }

    /// True where another batch may be submitted.
    pub(crate) fn has_room(&self) -> bool {
        self.in_flight.len() < self.depth
    }

    /// Starts a batch of `images` images, at most [`Engine::capacity`]. What it needs besides generation was
    /// prepared. Does not wait; what goes wrong is the error of its [`Engine::collect`].
    pub(crate) fn submit(&mut self, source: Source<'_>, product: Product, images: usize) {
        trace!("fsvae.submit");
        let free = self.free.pop();
        let (ticket, verdict) = self.model.gpu.watch(|| self.start(source, product, images, free));
        self.in_flight.push_back(Ticket { verdict: Some(verdict), ..ticket });
    }

    fn start(
        &self,
        source: Source<'_>,
        product: Product,
        images: usize,
        free: Option<wgpu::Buffer>,
    ) -> Ticket {
        let Engine { model, plan, image, .. } = self;
        let gpu = &model.gpu;
        let (image_bytes, latent_bytes) = (image.pixels * images as u64, image.latents * images as u64);
        let bytes = match product {
            Product::Latents => latent_bytes,
            Product::Images => image_bytes,
            Product::Frames => image_bytes * plan.readouts.len() as u64,
        };
        let readback = free.filter(|buffer| buffer.size() >= bytes).unwrap_or_else(|| {
            let batch = image.pixels.max(image.latents) * plan.capacity as u64;
            gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("fsvae.readback"),
                size: bytes.max(batch),
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        });

        let mut encoder =
            gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("fsvae.batch") });
        let write = |buffer: &wgpu::Buffer, bytes: &[u8]| gpu.queue.write_buffer(buffer, 0, bytes);
        match (source, &self.encoder) {
            (Source::Prior { seed, first }, _) => {
                write(&plan.run, bytemuck::bytes_of(&Run::new(seed, first)));
                record(&mut encoder, "fsvae.prior", std::slice::from_ref(&plan.prior), images);
            }
            (Source::Posterior { images: pixels, seed, first }, encoder_plan) => {
                debug_assert!(encoder_plan.is_some(), "prepare_encoder comes first");
                write(&plan.run, bytemuck::bytes_of(&Run::new(seed, first)));
                if let Some(posterior) = encoder_plan {
                    write(&posterior.images, pixels);
                    record(&mut encoder, "fsvae.posterior", &posterior.passes, images);
                }
            }
            (Source::Latents(words), _) => {
                let channels = model.architecture().latent_channels;
                let mut padded = Vec::with_capacity(words.len().next_multiple_of(4));
                for words in words.chunks(channels) {
                    padded.extend_from_slice(words);
                    padded.resize(padded.len().next_multiple_of(4), 0);
                }
                write(&plan.latents, bytemuck::cast_slice(&padded));
            }
        }
        if product == Product::Latents {
            encoder.copy_buffer_to_buffer(&plan.latents, 0, &readback, 0, latent_bytes);
        } else {
            record(&mut encoder, "fsvae.decoder", &plan.decoder, images);
            let readouts = if product == Product::Frames { &plan.readouts } else { plan.readout() };
            for (readout, offset) in readouts.iter().zip((0..).step_by(image_bytes as usize)) {
                record(&mut encoder, "fsvae.readout", std::slice::from_ref(readout), images);
                encoder.copy_buffer_to_buffer(&plan.pixels, 0, &readback, offset, image_bytes);
            }
        }
        let submission = gpu.queue.submit([encoder.finish()]);
        let (sender, mapped) = signal();
        readback.map_async(wgpu::MapMode::Read, ..bytes, move |result| sender.say(result.is_ok()));
        Ticket { readback, bytes: bytes as usize, submission, verdict: None, mapped, awaited: false }
    }

    /// Waits for the oldest batch and appends its bytes. After an error nothing is in flight.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn collect(&mut self, result: &mut Vec<u8>) -> Result<()> {
        trace!("fsvae.readback");
        if let Some(ticket) = self.in_flight.front() {
            let submission_index = Some(ticket.submission.clone());
            // On a device that is lost this fails, and the callback says so too.
            let _ = self.model.gpu.device.poll(wgpu::PollType::Wait { submission_index, timeout: None });
            ticket.mapped.wait();
        }
        match self.poll_collect(&mut Context::from_waker(std::task::Waker::noop()), result) {
            Poll::Ready(done) => done,
            Poll::Pending => Err(self.model.gpu.lost()),
        }
    }

    /// A browser's only thread cannot wait for what happens on it.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn collect(&mut self, _: &mut Vec<u8>) -> Result<()> {
        Err(crate::error::Error::WouldBlock)
    }

    /// Appends the bytes of the oldest batch, or wakes the task when it is there. After an error nothing is in flight.
    pub(crate) fn poll_collect(
        &mut self,
        context: &mut Context<'_>,
        result: &mut Vec<u8>,
    ) -> Poll<Result<()>> {
        let done = ready!(self.poll_oldest(context, result));
        if done.is_err() {
            self.cancel();
        }
        Poll::Ready(done)
    }

    fn poll_oldest(&mut self, context: &mut Context<'_>, result: &mut Vec<u8>) -> Poll<Result<()>> {
        ready!(self.poll_made(context))?;
        let gpu = &self.model.gpu;
        let Some(ticket) = self.in_flight.front_mut() else {
            return Poll::Ready(Err(gpu.lost()));
        };
        if let Some(verdict) = &mut ticket.verdict {
            ready!(Pin::new(verdict).poll(context))?;
            ticket.verdict = None;
        }
        let mapped = match ticket.mapped.poll(context) {
            Poll::Ready(mapped) => mapped,
            Poll::Pending => {
                if !std::mem::replace(&mut ticket.awaited, true) {
                    gpu.wake_after(&ticket.submission);
                }
                return Poll::Pending;
            }
        };
        let lost = || gpu.lost();
        if !mapped {
            return Poll::Ready(Err(lost()));
        }
        let view = ticket.readback.get_mapped_range(..ticket.bytes as u64).map_err(|_| lost())?;
        result.extend_from_slice(&view);
        drop(view);
        if let Some(ticket) = self.in_flight.pop_front() {
            self.reuse(ticket);
        }
        Poll::Ready(Ok(()))
    }

    /// Forgets the batches in flight.
    pub(crate) fn cancel(&mut self) {
        while let Some(ticket) = self.in_flight.pop_front() {
            self.reuse(ticket);
        }
    }

    fn reuse(&mut self, ticket: Ticket) {
        ticket.readback.unmap();
        self.free.push(ticket.readback);
    }
}
