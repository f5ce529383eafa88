//! Work on its way: the one state machine behind waiting, awaiting and streams.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use crate::architecture::Architecture;
use crate::backend::{Backend, Input, Lane, Made, Order, Work};
use crate::error::Result;
use crate::images::Images;
use crate::indices::Indices;
use crate::job::{Job, Source};
use crate::latents::Latents;
use crate::spikes::LayerSpikes;

/// A [`Job`] that was started by [`Generator::start`](crate::Generator::start): batch by batch it gives [`Part`]s, in index
/// order.
///
/// - As an [`Iterator`] it waits for the next part. As a [`futures_core::Stream`] it wakes the task, on any runtime; who
///   polls the device is said at [`Gpu`](crate::Gpu). [`Task::try_next`] does neither. All three give the same parts and may
///   be mixed. [`Task::wait`] and [`Task::finish`] give all parts as one.
/// - Nothing is made before the first call. Then so many batches as the job says are in flight: a slow consumer stops the
///   device, and memory stays the same.
/// - Dropping it cancels what is in flight and does not wait.
/// - Any thread may take the parts, one of a thread pool, too: what is waited for never needs the thread that waits.
/// - After an error nothing comes, unless [`Task::rebuild`] goes on where it stopped.
/// - In browsers there is nothing that waits.
#[derive(Debug)]
pub struct Task<'a> {
    architecture: Architecture,
    source: Source<'a>,
    order: Order,
    first: u64,
    to_begin: Indices,
    to_give: Indices,
    /// Images of each batch in flight, the oldest first.
    batches: std::collections::VecDeque<usize>,
    /// Made already, of a part that comes in several batches.
    gathered: Option<Part>,
    lane: Box<dyn Lane>,
    failed: bool,
}

/// Where a [`Task`] is, for pacing frames. All numbers are of images since it was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Handed out.
    pub delivered: u128,
    /// In the making, or made and waiting to be handed out.
    pub in_flight: u128,
    /// Still to be begun.
    pub remaining: u128,
}

/// What a batch gave, or all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// The index of its first image.
    pub first: u64,
    /// How many images it is of.
    pub count: usize,
    /// The images, if they are wanted.
    pub images: Option<Images>,
    /// The latents, if they are wanted.
    pub latents: Option<Latents>,
    /// One [`Images`] a time step with a picture for each image, if they are wanted.
    pub frames: Option<Vec<Images>>,
    /// The spike trains of each layer that is wanted, in the order of the list.
    pub spikes: Vec<LayerSpikes>,
}

impl<'a> Task<'a> {
    pub(crate) fn new(backend: &dyn Backend, job: Job<'a>) -> Result<Self> {
        let architecture = backend.network().architecture.clone();
        let indices = job.indices(&architecture)?;
        let order = Order::new(&job, indices.remaining, &architecture)?;
        Ok(Task {
            lane: backend.lane(&order)?,
            architecture,
            source: job.source,
            order,
            first: indices.next,
            to_begin: indices,
            to_give: indices,
            batches: Default::default(),
            gathered: None,
            failed: false,
        })
    }

    /// The index of the next image to come; `None` after the last.
    pub fn next_index(&self) -> Option<u64> {
        let gathered = self.gathered.as_ref().map(|part| part.first);
        gathered.or_else(|| (self.to_give.remaining > 0).then_some(self.to_give.next))
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let remaining = self.to_begin.remaining;
        let gathered = self.gathered.as_ref().map_or(0, |part| part.count as u128);
        Progress {
            delivered: self.order.images - self.to_give.remaining - gathered,
            in_flight: self.to_give.remaining + gathered - remaining,
            remaining,
        }
    }

    /// Images of the next part, at most.
    pub(crate) fn batch(&self) -> usize {
        self.lane.whole().unwrap_or_else(|| self.lane.batch())
    }

    /// The next part if it is there, without waiting; `Pending` if it is in the making. For frame loops: it keeps the
    /// device busy and takes what is done. On a device of [`Gpu::request`](crate::Gpu::request) it polls the device once.
    ///
    /// A frame should take no more parts than are in flight: each that is taken begins another, and where submissions wait
    /// for the device that is done soon, too.
    pub fn try_next(&mut self) -> Poll<Option<Result<Part>>> {
        self.lane.nudge();
        self.poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Goes on with the next image on another generator of the same network, after a device was lost, say. What comes is
    /// the same.
    ///
    /// # Errors
    /// [`Error::Gpu`](crate::Error::Gpu) if its device is out of memory; it may be called again then.
    pub fn rebuild(&mut self, generator: &crate::Generator) -> Result<()> {
        self.rebuild_on(generator.backend())
    }

    pub(crate) fn rebuild_on(&mut self, backend: &dyn Backend) -> Result<()> {
        self.lane = backend.lane(&self.order)?;
        self.to_begin = self.to_give;
        self.batches.clear();
        self.failed = false;
        Ok(())
    }

    /// Waits for all parts that are still to come, as one.
    ///
    /// # Errors
    /// The first of its parts.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn wait(mut self) -> Result<Part> {
        let mut whole = self.nothing()?;
        self.lane.take_all();
        for part in self {
            whole.append(part?);
        }
        Ok(whole)
    }

    /// All parts that are still to come, as one.
    ///
    /// # Errors
    /// The first of its parts.
    pub async fn finish(mut self) -> Result<Part> {
        let mut whole = self.nothing()?;
        while let Some(part) = std::future::poll_fn(|context| self.poll(context)).await {
            whole.append(part?);
        }
        Ok(whole)
    }

    fn ended(&self) -> bool {
        self.failed || self.to_give.remaining == 0
    }

    /// Images of the next batch: of no more than one part.
    fn next_batch(&self) -> usize {
        let begun = self.order.images - self.to_begin.remaining;
        let missing = self.lane.whole().map(|whole| whole - (begun % whole as u128) as usize);
        self.lane.batch().min(missing.unwrap_or(usize::MAX))
    }

    /// Begins as many batches as may be in flight.
    fn begin(&mut self) {
        while self.batches.len() < self.order.depth && self.to_begin.remaining > 0 {
            let (first, images) = self.to_begin.take(self.next_batch());
            let input = self.input(first, images);
            self.lane.begin(Work { input, images, wants: self.order.wants.clone() });
            self.batches.push_back(images);
        }
    }

    fn input(&self, first: u64, images: usize) -> Input {
        let at = (first.wrapping_sub(self.first)) as usize;
        match &self.source {
            Source::Prior { seed, .. } => Input::Prior { seed: *seed, first },
            Source::Posterior { pixels, seed, .. } => {
                let bytes = self.architecture.image_bytes();
                let pixels = pixels[at * bytes..][..images * bytes].to_vec();
                Input::Posterior { pixels, seed: *seed, first }
            }
            Source::Latents(latents) => {
                let channels = latents.channels();
                Input::Latents(latents.words()[at * channels..][..images * channels].to_vec())
            }
            Source::Rates { rates, seed, .. } => {
                let steps = self.architecture.time_steps;
                let rows = rates.len() as u64;
                let words = (0..images as u64).flat_map(|n| {
                    let index = first + n;
                    rates.words((index % rows) as usize, steps, *seed, index)
                });
                Input::Latents(words.collect())
            }
        }
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Part>>> {
        // Where submissions wait for the device, the next batch is always there, and a part of many takes long. Nobody is
        // held up for more than are in flight.
        for _ in 0..self.order.depth {
            if self.ended() {
                return Poll::Ready(None);
            }
            let made = match ready!(self.lane.poll_ready(context)) {
                Ok(()) => {
                    self.begin();
                    ready!(self.lane.poll(context))
                }
                Err(error) => Err(error),
            };
            if let Some(part) = self.give(made).transpose() {
                return Poll::Ready(Some(part));
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes a batch; the part, once it is whole.
    fn give(&mut self, made: Result<Made>) -> Result<Option<Part>> {
        let made = made.inspect_err(|_| self.failed = true)?;
        let count = self.batches.pop_front().unwrap_or_default();
        let (first, _) = self.to_give.take(count);
        // The next batch is begun before this one is looked at.
        self.begin();
        let mut part = self.part(first, count, made)?;
        if let Some(mut gathered) = self.gathered.take() {
            gathered.append(part);
            part = gathered;
        }
        if self.to_give.remaining > 0 && self.lane.whole().is_some_and(|whole| part.count < whole) {
            self.gathered = Some(part);
            return Ok(None);
        }
        Ok(Some(part))
    }

    fn part(&self, first: u64, count: usize, made: Made) -> Result<Part> {
        let Architecture { time_steps, latent_channels, .. } = self.architecture;
        let wants = &self.order.wants;
        let images = |pixels| Images::new(&self.architecture, first, pixels);
        let frame = (made.frames.len() / time_steps).max(1);
        let mut layers = self.architecture.layers();
        let spikes = wants.spikes.iter().zip(made.spikes).map(|(&at, words)| {
            let layer = std::mem::replace(&mut layers[at], crate::spikes::Layer::new("", 0, 0));
            LayerSpikes { layer, time_steps, words }
        });
        Ok(Part {
            first,
            count,
            spikes: spikes.collect(),
            images: wants.images.then(|| images(made.images)).transpose()?,
            latents: wants
                .latents
                .then(|| Latents::from_words(time_steps, latent_channels, made.latents))
                .transpose()?,
            frames: wants
                .frames
                .then(|| {
                    let mut frames: Vec<&[u8]> = made.frames.chunks(frame).collect();
                    frames.resize(time_steps, &[]);
                    frames.into_iter().map(|pixels| images(pixels.to_vec())).collect()
                })
                .transpose()?,
        })
    }

    /// A part of no images, with room for those that are still to come.
    fn nothing(&self) -> Result<Part> {
        let made = Made { spikes: vec![Vec::new(); self.order.wants.spikes.len()], ..Made::default() };
        let mut part = self.part(self.to_give.next, 0, made)?;
        let architecture = &self.architecture;
        let reserve = |pixels: &mut Vec<u8>| {
            let bytes = usize::try_from(self.to_give.remaining).ok();
            let bytes = bytes.and_then(|images| images.checked_mul(architecture.image_bytes()));
            let fits = bytes.is_some_and(|bytes| pixels.try_reserve_exact(bytes).is_ok());
            if fits { Ok(()) } else { Err(self.too_many()) }
        };
        part.images.iter_mut().try_for_each(|images| reserve(&mut images.pixels))?;
        part.frames.iter_mut().flatten().try_for_each(|images| reserve(&mut images.pixels))?;
        // Latents and spikes grow as they come.
        if self.to_give.remaining > usize::MAX as u128 / (4 * architecture.latent_channels as u128) {
            return Err(self.too_many());
        }
        Ok(part)
    }

    fn too_many(&self) -> crate::Error {
        let images = self.to_give.remaining;
        crate::Error::Range(format!("{images} images do not fit in memory; use batches"))
    }
}

impl Part {
    /// Adds the next part of the same task.
    fn append(&mut self, next: Part) {
        self.count += next.count;
        let images = |all: &mut Images, next: Images| all.pixels.extend(next.pixels);
        self.images.iter_mut().zip(next.images).for_each(|(all, next)| images(all, next));
        let frames = self.frames.iter_mut().flatten().zip(next.frames.into_iter().flatten());
        frames.for_each(|(all, next)| images(all, next));
        // Parts of one task have the same T and C.
        self.latents.iter_mut().zip(next.latents).for_each(|(all, next)| all.words.extend(next.words));
        self.spikes.iter_mut().zip(&next.spikes).for_each(|(all, next)| all.append(next));
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Iterator for Task<'_> {
    type Item = Result<Part>;

    fn next(&mut self) -> Option<Result<Part>> {
        while !self.ended() {
            // Kernels are compiled on threads that wake whoever waits.
            let ready = pollster::block_on(std::future::poll_fn(|context| self.lane.poll_ready(context)));
            let made = ready.and_then(|()| {
                self.begin();
                self.lane.wait()
            });
            if let Some(part) = self.give(made).transpose() {
                return Some(part);
            }
        }
        None
    }
}

impl futures_core::Stream for Task<'_> {
    type Item = Result<Part>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Part>>> {
        self.poll(context)
    }
}

impl futures_core::FusedStream for Task<'_> {
    fn is_terminated(&self) -> bool {
        self.ended()
    }
}
