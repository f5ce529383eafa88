//! The batches of a task on a GPU: submitted, and read back in order.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::PoisonError;
use std::task::{Context, Poll, ready};

use super::backend::{GpuBackend, Shared};
use super::device::Verdict;
use super::kernels::sample::{Run, latent_words};
use super::limits::ImageBytes;
use super::pace::{Clock, Kind};
use super::signal::Signal;
use super::slot::{Proof, Slot};
use super::steps::{From, Step, To, parts, record, singly, steps};
use crate::backend::{Entry, Input, Lane, Made, Order, Wants, Work};
use crate::error::Result;

#[derive(Debug)]
pub(super) struct GpuLane {
    backend: GpuBackend,
    /// The largest batch.
    most: usize,
    /// The caller said how many come at once.
    fixed: bool,
    entry: Entry,
    kind: Kind,
    preparing: Option<Preparing>,
    in_flight: VecDeque<InFlight>,
    /// When the device was seen to have done the last batch.
    last_done: Option<Clock>,
}

#[cfg(not(target_arch = "wasm32"))]
type Prepares = Pin<Box<dyn Future<Output = Result<()>> + Send>>;
#[cfg(target_arch = "wasm32")]
type Prepares = Pin<Box<dyn Future<Output = Result<()>>>>;

/// Kernels that are being compiled.
struct Preparing(std::sync::Mutex<Prepares>);

impl std::fmt::Debug for Preparing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Preparing")
    }
}

/// A submitted batch.
#[derive(Debug)]
struct InFlight {
    slot: Slot,
    proof: Proof,
    work: Sizes,
    /// It was submitted layer by layer.
    in_parts: bool,
    submission: wgpu::SubmissionIndex,
    submitted: Clock,
    /// What the device said to the commands, until it is known.
    verdict: Option<Verdict>,
    mapped: Signal,
    /// True once somebody is asked to poll for it.
    awaited: bool,
}

/// How the outputs of a batch lie in its slot, one after the other.
#[derive(Clone, Debug)]
struct Sizes {
    images: usize,
    wants: std::sync::Arc<Wants>,
    latents: u64,
    spikes: Vec<u64>,
    pixels: u64,
    /// Of all time steps.
    frames: u64,
}

impl Sizes {
    fn new(shared: &Shared, work: &Work) -> Self {
        let image = ImageBytes::new(shared.model.architecture());
        let (wants, n) = (&work.wants, work.images as u64);
        let of = |wanted: bool, bytes: u64| if wanted { bytes * n } else { 0 };
        Sizes {
            images: work.images,
            latents: of(wants.latents, image.latents),
            spikes: shared.spike_bytes(wants, work.images),
            pixels: of(wants.images, image.pixels),
            frames: of(wants.frames, image.pixels * shared.plan.readouts.len() as u64),
            wants: wants.clone(),
        }
    }

    fn output(&self) -> u64 {
        self.latents + self.spikes.iter().sum::<u64>() + self.pixels + self.frames
    }

    /// What is copied where.
    fn outputs<'a>(&self, shared: &Shared, slot: &'a Slot) -> Vec<To<'a>> {
        let mut at = 0;
        let mut place = |bytes: u64| {
            at += bytes;
            slot.output(at - bytes)
        };
        let mut outputs = Vec::new();
        if self.wants.latents {
            outputs.push(To::Latents(place(self.latents)));
        }
        outputs.extend(
            self.wants
                .spikes
                .iter()
                .zip(&self.spikes)
                .map(|(&layer, &bytes)| To::Spikes(layer, place(bytes))),
        );
        let steps = shared.plan.readouts.len();
        if self.wants.images {
            outputs.push(To::Pixels(steps - 1, place(self.pixels)));
        }
        if self.wants.frames {
            outputs.extend((0..steps).map(|step| To::Pixels(step, place(self.frames / steps as u64))));
        }
        outputs
    }

    fn made(&self, shared: &Shared, bytes: &[u8]) -> Made {
        let architecture = shared.model.architecture();
        let mut rest = bytes;
        let mut take = |bytes: u64| rest.split_off(..bytes as usize).unwrap_or_default();
        let words = |bytes: &[u8], channels: usize| {
            let padded: Vec<u32> = bytemuck::pod_collect_to_vec(bytes);
            if channels.is_multiple_of(4) {
                return padded;
            }
            padded
                .chunks(channels.next_multiple_of(4))
                .flat_map(|words| &words[..channels])
                .copied()
                .collect()
        };
        let latents = words(take(self.latents), architecture.latent_channels);
        let layers = architecture.layers();
        let spikes = self.wants.spikes.iter().zip(&self.spikes);
        let spikes = spikes.map(|(&at, &bytes)| words(take(bytes), layers[at].channels)).collect();
        let images = take(self.pixels).to_vec();
        Made { latents, images, frames: take(self.frames).to_vec(), spikes }
    }
}

impl GpuLane {
    pub(super) fn new(backend: GpuBackend, most: usize, fixed: bool, order: &Order) -> Self {
        let (in_flight, kind) = (VecDeque::new(), Kind::new(order.entry, &order.wants));
        GpuLane {
            backend,
            most,
            fixed,
            entry: order.entry,
            kind,
            preparing: None,
            in_flight,
            last_done: None,
        }
    }

    fn start(&self, work: &Work) -> InFlight {
        let shared = &*self.backend.shared;
        let sizes = Sizes::new(shared, work);
        let padded;
        let (run, input): (Run, &[u8]) = match &work.input {
            Input::Prior { seed, first } => (Run::new(*seed, *first), &[]),
            Input::Posterior { pixels, seed, first } => (Run::new(*seed, *first), pixels),
            Input::Latents(words) => {
                padded = in_fours(words, shared.model.architecture().latent_channels);
                // Nothing is drawn.
                (Run::new(0, 0), bytemuck::cast_slice(&padded))
            }
        };
        let slot = shared.slot(input.len() as u64, sizes.output());
        let ticket = shared.next_ticket();
        slot.write(&shared.model.gpu, run.of_ticket(ticket), input);
        self.submit(slot, ticket, sizes, shared.pace.is_long(self.kind))
    }

    /// Submits what a slot was given, in one submission or layer by layer. Between the parts of one batch no other of ours
    /// may come: they share the plan's memory. If a recording of the application's does, the batch has no proof.
    fn submit(&self, slot: Slot, ticket: u64, work: Sizes, in_parts: bool) -> InFlight {
        let shared = &*self.backend.shared;
        let Shared { model, plan, .. } = shared;
        let gpu = &model.gpu;
        let from = match (self.entry, plan.encoder.get()) {
            (Entry::Prior, _) => From::Prior,
            (Entry::Posterior, Some(encoder)) => From::Images(encoder, slot.input()),
            (Entry::Posterior, None) => unreachable!("poll_ready comes first"),
            (Entry::Latents, _) => From::Latents(slot.input()),
        };
        let outputs = work.outputs(shared, &slot);
        let list = steps(model, plan, (slot.run(), Some(&plan.proof)), from, &outputs, work.images);
        let mut list = if in_parts { singly(&list) } else { list };
        let passes = slot.end(plan, &mut list, work.output());
        let submit = |steps: &[Step<'_>]| {
            let descriptor = wgpu::CommandEncoderDescriptor { label: Some("fsvae.batch") };
            let mut encoder = gpu.device.create_command_encoder(&descriptor);
            record(&mut encoder, steps, work.images);
            gpu.queue.submit([encoder.finish()])
        };
        let submission = {
            let _alone = shared.submitting.lock().unwrap_or_else(PoisonError::into_inner);
            match &parts(&list)[..] {
                [first @ .., last] if in_parts => {
                    first.iter().for_each(|part| {
                        submit(part);
                        #[cfg(test)]
                        gpu.between.act();
                    });
                    submit(last)
                }
                _ => submit(&list),
            }
        };
        let (sender, mapped) = gpu.pump.signal();
        slot.map(gpu, work.output(), move |success| sender.say(success));
        let (proof, submitted) = (Proof { ticket, passes }, Clock::now());
        InFlight { slot, proof, work, in_parts, submission, submitted, verdict: None, mapped, awaited: false }
    }

    /// What the device said to the oldest batch's commands.
    fn poll_verdict(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(batch) = self.in_flight.front_mut() else {
            return Poll::Ready(Err(self.backend.device().lost()));
        };
        if let Some(verdict) = &mut batch.verdict {
            ready!(Pin::new(verdict).poll(context))?;
            batch.verdict = None;
        }
        Poll::Ready(Ok(()))
    }

    /// Decided in this order: verdict, mapped, proof, the bytes.
    fn poll_oldest(&mut self, context: &mut Context<'_>) -> Poll<Result<Made>> {
        loop {
            ready!(self.poll_verdict(context))?;
            let (gpu, shared) = (self.backend.device().clone(), self.backend.shared.clone());
            let Some(batch) = self.in_flight.front_mut() else {
                return Poll::Ready(Err(gpu.lost()));
            };
            let mapped = match batch.mapped.poll(context) {
                Poll::Ready(mapped) => mapped,
                Poll::Pending => {
                    gpu.pump.look();
                    if !std::mem::replace(&mut batch.awaited, true) {
                        gpu.pump.wake_after(Some(&batch.submission));
                    }
                    return Poll::Pending;
                }
            };
            let Some(batch) = self.in_flight.pop_front() else { continue };
            let InFlight { slot, proof, work, in_parts, submitted, mapped: signal, .. } = batch;
            let read = mapped.then(|| slot.read(&gpu, work.output(), proof)).flatten();
            let Some((bytes, time)) = read else {
                if !(mapped && in_parts && shared.is_recorded()) {
                    return Poll::Ready(Err(gpu.lost()));
                }
                // A recording of the application's came between the parts. They are made again as one.
                let (again, verdict) = gpu.watch(|| {
                    slot.unmap();
                    self.submit(slot, proof.ticket, work, false)
                });
                self.in_flight.push_front(InFlight { verdict: Some(verdict), ..again });
                continue;
            };
            let made = work.made(&shared, &bytes);
            if let Some(done) = signal.when() {
                let begun = self.last_done.map_or(submitted, |last| last.later(submitted));
                shared.pace.note(self.kind, work.images, time.unwrap_or_else(|| done.since(begun)));
                self.last_done = Some(done);
            }
            shared.reuse(slot);
            return Poll::Ready(Ok(made));
        }
    }
}

impl Lane for GpuLane {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        if self.entry != Entry::Posterior || self.backend.shared.plan.encoder.get().is_some() {
            return Poll::Ready(Ok(()));
        }
        let backend = &self.backend;
        let preparing = self.preparing.get_or_insert_with(|| {
            let shared = backend.shared.clone();
            let work = async move { shared.plan.prepare_encoder(&shared.model).await };
            Preparing(std::sync::Mutex::new(Box::pin(work)))
        });
        let future = preparing.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let prepared = ready!(future.as_mut().poll(context));
        self.preparing = None;
        Poll::Ready(prepared)
    }

    fn batch(&self) -> usize {
        self.backend.shared.pace.images(self.kind, self.most)
    }

    fn whole(&self) -> Option<usize> {
        (self.fixed && self.backend.shared.pace.adapts()).then_some(self.most)
    }

    fn begin(&mut self, work: Work) {
        trace!("fsvae.submit");
        let (batch, verdict) = self.backend.device().watch(|| self.start(&work));
        self.in_flight.push_back(InFlight { verdict: Some(verdict), ..batch });
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Made>> {
        let made = ready!(self.poll_oldest(context));
        if made.is_err() {
            // One that failed, or is not done, is not used again.
            self.in_flight.clear();
        }
        Poll::Ready(made)
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn wait(&mut self) -> Result<Made> {
        trace!("fsvae.readback");
        let mut context = Context::from_waker(std::task::Waker::noop());
        loop {
            // The verdict comes first: nobody ever calls back for commands that were refused.
            if let Poll::Ready(Err(error)) = self.poll_verdict(&mut context) {
                self.in_flight.clear();
                return Err(error);
            }
            if let Some(batch) = self.in_flight.front() {
                self.backend.device().pump.wait(&batch.mapped, Some(&batch.submission));
            }
            // Not there only where it is made again.
            if let Poll::Ready(made) = self.poll(&mut context) {
                return made;
            }
        }
    }

    fn nudge(&self) {
        self.backend.device().pump.poll_if_owned();
    }
}

/// Words `[n, C]` with channels filled up to groups of four.
fn in_fours(words: &[u32], channels: usize) -> Vec<u32> {
    let mut padded = Vec::with_capacity(words.len() / channels * latent_words(channels));
    for words in words.chunks(channels) {
        padded.extend_from_slice(words);
        padded.resize(padded.len().next_multiple_of(4), 0);
    }
    padded
}

#[cfg(all(test, feature = "bundled"))]
mod tests;
