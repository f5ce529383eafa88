//! Images as they come, in order, with back-pressure: a [`Task`] of the prior that gives images and nothing else.

use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::builder::{Builder, Options};
use crate::error::Result;
use crate::gpu::Gpu;
use crate::images::Images;
use crate::job::IN_FLIGHT;
use crate::network::Network;
use crate::task::{Part, Progress, Task};

/// How an [`ImageStream`] trades the time to the next image against images a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// Images that come at once; `None` is the generator's own number. Fewer where the device's limits ask for it.
    pub batch: Option<NonZeroUsize>,
    /// Batches that are made ahead of the one being looked at. With 1 nothing overlaps.
    pub in_flight: NonZeroUsize,
}

impl StreamOptions {
    /// Every image comes alone, as soon as it is done.
    pub const fn latency() -> Self {
        StreamOptions { batch: Some(NonZeroUsize::MIN), in_flight: IN_FLIGHT }
    }

    /// Most images a second: the generator's batch, and the next one is computed while one is read back.
    pub const fn throughput() -> Self {
        StreamOptions { batch: None, in_flight: IN_FLIGHT }
    }
}

impl Default for StreamOptions {
    fn default() -> Self {
        StreamOptions::throughput()
    }
}

/// Images of consecutive indices as they come, in batches; made by [`Generator::stream`](crate::Generator::stream). All that
/// is said of a [`Task`] holds. Where `futures::StreamExt` is imported, `next` is both the iterator's and the stream's: say
/// `StreamExt::next(&mut stream).await` to await.
#[derive(Debug)]
pub struct ImageStream {
    task: Task<'static>,
    network: Network,
    options: Options,
}

impl ImageStream {
    pub(crate) fn new(task: Task<'static>, network: &Network, options: Options) -> Self {
        ImageStream { task, network: network.clone(), options }
    }

    /// The index of the next image to come; `None` after the last.
    pub fn next_index(&self) -> Option<u64> {
        self.task.next_index()
    }

    /// Images of the next batch that is begun, at most.
    pub fn batch(&self) -> usize {
        self.task.batch()
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.task.progress()
    }

    /// The next batch if it is there, without waiting; see [`Task::try_next`].
    pub fn try_next(&mut self) -> Poll<Option<Result<Images>>> {
        self.task.try_next().map(images)
    }

    /// Goes on with the next image on another device, after the last one was lost, say; from the CPU, too. The
    /// images are the same.
    ///
    /// # Errors
    /// As [`Builder::gpu`](crate::Builder::gpu); it may be called again then.
    pub async fn rebuild(&mut self, gpu: &Gpu) -> Result<()> {
        self.task.rebuild(&Builder::with(&self.network, self.options).gpu(gpu).await?)
    }
}

fn images(part: Option<Result<Part>>) -> Option<Result<Images>> {
    Some(part?.and_then(|part| part.images.ok_or_else(|| unreachable!("images are what the job gives"))))
}

#[cfg(not(target_arch = "wasm32"))]
impl Iterator for ImageStream {
    type Item = Result<Images>;

    fn next(&mut self) -> Option<Result<Images>> {
        images(self.task.next())
    }
}

impl futures_core::Stream for ImageStream {
    type Item = Result<Images>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Images>>> {
        self.task.poll(context).map(images)
    }
}

impl futures_core::FusedStream for ImageStream {
    fn is_terminated(&self) -> bool {
        futures_core::FusedStream::is_terminated(&self.task)
    }
}
