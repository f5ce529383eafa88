//! The network on integers: folding and rounding on the host, in double precision, the only place
//! with floating point (integer machine, sections 2, 3 and 6).

mod carry;
mod folded;
mod rates;
mod readout;
mod sampler;

use std::path::Path;
use std::sync::Arc;

use crate::architecture::Architecture;
use crate::checkpoint::Checkpoint;
use crate::cpu::parallel::in_pool;
use crate::error::Result;
use crate::floats::in_default_state;
use crate::layer::{Shape, SpikingLayer};
pub(crate) use carry::Carry;
use folded::spiking_layer;
#[cfg(any(test, feature = "verify"))]
pub(crate) use rates::logits;
pub(crate) use rates::{MOST, RateLayer, Rates};
pub(crate) use readout::pixel_thresholds;
use readout::readout;
pub(crate) use sampler::Sampler;

/// A network that is ready to run: integer weights, biases and thresholds, and the readout.
///
/// A clone shares the weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    pub(crate) architecture: Architecture,
    /// [`Architecture::encoder`]: the layer of pixels, convolutions, and the latents' channels.
    pub(crate) encoder: Vec<SpikingLayer>,
    pub(crate) sampler: Sampler,
    /// [`Architecture::decoder`]: the first map, and transposed convolutions.
    pub(crate) decoder: Vec<SpikingLayer>,
    pub(crate) readout: Readout,
}

/// The last convolution and the membrane readout, commuted (integer machine, section 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Readout {
    pub(crate) inputs: usize,
    /// Image channels.
    pub(crate) outputs: usize,
    /// `[outputs, inputs, 9]`, |W| < 2^45
    pub(crate) weights: Arc<[i64]>,
    /// How to read out the picture as if the run ended after each time step; the last is the image.
    pub(crate) moments: Vec<Moment>,
}

/// The readout's coefficients for the picture after one time step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// K_t, `[T]`, zero after the moment.
    pub(crate) coefficients: Vec<i32>,
    /// `[outputs]`, |B| < 2^45
    pub(crate) bias: Vec<i64>,
}

impl Readout {
    /// The moment after the last time step: the image.
    pub(crate) fn last(&self) -> &Moment {
        &self.moments[self.moments.len() - 1]
    }

    pub(crate) fn weight(&self, output: usize, input: usize, tap: usize) -> i64 {
        self.weights[(output * self.inputs + input) * 9 + tap]
    }
}

/// What rounding chose for one layer, for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerFacts {
    /// The layer's name in the checkpoint.
    pub name: String,
    /// Input channels or neurons.
    pub inputs: usize,
    /// Output channels or neurons.
    pub outputs: usize,
    /// Weights of one output.
    pub fan_in: usize,
    /// Exponent e_o of each output channel, 8 to 28: its weights are multiples of 2^-e_o. Empty
    /// for the readout, whose exponent is always 20.
    pub exponents: Vec<u8>,
}

impl Network {
    /// Opens, checks, folds and rounds a checkpoint file.
    ///
    /// # Errors
    /// As [`Checkpoint::open`] and [`Network::new`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Network::new(&Checkpoint::open(path)?)
    }

    /// Folds and rounds a checkpoint. All layers are checked, those of the encoder and the
    /// posterior too. The integers are the same whatever rounding mode the calling thread is in, and whether or not
    /// it flushes subnormal numbers to zero.
    ///
    /// # Errors
    /// [`CheckpointError::Range`](crate::CheckpointError::Range) if the weights of an output channel cannot be rounded within
    /// the contract's bounds.
    pub fn new(checkpoint: &Checkpoint<'_>) -> Result<Self> {
        trace!("fsvae.round");
        in_default_state(|| in_pool(|| Network::round(checkpoint)))
    }

    fn round(checkpoint: &Checkpoint<'_>) -> Result<Self> {
        let architecture = checkpoint.architecture().clone();
        let spiking = |shapes: Vec<Shape>| -> Result<Vec<SpikingLayer>> {
            shapes.into_iter().map(|shape| spiking_layer(checkpoint, shape, 1.0)).collect()
        };
        Ok(Network {
            encoder: spiking(architecture.encoder())?,
            sampler: Sampler::new(checkpoint)?,
            decoder: spiking(architecture.decoder())?,
            readout: readout(checkpoint)?,
            architecture,
        })
    }

    /// The sizes of the network.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// What rounding chose, layer by layer in the order of the data flow: encoder, posterior,
    /// prior, decoder, readout. An ESVAE's prior is its sample layer; its posterior has no weights.
    pub fn layers(&self) -> Vec<LayerFacts> {
        let spiking = |layer: &SpikingLayer| layer.facts(layer.exponents.clone());
        let encoder = self.encoder.iter().map(spiking);
        encoder
            .chain(self.sampler.posterior().iter().map(spiking))
            .chain(self.layers_of_generation())
            .collect()
    }

    /// Those of [`Network::layers`] that generation runs: prior, decoder, readout.
    pub fn layers_of_generation(&self) -> Vec<LayerFacts> {
        let decoder = self.decoder.iter().map(|layer| layer.facts(layer.exponents.clone()));
        let readout = self.architecture.readout().facts(Vec::new());
        self.sampler.prior_facts().into_iter().chain(decoder).chain([readout]).collect()
    }

    /// The spiking layers in the order of the data flow: encoder, posterior, prior, decoder.
    pub(crate) fn all_spiking(&self) -> impl Iterator<Item = &SpikingLayer> {
        let latents = self.encoder.iter().chain(self.sampler.posterior());
        latents.chain(self.sampler.prior()).chain(&self.decoder)
    }
}

#[cfg(all(test, feature = "bundled"))]
mod tests;
