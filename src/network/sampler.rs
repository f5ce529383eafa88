//! What draws the latents; each family has its own.

use super::{Kind, LayerFacts, Rates, SpikingLayer, spiking_layer};
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::family::Family;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sampler {
    /// Two autoregressive networks of three layers (integer machine, section 5).
    Layers { posterior: Box<[SpikingLayer; 3]>, prior: Box<[SpikingLayer; 3]> },
    /// A rate for each channel (integer machine, section 8).
    Rates(Rates),
}

impl Sampler {
    /// Rounds it, and appends what was chosen.
    pub(super) fn new(checkpoint: &Checkpoint<'_>, facts: &mut Vec<LayerFacts>) -> Result<Self> {
        match checkpoint.architecture().family {
            Family::Fsvae { .. } => {
                let mut layer = |network: &str, i: usize| -> Result<SpikingLayer> {
                    let name = format!("{network}.layers.{i}");
                    let (layer, fact) = spiking_layer(checkpoint, &name, 2.0, Kind::Linear)?;
                    facts.push(fact);
                    Ok(layer)
                };
                let mut layers = |network: &str| -> Result<Box<[SpikingLayer; 3]>> {
                    Ok(Box::new([layer(network, 0)?, layer(network, 1)?, layer(network, 2)?]))
                };
                Ok(Sampler::Layers { posterior: layers("posterior")?, prior: layers("prior")? })
            }
            Family::Esvae => {
                let (rates, fact) = Rates::new(checkpoint)?;
                facts.push(fact);
                Ok(Sampler::Rates(rates))
            }
        }
    }

    /// Posterior, then prior.
    pub(super) fn spiking_layers(&self) -> impl Iterator<Item = &SpikingLayer> {
        let [posterior, prior] = match self {
            Sampler::Layers { posterior, prior } => [&posterior[..], &prior[..]],
            Sampler::Rates(_) => [&[][..], &[]],
        };
        posterior.iter().chain(prior)
    }

    /// How many of its layers the posterior has.
    pub(super) fn posterior_layers(&self) -> usize {
        match self {
            Sampler::Layers { posterior, .. } => posterior.len(),
            Sampler::Rates(_) => 0,
        }
    }

    /// Weights that encoding needs.
    pub(crate) fn posterior_numbers(&self) -> usize {
        match self {
            Sampler::Layers { posterior, .. } => posterior.iter().map(|layer| layer.weights.len()).sum(),
            Sampler::Rates(_) => 0,
        }
    }

    /// Numbers that generation needs: weights and tables.
    pub(crate) fn prior_numbers(&self) -> usize {
        match self {
            Sampler::Layers { prior, .. } => prior.iter().map(|layer| layer.weights.len()).sum(),
            Sampler::Rates(rates) => rates.weights.len() + rates.logits.len(),
        }
    }
}
