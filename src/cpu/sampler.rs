//! What draws latents: the twins of the network's family.

use super::rates::{resample, sample_rates};
use super::sample::{self, sample};
use super::spikes::Spikes;
use super::vectors::Processor;
use crate::network::{Network, Rates, Sampler};
use crate::philox::{Draws, Stream};

/// Draws latents of new images.
#[derive(Debug)]
pub(crate) enum Prior {
    Layers(Box<sample::Sampler>),
    Rates(Processor, Rates),
}

/// Draws latents of images that were encoded.
#[derive(Debug)]
pub(crate) enum Posterior {
    Layers(Box<sample::Sampler>),
    Resample,
}

impl Prior {
    pub(crate) fn new(processor: Processor, network: &Network) -> Self {
        let channels = network.architecture.latent_channels;
        match &network.sampler {
            Sampler::Layers { prior, .. } => {
                Prior::Layers(Box::new(sample::Sampler::new(processor, prior, channels)))
            }
            Sampler::Rates(rates) => Prior::Rates(processor, rates.clone()),
        }
    }

    /// Latent spike trains z of one image.
    pub(crate) fn draw(&self, seed: u64, index: u64, channels: usize, steps: usize) -> Spikes {
        match self {
            Prior::Layers(layers) => {
                sample(layers, None, Draws { seed, index, stream: Stream::Prior, channels }, steps)
            }
            Prior::Rates(processor, rates) => sample_rates(*processor, rates, seed, index, steps),
        }
    }
}

impl Posterior {
    pub(crate) fn new(processor: Processor, network: &Network) -> Self {
        let channels = network.architecture.latent_channels;
        match &network.sampler {
            Sampler::Layers { posterior, .. } => {
                Posterior::Layers(Box::new(sample::Sampler::new(processor, posterior, channels)))
            }
            Sampler::Rates(_) => Posterior::Resample,
        }
    }

    /// Latent spike trains z of one image, of which `encoded` are the encoder's spikes.
    pub(crate) fn draw(&self, encoded: &Spikes, seed: u64, index: u64) -> Spikes {
        match self {
            Posterior::Layers(layers) => {
                let draws = Draws { seed, index, stream: Stream::Posterior, channels: encoded.channels };
                sample(layers, Some(encoded), draws, encoded.steps)
            }
            Posterior::Resample => resample(encoded, seed, index),
        }
    }
}
