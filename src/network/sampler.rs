//! What draws the latents; each family has its own.

use super::{LayerFacts, Rates, spiking_layer};
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::family::Family;
use crate::layer::{Shape, SpikingLayer};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sampler {
    /// Two autoregressive networks of three layers (integer machine, section 5).
    Layers { posterior: Box<[SpikingLayer; 3]>, prior: Box<[SpikingLayer; 3]> },
    /// A rate for each channel (integer machine, section 8).
    Rates(Rates),
}

impl Sampler {
    pub(super) fn new(checkpoint: &Checkpoint<'_>) -> Result<Self> {
        let architecture = checkpoint.architecture();
        match architecture.family {
            Family::Fsvae { .. } => {
                let layers = |shapes: Vec<Shape>| -> Result<Box<[SpikingLayer; 3]>> {
                    let layers = shapes.into_iter().map(|shape| spiking_layer(checkpoint, shape, 2.0));
                    let layers = layers.collect::<Result<Vec<_>>>()?;
                    Ok(layers.try_into().unwrap_or_else(|_| unreachable!("three layers")))
                };
                let (posterior, prior) = (layers(architecture.posterior())?, layers(architecture.prior())?);
                Ok(Sampler::Layers { posterior, prior })
            }
            Family::Esvae => Ok(Sampler::Rates(Rates::new(checkpoint)?)),
        }
    }

    /// The spiking layers of the posterior.
    pub(crate) fn posterior(&self) -> &[SpikingLayer] {
        match self {
            Sampler::Layers { posterior, .. } => &posterior[..],
            Sampler::Rates(_) => &[],
        }
    }

    /// The spiking layers of the prior.
    pub(crate) fn prior(&self) -> &[SpikingLayer] {
        match self {
            Sampler::Layers { prior, .. } => &prior[..],
            Sampler::Rates(_) => &[],
        }
    }

    pub(super) fn prior_facts(&self) -> Vec<LayerFacts> {
        match self {
            Sampler::Layers { prior, .. } => {
                prior.iter().map(|layer| layer.facts(layer.exponents.clone())).collect()
            }
            Sampler::Rates(rates) => rates.facts(),
        }
    }

    /// Weights that encoding needs.
    pub(crate) fn posterior_numbers(&self) -> usize {
        self.posterior().iter().map(|layer| layer.weights.len()).sum()
    }

    /// Numbers that generation needs: weights and tables.
    pub(crate) fn prior_numbers(&self) -> usize {
        match self {
            Sampler::Layers { prior, .. } => prior.iter().map(|layer| layer.weights.len()).sum(),
            Sampler::Rates(rates) => {
                rates.layers.iter().map(|layer| layer.weights.len()).sum::<usize>() + rates.logits.len()
            }
        }
    }
}
