//! Images as they come, in order, with back-pressure.

mod worker;

use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use crate::architecture::Architecture;
use crate::cpu::Cpu;
use crate::error::Result;
use crate::gpu::{Engine, Gpu, Model, Product, Source, Variant};
use crate::images::Images;
use crate::indices::Indices;
use worker::Worker;

/// How an [`ImageStream`] trades the time to the next image against images a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// Images that are made at once, and come at once; `None` is the generator's own number. Fewer where the device's
    /// limits ask for it.
    pub batch: Option<NonZeroUsize>,
    /// Batches that are made ahead of the one being looked at. With 1 nothing overlaps.
    pub in_flight: NonZeroUsize,
}

impl StreamOptions {
    /// Every image comes alone, as soon as it is done.
    pub const fn latency() -> Self {
        StreamOptions { batch: Some(NonZeroUsize::MIN), in_flight: TWO }
    }

    /// Most images a second: the generator's batch, and the next one is computed while one is read back.
    pub const fn throughput() -> Self {
        StreamOptions { batch: None, in_flight: TWO }
    }
}

const TWO: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

impl Default for StreamOptions {
    fn default() -> Self {
        StreamOptions::throughput()
    }
}

/// Where an [`ImageStream`] is, for pacing frames. All numbers are of images since the stream was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Handed out.
    pub delivered: u128,
    /// In the making, or made and waiting to be handed out.
    pub in_flight: u128,
    /// Still to be begun.
    pub remaining: u128,
}

/// Images of consecutive indices as they come, in batches; made by [`Generator::stream`](crate::Generator::stream).
///
/// - As an [`Iterator`] it waits for the next batch. As a [`futures_core::Stream`] it wakes the task, on any runtime;
///   who polls the device is said at [`Gpu`]. [`ImageStream::try_next`] does neither. All three give the same images
///   in the same order and may be mixed. Where `futures::StreamExt` is imported, too, `next` is both: say
///   `StreamExt::next(&mut stream).await` to await.
/// - Nothing is made before the first call. Then so many batches as the options say are in flight: a slow consumer
///   stops the device, and memory stays the same.
/// - Dropping it cancels what is in flight and does not wait.
/// - Any thread may take them, one of a thread pool, too: what is waited for never needs the thread that waits. If the
///   thread that works ahead on the CPU panics, there is an [`Error::Panic`](crate::Error::Panic) to take; where no
///   thread can be had, images are made when they are asked for.
/// - After an error nothing comes, unless [`ImageStream::rebuild`] goes on where it stopped.
#[derive(Debug)]
pub struct ImageStream {
    architecture: Architecture,
    seed: u64,
    /// Images of a batch.
    batch: usize,
    depth: usize,
    count: u128,
    to_submit: Indices,
    to_deliver: Indices,
    producer: Producer,
    failed: bool,
}

/// What a stream is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) seed: u64,
    /// Images of a batch.
    pub(crate) batch: usize,
    /// Batches in flight.
    pub(crate) depth: usize,
    pub(crate) indices: Indices,
}

#[derive(Debug)]
enum Producer {
    Cpu(Box<Worker>),
    Gpu(Box<Engine>),
}

impl ImageStream {
    pub(crate) fn on_cpu(cpu: &Arc<Cpu>, architecture: &Architecture, order: Order) -> Self {
        let producer = Producer::Cpu(Box::new(Worker::new(cpu.clone(), order)));
        ImageStream::new(producer, architecture, order)
    }

    pub(crate) fn on_gpu(model: &Arc<Model>, architecture: &Architecture, order: Order) -> Result<Self> {
        let most = usize::try_from(order.indices.remaining).unwrap_or(usize::MAX).max(1);
        let engine = Engine::new(model, order.batch.min(most), order.depth)?;
        let order = Order { batch: engine.capacity(), ..order };
        Ok(ImageStream::new(Producer::Gpu(Box::new(engine)), architecture, order))
    }

    fn new(producer: Producer, architecture: &Architecture, order: Order) -> Self {
        let Order { seed, batch, depth, indices } = order;
        ImageStream {
            architecture: architecture.clone(),
            seed,
            batch,
            depth,
            count: indices.remaining,
            to_submit: indices,
            to_deliver: indices,
            producer,
            failed: false,
        }
    }

    /// The index of the next image to come; `None` after the last.
    pub fn next_index(&self) -> Option<u64> {
        (self.to_deliver.remaining > 0).then_some(self.to_deliver.next)
    }

    /// Images of a batch; the last may have fewer.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let remaining = match &self.producer {
            Producer::Cpu(worker) => worker.to_begin(self.to_deliver),
            Producer::Gpu(_) => self.to_submit.remaining,
        };
        Progress {
            delivered: self.count - self.to_deliver.remaining,
            in_flight: self.to_deliver.remaining - remaining,
            remaining,
        }
    }

    /// The next batch if it is there, without waiting; `Pending` if it is in the making. For frame loops: it keeps
    /// the device busy and takes what is done. On a device of [`Gpu::request`] it polls the device once.
    pub fn try_next(&mut self) -> Poll<Option<Result<Images>>> {
        if let Producer::Gpu(engine) = &self.producer {
            engine.model().gpu.pump.poll_if_owned();
        }
        self.poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Goes on with the next image on another device, after the last one was lost, say; from the CPU, too. The
    /// images are the same.
    ///
    /// # Errors
    /// As [`Builder::gpu`](crate::Builder::gpu); it may be called again then.
    pub async fn rebuild(&mut self, gpu: &Gpu) -> Result<()> {
        let (network, variant) = match &self.producer {
            Producer::Cpu(worker) => (worker.network(), Variant::default()),
            Producer::Gpu(engine) => (&engine.model().network, engine.model().variant),
        };
        let model = Arc::new(Model::new(gpu, network, variant).await?);
        let engine = Engine::new(&model, self.batch, self.depth)?;
        self.batch = engine.capacity();
        self.producer = Producer::Gpu(Box::new(engine));
        self.to_submit = self.to_deliver;
        self.failed = false;
        Ok(())
    }

    fn ended(&self) -> bool {
        self.failed || self.to_deliver.remaining == 0
    }

    fn submit(&mut self) {
        if let Producer::Gpu(engine) = &mut self.producer {
            while engine.has_room() && self.to_submit.remaining > 0 {
                let (first, count) = self.to_submit.take(self.batch);
                engine.submit(Source::Prior { seed: self.seed, first }, Product::Images, count);
            }
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Images>>> {
        if self.ended() {
            return Poll::Ready(None);
        }
        self.submit();
        let done = match &mut self.producer {
            Producer::Cpu(worker) => ready!(worker.poll(self.to_deliver, context)),
            Producer::Gpu(engine) => {
                let mut pixels = Vec::new();
                ready!(engine.poll_collect(context, &mut pixels)).map(|()| pixels)
            }
        };
        Poll::Ready(Some(self.deliver(done)))
    }

    fn deliver(&mut self, done: Result<Vec<u8>>) -> Result<Images> {
        let pixels = done.inspect_err(|_| self.failed = true)?;
        let (first, _) = self.to_deliver.take(self.batch);
        // The next batch is begun before this one is looked at.
        self.submit();
        Images::new(&self.architecture, first, pixels)
    }
}

impl Iterator for ImageStream {
    type Item = Result<Images>;

    fn next(&mut self) -> Option<Result<Images>> {
        if self.ended() {
            return None;
        }
        self.submit();
        let done = match &mut self.producer {
            Producer::Cpu(worker) => worker.wait(self.to_deliver),
            Producer::Gpu(engine) => {
                let mut pixels = Vec::new();
                engine.collect(&mut pixels).map(|()| pixels)
            }
        };
        Some(self.deliver(done))
    }
}

impl futures_core::Stream for ImageStream {
    type Item = Result<Images>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Images>>> {
        self.poll(context)
    }
}

impl futures_core::FusedStream for ImageStream {
    fn is_terminated(&self) -> bool {
        self.ended()
    }
}
