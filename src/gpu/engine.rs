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
use super::signal::Signal;
use super::slot::Slot;
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
    /// Slots that are not in use; made as they are first needed.
    free: Vec<Slot>,
    in_flight: VecDeque<InFlight>,
    /// Of the last batch.
    ticket: u64,
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
struct InFlight {
    slot: Slot,
    ticket: u64,
    /// Of its output.
    bytes: u64,
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
            ticket: 0,
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
        self.ticket += 1;
        let free = self.free.pop();
        let (batch, verdict) = self.model.gpu.watch(|| self.start(source, product, images, free));
        self.in_flight.push_back(InFlight { verdict: Some(verdict), ..batch });
    }

    fn start(&self, source: Source<'_>, product: Product, images: usize, free: Option<Slot>) -> InFlight {
        let Engine { model, plan, image, ticket, .. } = self;
        let gpu = &model.gpu;
        let (image_bytes, latent_bytes) = (image.pixels * images as u64, image.latents * images as u64);
        let bytes = match product {
            Product::Latents => latent_bytes,
            Product::Images => image_bytes,
            Product::Frames => image_bytes * plan.readouts.len() as u64,
        };
        let padded;
        let (run, input): (Run, &[u8]) = match source {
            Source::Prior { seed, first } => (Run::new(seed, first), &[]),
            Source::Posterior { images: pixels, seed, first } => (Run::new(seed, first), pixels),
            Source::Latents(words) => {
                padded = in_fours(words, model.architecture().latent_channels);
                // Nothing is drawn.
                (Run::new(0, 0), bytemuck::cast_slice(&padded))
            }
        };
        let input_bytes = input.len() as u64;
        let slot = free.filter(|slot| slot.fits(input_bytes, bytes)).unwrap_or_else(|| {
            let (least_input, least_output) = self.everyday(input_bytes > 0);
            Slot::new(gpu, input_bytes.max(least_input), bytes.max(least_output))
        });
        slot.write(gpu, run, *ticket, input);

        let mut encoder =
            gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("fsvae.batch") });
        slot.record_run(&mut encoder, &plan.run);
        match (source, &self.encoder) {
            (Source::Prior { .. }, _) => {
                record(&mut encoder, "fsvae.prior", std::slice::from_ref(&plan.prior), images);
            }
            (Source::Posterior { .. }, encoder_plan) => {
                debug_assert!(encoder_plan.is_some(), "prepare_encoder comes first");
                if let Some(posterior) = encoder_plan {
                    slot.record_input(&mut encoder, &posterior.images, input_bytes);
                    record(&mut encoder, "fsvae.posterior", &posterior.passes, images);
                }
            }
            (Source::Latents(_), _) => slot.record_input(&mut encoder, &plan.latents, input_bytes),
        }
        if product == Product::Latents {
            slot.record_output(&mut encoder, &plan.latents, 0, latent_bytes);
        } else {
            record(&mut encoder, "fsvae.decoder", &plan.decoder, images);
            let readouts = if product == Product::Frames { &plan.readouts } else { plan.readout() };
            for (readout, offset) in readouts.iter().zip((0..).step_by(image_bytes as usize)) {
                record(&mut encoder, "fsvae.readout", std::slice::from_ref(readout), images);
                slot.record_output(&mut encoder, &plan.pixels, offset, image_bytes);
            }
        }
        slot.record_ticket(&mut encoder, bytes);
        let submission = gpu.queue.submit([encoder.finish()]);
        let (sender, mapped) = gpu.pump.signal();
        slot.map(bytes, move |success| sender.say(success));
        InFlight { slot, ticket: *ticket, bytes, submission, verdict: None, mapped, awaited: false }
    }

    /// Bytes of input and output that a slot has room for, to be used again by most batches; that of frames is T times as
    /// large, and not kept.
    fn everyday(&self, input: bool) -> (u64, u64) {
        let batch = self.image.pixels.max(self.image.latents) * self.plan.capacity as u64;
        (if input { batch } else { 0 }, batch)
    }

    /// Waits for the oldest batch and appends its bytes. After an error nothing is in flight.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn collect(&mut self, result: &mut Vec<u8>) -> Result<()> {
        trace!("fsvae.readback");
        let mut context = Context::from_waker(std::task::Waker::noop());
        // The verdict comes first: nobody ever calls back for commands that were refused.
        if let Poll::Ready(Err(error)) = self.poll_verdict(&mut context) {
            self.cancel();
            return Err(error);
        }
        if let Some(batch) = self.in_flight.front() {
            self.model.gpu.pump.wait(&batch.mapped, Some(&batch.submission));
        }
        match self.poll_collect(&mut context, result) {
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

    /// What the device said to the oldest batch's commands.
    fn poll_verdict(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_made(context))?;
        let Some(batch) = self.in_flight.front_mut() else {
            return Poll::Ready(Err(self.model.gpu.lost()));
        };
        if let Some(verdict) = &mut batch.verdict {
            ready!(Pin::new(verdict).poll(context))?;
            batch.verdict = None;
        }
        Poll::Ready(Ok(()))
    }

    /// Decided once, in this order: verdict, mapped, ticket, the bytes.
    fn poll_oldest(&mut self, context: &mut Context<'_>, result: &mut Vec<u8>) -> Poll<Result<()>> {
        ready!(self.poll_verdict(context))?;
        let gpu = &self.model.gpu;
        let Some(batch) = self.in_flight.front_mut() else {
            return Poll::Ready(Err(gpu.lost()));
        };
        let mapped = match batch.mapped.poll(context) {
            Poll::Ready(mapped) => mapped,
            Poll::Pending => {
                if !std::mem::replace(&mut batch.awaited, true) {
                    gpu.pump.wake_after(Some(&batch.submission));
                }
                return Poll::Pending;
            }
        };
        if !mapped || !batch.slot.read(batch.bytes, batch.ticket, result) {
            return Poll::Ready(Err(gpu.lost()));
        }
        if let Some(batch) = self.in_flight.pop_front() {
            self.reuse(batch.slot);
        }
        Poll::Ready(Ok(()))
    }

    /// Forgets the batches in flight, and their slots: one that failed, or is not done, is not used again.
    pub(crate) fn cancel(&mut self) {
        self.in_flight.clear();
    }

    /// After a success. The application may have destroyed its device in between, and wgpu would then object to the
    /// unmapping where the application hears it.
    fn reuse(&mut self, slot: Slot) {
        let (_, verdict) = self.model.gpu.watch(|| slot.unmap());
        drop(verdict);
        let (input, output) = self.everyday(true);
        if !slot.exceeds(input, output) {
            self.free.push(slot);
        }
    }
}

/// Words `[n, C]` with channels filled up to groups of four.
fn in_fours(words: &[u32], channels: usize) -> Vec<u32> {
    let mut padded = Vec::with_capacity(words.len().next_multiple_of(4));
    for words in words.chunks(channels) {
        padded.extend_from_slice(words);
        padded.resize(padded.len().next_multiple_of(4), 0);
    }
    padded
}
