//! What runs jobs: the CPU or a GPU. Here is all that the rest of the crate knows of the difference.
//!
//! A backend gives lanes. A lane takes the batches of one task and gives them back in the same order; several lanes of a
//! backend run side by side.

use std::fmt::{Debug, Formatter};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::architecture::Architecture;
use crate::error::{Error, Result};
use crate::gpu::GpuBackend;
use crate::job::{Job, Outputs, Source};
use crate::network::Network;

/// `Send` and `Sync`, but in browsers, where a device belongs to its thread.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) trait Portable: Send + Sync {}
#[cfg(not(target_arch = "wasm32"))]
impl<T: Send + Sync> Portable for T {}
#[cfg(target_arch = "wasm32")]
pub(crate) trait Portable {}
#[cfg(target_arch = "wasm32")]
impl<T> Portable for T {}

pub(crate) trait Backend: Portable {
    fn network(&self) -> &Network;

    /// Images that are made at once, unless a job says otherwise.
    fn batch(&self) -> usize;

    /// For batches of at most `most` images, `depth` of them at once.
    fn lane(&self, order: &Order) -> Result<Box<dyn Lane>>;

    /// What only a GPU has: timings, recording.
    fn gpu(&self) -> Option<&GpuBackend> {
        None
    }
}

// What is in them, down to wgpu's devices, is not written out: the code for it would be a tenth of a module for browsers.
impl Debug for dyn Backend {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.gpu().is_some() { "GPU" } else { "CPU" })
    }
}

impl Debug for dyn Lane {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lane")
    }
}

/// Where a batch enters the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Its latents are drawn from the prior.
    Prior,
    /// Its images are encoded.
    Posterior,
    /// It has its latents.
    Latents,
}

/// What a task asks of a lane.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// Images of a batch, if the caller decides.
    pub(crate) batch: Option<NonZeroUsize>,
    /// Batches that are begun before the first is taken.
    pub(crate) depth: usize,
    /// Images in all.
    pub(crate) images: u128,
    pub(crate) entry: Entry,
    pub(crate) wants: Arc<Wants>,
}

impl Order {
    pub(crate) fn new(job: &Job<'_>, images: u128, architecture: &Architecture) -> Result<Self> {
        let entry = match job.source {
            Source::Prior { .. } => Entry::Prior,
            Source::Posterior { .. } => Entry::Posterior,
            Source::Latents(_) | Source::Rates { .. } => Entry::Latents,
        };
        let wants = Arc::new(Wants::new(&job.outputs, entry == Entry::Posterior, architecture)?);
        Ok(Order { batch: job.batch, depth: job.in_flight.get(), images, entry, wants })
    }
}

/// Batches on their way. Of one that failed nothing is used again.
pub(crate) trait Lane: Portable {
    /// Whether a batch may be begun, or wakes the task once it may: kernels that are compiled first, say.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<()>>;

    /// The largest batch that should be begun now.
    fn batch(&self) -> usize;

    /// Images that come at once because the caller said so, where they are begun in smaller batches.
    fn whole(&self) -> Option<usize> {
        None
    }

    /// Begins a batch; the task sees to it that there are not more than the order says. What goes wrong is heard when it
    /// is taken.
    fn begin(&mut self, work: Work);

    /// Takes the oldest batch, or wakes the task when it is there.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Made>>;

    /// Takes the oldest batch, and waits for it.
    #[cfg(not(target_arch = "wasm32"))]
    fn wait(&mut self) -> Result<Made>;

    /// Before a poll by somebody who will not be woken.
    fn nudge(&self) {}

    /// Nobody looks at one batch while the next is made.
    #[cfg(not(target_arch = "wasm32"))]
    fn take_all(&mut self) {}
}

/// A batch to be made.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) input: Input,
    pub(crate) images: usize,
    pub(crate) wants: Arc<Wants>,
}

#[derive(Clone, Debug)]
pub(crate) enum Input {
    Prior {
        seed: u64,
        first: u64,
    },
    /// u8 `[n, side, side, channels]`
    Posterior {
        pixels: Vec<u8>,
        seed: u64,
        first: u64,
    },
    /// Words `[n, C]`
    Latents(Vec<u32>),
}

/// [`Outputs`] after a look at the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    pub(crate) images: bool,
    pub(crate) latents: bool,
    pub(crate) frames: bool,
    /// Of [`Architecture::layers`].
    pub(crate) spikes: Vec<usize>,
}

impl Wants {
    pub(crate) fn new(outputs: &Outputs, encodes: bool, architecture: &Architecture) -> Result<Self> {
        let layers = architecture.layers();
        let find = |name: &String| {
            let at = layers.iter().position(|layer| layer.name == *name);
            let at = at.filter(|&at| encodes || at > architecture.depth());
            at.ok_or_else(|| {
                let first = if encodes { 0 } else { architecture.depth() + 1 };
                let names: Vec<&str> = layers[first..].iter().map(|layer| layer.name.as_str()).collect();
                Error::Layer { name: name.clone(), known: names.join(", ") }
            })
        };
        Ok(Wants {
            images: outputs.images,
            latents: outputs.latents,
            frames: outputs.frames,
            spikes: outputs.spikes.iter().map(find).collect::<Result<_>>()?,
        })
    }

    /// Bytes of all that is wanted of an image.
    pub(crate) fn image_bytes(&self, architecture: &Architecture) -> usize {
        let layers = architecture.layers();
        let spikes = self
            .spikes
            .iter()
            .map(|&at| 4 * layers[at].side.pow(2) * layers[at].channels.next_multiple_of(4));
        let image = architecture.image_bytes();
        spikes.sum::<usize>()
            + if self.images { image } else { 0 }
            + if self.frames { architecture.time_steps * image } else { 0 }
            + if self.latents { 4 * architecture.latent_channels.next_multiple_of(4) } else { 0 }
    }

    pub(crate) fn is_images_alone(&self) -> bool {
        *self == Wants { images: true, ..Wants::default() }
    }
}

/// What a batch gave; what was not wanted is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Made {
    /// `[n, C]`
    pub(crate) latents: Vec<u32>,
    /// u8 `[n, side, side, channels]`
    pub(crate) images: Vec<u8>,
    /// u8 `[T, n, side, side, channels]`
    pub(crate) frames: Vec<u8>,
    /// Words `[n, side, side, channels]` of each layer that is wanted, in the order of the list.
    pub(crate) spikes: Vec<Vec<u32>>,
}
