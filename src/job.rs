//! What to make: the one description of work. Waiting, awaiting, streams and the C interface all start one of these.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::ops::RangeBounds;

use crate::architecture::Architecture;
use crate::error::{Error, Result};
use crate::indices::Indices;
use crate::latents::Latents;
use crate::rates::Rates;

/// Where latents come from, what is wanted of them, and how many at once. [`Generator::start`](crate::Generator::start)
/// makes a [`Task`](crate::Task) of it.
///
/// ```
/// use fsvae::{Job, Outputs};
///
/// # fn main() -> fsvae::Result<()> {
/// let job = Job::prior(7, 0..64)?.giving(Outputs::images().and(Outputs::latents()));
/// # let _ = job;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Job<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) outputs: Outputs,
    pub(crate) batch: Option<NonZeroUsize>,
    pub(crate) in_flight: NonZeroUsize,
}

#[derive(Clone, Debug)]
pub(crate) enum Source<'a> {
    /// Drawn from the prior.
    Prior { seed: u64, indices: Indices },
    /// Drawn from the posterior, given u8 images `[n, side, side, channels]`.
    Posterior { pixels: Cow<'a, [u8]>, seed: u64, first: u64 },
    /// As they are.
    Latents(Cow<'a, Latents>),
    /// Drawn from rates `[n, C]`.
    Rates { rates: Cow<'a, Rates>, seed: u64, indices: Indices },
}

/// One batch is computed while another is read back.
pub(crate) const IN_FLIGHT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

impl<'a> Job<'a> {
    fn new(source: Source<'a>) -> Self {
        Job { source, outputs: Outputs::images(), batch: None, in_flight: IN_FLIGHT }
    }

    /// Latents drawn from the prior for a range of indices, such as `0..64` or `u64::MAX..=u64::MAX`. Gives images, unless
    /// [`Job::giving`] says otherwise; so do the others.
    ///
    /// # Errors
    /// [`Error::Range`] if the range starts past `u64::MAX`.
    pub fn prior(seed: u64, range: impl RangeBounds<u64>) -> Result<Self> {
        Ok(Job::new(Source::Prior { seed, indices: Indices::new(range)? }))
    }

    /// Latents drawn from the posterior of images, u8 `[n, side, side, channels]`. The n-th has index `first` + n.
    pub fn posterior(pixels: impl Into<Cow<'a, [u8]>>, seed: u64, first: u64) -> Self {
        Job::new(Source::Posterior { pixels: pixels.into(), seed, first })
    }

    /// Latents as they are, with indices from 0 on.
    pub fn latents(latents: &'a Latents) -> Self {
        Job::new(Source::Latents(Cow::Borrowed(latents)))
    }

    /// Latents drawn from rates for a range of indices: index i has the rates of row i mod n, whatever the range.
    ///
    /// # Errors
    /// [`Error::Range`] if the range starts past `u64::MAX`.
    pub fn rates(rates: &'a Rates, seed: u64, range: impl RangeBounds<u64>) -> Result<Self> {
        Ok(Job::new(Source::Rates { rates: Cow::Borrowed(rates), seed, indices: Indices::new(range)? }))
    }

    /// What is wanted of them.
    pub fn giving(self, outputs: Outputs) -> Self {
        Job { outputs, ..self }
    }

    /// So many images come at once, instead of as many as suit the generator: it decides speed and memory, never pixels.
    /// Fewer where the device's limits ask for it. Submissions keep the generator's [budget](crate::Builder::budget): images
    /// that take longer come in several of them.
    pub fn batch(self, images: NonZeroUsize) -> Self {
        Job { batch: Some(images), ..self }
    }

    /// So many batches are made ahead of the one being looked at, by default 2. With 1 nothing overlaps.
    pub fn in_flight(self, batches: NonZeroUsize) -> Self {
        Job { in_flight: batches, ..self }
    }

    /// The same with inputs of its own, so that its task borrows nothing.
    pub fn into_owned(self) -> Job<'static> {
        let source = match self.source {
            Source::Prior { seed, indices } => Source::Prior { seed, indices },
            Source::Posterior { pixels, seed, first } => {
                Source::Posterior { pixels: Cow::Owned(pixels.into_owned()), seed, first }
            }
            Source::Latents(latents) => Source::Latents(Cow::Owned(latents.into_owned())),
            Source::Rates { rates, seed, indices } => {
                Source::Rates { rates: Cow::Owned(rates.into_owned()), seed, indices }
            }
        };
        Job { source, ..self }
    }

    /// The images' indices, after a look at the inputs.
    pub(crate) fn indices(&self, architecture: &Architecture) -> Result<Indices> {
        match &self.source {
            Source::Prior { indices, .. } => Ok(*indices),
            Source::Posterior { pixels, first, .. } => {
                let count = architecture.check_pixels(pixels.len())?;
                if first.checked_add((count as u64).saturating_sub(1)).is_none() {
                    return Err(Error::Range(format!(
                        "{count} images from index {first} on pass {}",
                        u64::MAX
                    )));
                }
                Ok(Indices { next: *first, remaining: count as u128 })
            }
            Source::Latents(latents) => {
                latents.check(architecture.time_steps, architecture.latent_channels)?;
                Ok(Indices { next: 0, remaining: latents.len() as u128 })
            }
            Source::Rates { rates, indices, .. } => {
                rates.check(architecture.latent_channels)?;
                Ok(*indices)
            }
        }
    }
}

/// What a [`Job`] gives of every image. Several go together: `Outputs::images().and(Outputs::spikes(["decoder.0"]))`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    pub(crate) images: bool,
    pub(crate) latents: bool,
    pub(crate) frames: bool,
    pub(crate) spikes: Vec<String>,
}

impl Outputs {
    /// The pixels.
    pub fn images() -> Self {
        Outputs { images: true, ..Outputs::default() }
    }

    /// The latent spike trains.
    pub fn latents() -> Self {
        Outputs { latents: true, ..Outputs::default() }
    }

    /// The T pictures that the membrane of the readout passes through, each as if the run ended after that time step
    /// (integer machine, section 6).
    pub fn frames() -> Self {
        Outputs { frames: true, ..Outputs::default() }
    }

    /// The spike trains of some layers, by their names in [`Architecture::layers`].
    pub fn spikes<S: Into<String>>(layers: impl IntoIterator<Item = S>) -> Self {
        let spikes = layers.into_iter().map(Into::into).collect();
        Outputs::default().and(Outputs { spikes, ..Outputs::default() })
    }

    /// Both.
    pub fn and(mut self, other: Outputs) -> Self {
        self.images |= other.images;
        self.latents |= other.latents;
        self.frames |= other.frames;
        for layer in other.spikes {
            if !self.spikes.contains(&layer) {
                self.spikes.push(layer);
            }
        }
        self
    }
}
