//! The network on integers: folding and rounding on the host, in double precision, the only place
//! with floating point (integer machine, sections 2, 3 and 6).

mod carry;
mod rates;
mod readout;
mod sampler;

use std::path::Path;
use std::sync::Arc;

use crate::architecture::{Architecture, decoder_name};
use crate::checkpoint::{Checkpoint, Tensor};
use crate::cpu::parallel::{for_each_chunk, in_pool};
use crate::error::{CheckpointError, Result};
use crate::family::RATES;
use crate::floats::in_default_state;
pub(crate) use carry::Carry;
pub(crate) use rates::Rates;
#[cfg(any(test, feature = "verify"))]
pub(crate) use rates::logits;
pub(crate) use readout::pixel_thresholds;
use readout::readout;
pub(crate) use sampler::Sampler;

/// Firing threshold V_th of every neuron before rounding.
const THRESHOLD: f64 = 0.2;
/// The batch norm's epsilon.
const EPSILON: f64 = 1e-5;
/// Bound on |current|: it keeps a membrane potential, under 4/3 of it, inside `i32`.
const CURRENT_LIMIT: f64 = ((3_i64 << 29) - (1 << 16)) as f64;
/// Guard bits of the image layer's weights.
const GUARD_BITS: u8 = 8;

/// A network that is ready to run: integer weights, biases and thresholds, and the readout.
///
/// A clone shares the weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    pub(crate) architecture: Architecture,
    /// The image layer; its weights have 8 guard bits and are meant for `2 * pixel - 255`.
    pub(crate) image_layer: SpikingLayer,
    pub(crate) encoder: Vec<SpikingLayer>,
    pub(crate) latent: SpikingLayer,
    pub(crate) sampler: Sampler,
    pub(crate) decoder_input: SpikingLayer,
    pub(crate) decoder: Vec<SpikingLayer>,
    pub(crate) readout: Readout,
    pub(crate) facts: Vec<LayerFacts>,
}

/// One layer of leaky integrate-and-fire neurons (integer machine, sections 3 and 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SpikingLayer {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// 1 for a linear layer, 4 (y, x) for one that sees a 2x2 map, 9 (ky, kx) for a 3x3 convolution.
    pub(crate) taps: usize,
    /// `[outputs, inputs, taps]`
    pub(crate) weights: Arc<[i32]>,
    /// `[outputs]`
    pub(crate) bias: Vec<i32>,
    /// `[outputs]`; a membrane potential above it is a spike.
    pub(crate) threshold: Vec<i32>,
}

impl SpikingLayer {
    pub(crate) fn weight(&self, output: usize, input: usize, tap: usize) -> i32 {
        self.weights[(output * self.inputs + input) * self.taps + tap]
    }
}

impl SpikingLayer {
    /// The same linear layer with inputs `[parts, channels]` as `channels` inputs of `parts` taps.
    pub(crate) fn with_inputs_apart(&self, channels: usize) -> Self {
        let parts = self.inputs / channels;
        let mut weights = Vec::with_capacity(self.weights.len());
        for output in 0..self.outputs {
            for channel in 0..channels {
                weights.extend((0..parts).map(|part| self.weight(output, part * channels + channel, 0)));
            }
        }
        SpikingLayer { inputs: channels, taps: parts, weights: weights.into(), ..self.clone() }
    }
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
    /// [`CheckpointError::Range`] if the weights of an output channel cannot be rounded within
    /// the contract's bounds.
    pub fn new(checkpoint: &Checkpoint<'_>) -> Result<Self> {
        trace!("fsvae.round");
        in_default_state(|| in_pool(|| Network::round(checkpoint)))
    }

    fn round(checkpoint: &Checkpoint<'_>) -> Result<Self> {
        let architecture = checkpoint.architecture().clone();
        let depth = architecture.depth();
        let mut facts = Vec::new();
        let spiking = |facts: &mut Vec<LayerFacts>, name: &str, kind: Kind| -> Result<SpikingLayer> {
            let (layer, fact) = spiking_layer(checkpoint, name, 1.0, kind)?;
            facts.push(fact);
            Ok(layer)
        };

        let image_layer = spiking(&mut facts, "encoder.0", Kind::Image)?;
        let encoder = (1..depth)
            .map(|layer| spiking(&mut facts, &format!("encoder.{layer}"), Kind::Convolution))
            .collect::<Result<_>>()?;
        // The checkpoint flattens the 2x2 map channel, y, x: channels with four taps.
        let mut latent = spiking(&mut facts, "before_latent_layer", Kind::Linear)?;
        (latent.inputs, latent.taps) = (latent.inputs / 4, 4);
        let sampler = Sampler::new(checkpoint, &mut facts)?;
        let decoder_input = spiking(&mut facts, "decoder_input", Kind::Linear)?;
        let decoder = (0..depth)
            .map(|layer| spiking(&mut facts, &decoder_name(layer, depth), Kind::Transposed))
            .collect::<Result<_>>()?;
        let readout = readout(checkpoint)?;
        facts.push(LayerFacts {
            name: READOUT.into(),
            inputs: readout.inputs,
            outputs: readout.outputs,
            fan_in: readout.inputs * 9,
            exponents: Vec::new(),
        });
        Ok(Network {
            architecture,
            image_layer,
            encoder,
            latent,
            sampler,
            decoder_input,
            decoder,
            readout,
            facts,
        })
    }

    /// The sizes of the network.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// What rounding chose, layer by layer in the order of the data flow: encoder, posterior,
    /// prior, decoder, readout. An ESVAE's prior is its sample layer; its posterior has no weights.
    pub fn layers(&self) -> &[LayerFacts] {
        &self.facts
    }

    /// Those of [`Network::layers`] that generation runs: prior, decoder, readout.
    pub fn layers_of_generation(&self) -> &[LayerFacts] {
        &self.facts[self.architecture.depth() + 1 + self.sampler.posterior_layers()..]
    }

    /// The spiking ones among [`Network::layers`], with their numbers.
    pub(crate) fn spiking_facts(&self) -> impl Iterator<Item = (&SpikingLayer, &LayerFacts)> {
        self.layers_in_order().zip(self.facts.iter().filter(|facts| facts.name != RATES))
    }

    /// The spiking layers in the order of the data flow.
    fn layers_in_order(&self) -> impl Iterator<Item = &SpikingLayer> {
        std::iter::once(&self.image_layer)
            .chain(&self.encoder)
            .chain([&self.latent])
            .chain(self.sampler.spiking_layers())
            .chain([&self.decoder_input])
            .chain(&self.decoder)
    }
}

const READOUT: &str = "final_layer.1";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Linear,
    /// The encoder's first convolution, on u8 pixels instead of spikes.
    Image,
    Convolution,
    Transposed,
}

/// A layer's weights and biases with the batch norm folded in, one output channel at a time.
struct Folded<'a> {
    weights: Tensor<'a>,
    inputs: usize,
    outputs: usize,
    taps: usize,
    /// Inputs come first in the weights' axes (transposed convolutions).
    transposed: bool,
    /// g, `[outputs]`; `None` without batch norm.
    gain: Option<Vec<f64>>,
    /// b', `[outputs]`
    bias: Vec<f64>,
}

impl<'a> Folded<'a> {
    /// `gain` is `alpha` where the layer has a batch norm. The order of the operations is the
    /// contract's: it decides the last bit.
    fn new(checkpoint: &'a Checkpoint<'_>, name: &str, alpha: Option<f64>, kind: Kind) -> Result<Self> {
        let tensor = |part: &str| checkpoint.tensor(&format!("{name}.{part}"));
        let weights = tensor("weight")?;
        let bias = tensor("bias")?;
        let outputs = bias.len();
        let taps = if kind == Kind::Linear { 1 } else { 9 };
        let inputs = weights.len() / (outputs * taps);
        let transposed = kind == Kind::Transposed;
        let (gain, bias) = match alpha {
            None => (None, (0..outputs).map(|o| bias.get(o)).collect()),
            Some(alpha) => {
                let (scale, shift) = (tensor("bn.weight")?, tensor("bn.bias")?);
                let (mean, variance) = (tensor("bn.running_mean")?, tensor("bn.running_var")?);
                let gain: Vec<f64> = (0..outputs)
                    .map(|o| (alpha * THRESHOLD) * scale.get(o) / (variance.get(o) + EPSILON).sqrt())
                    .collect();
                let folded = |o: usize| (bias.get(o) - mean.get(o)) * gain[o] + shift.get(o);
                let bias = (0..outputs).map(folded).collect();
                (Some(gain), bias)
            }
        };
        Ok(Folded { weights, inputs, outputs, taps, transposed, gain, bias })
    }

    /// W' of one output channel, `[inputs, taps]`.
    fn row(&self, output: usize, row: &mut Vec<f64>) {
        row.clear();
        for input in 0..self.inputs {
            let (major, minor, minors) =
                if self.transposed { (input, output, self.outputs) } else { (output, input, self.inputs) };
            let start = (major * minors + minor) * self.taps;
            let taps = (start..start + self.taps).map(|at| self.weights.get(at));
            match &self.gain {
                Some(gain) => row.extend(taps.map(|weight| weight * gain[output])),
                None => row.extend(taps),
            }
        }
    }

    /// One output channel, rounded; `None` if no exponent will do. `row` is room for its weights.
    fn channel(&self, output: usize, kind: Kind, row: &mut Vec<f64>) -> Option<Channel> {
        self.row(output, row);
        let mut peak = 1.0;
        if kind == Kind::Image {
            row.iter_mut().for_each(|weight| *weight /= 255.0);
            peak = 255.0;
        }
        let bias = self.bias[output];
        let exponent = exponent(row, bias, peak)?;
        let scale = power_of_two(exponent);
        let guarded = if kind == Kind::Image { power_of_two(exponent + GUARD_BITS) } else { scale };
        Some(Channel {
            weights: row.iter().map(|weight| (weight * guarded).round_ties_even() as i32).collect(),
            bias: (bias * scale).round_ties_even() as i32,
            threshold: (THRESHOLD * scale).floor() as i32,
            exponent,
        })
    }
}

/// Output channels that a thread rounds at once.
const CHANNELS: usize = 8;

/// An output channel of a spiking layer.
struct Channel {
    /// `[inputs, taps]`
    weights: Vec<i32>,
    bias: i32,
    threshold: i32,
    exponent: u8,
}

fn spiking_layer(
    checkpoint: &Checkpoint<'_>,
    name: &str,
    alpha: f64,
    kind: Kind,
) -> Result<(SpikingLayer, LayerFacts)> {
    let folded = Folded::new(checkpoint, name, Some(alpha), kind)?;
    let fan_in = folded.inputs * folded.taps;
    let mut channels: Vec<Option<Channel>> = (0..folded.outputs).map(|_| None).collect();
    for_each_chunk(&mut channels, CHANNELS, |chunk, channels| {
        let mut row = Vec::with_capacity(fan_in);
        for (output, channel) in (chunk * CHANNELS..).zip(channels) {
            *channel = folded.channel(output, kind, &mut row);
        }
    });
    let mut weights = Vec::with_capacity(folded.outputs * fan_in);
    let mut biases = Vec::with_capacity(folded.outputs);
    let mut thresholds = Vec::with_capacity(folded.outputs);
    let mut exponents = Vec::with_capacity(folded.outputs);
    for (output, channel) in channels.into_iter().enumerate() {
        let Some(channel) = channel else {
            return Err(checkpoint.error(CheckpointError::Range {
                tensor: format!("{name}.weight"),
                channel: output,
                bound: "no exponent from 28 down to 8 keeps the current below 3 * 2^29 - 2^16",
            }));
        };
        weights.extend(channel.weights);
        biases.push(channel.bias);
        thresholds.push(channel.threshold);
        exponents.push(channel.exponent);
    }
    let Folded { inputs, outputs, taps, .. } = folded;
    let layer =
        SpikingLayer { inputs, outputs, taps, weights: weights.into(), bias: biases, threshold: thresholds };
    Ok((layer, LayerFacts { name: name.into(), inputs, outputs, fan_in, exponents }))
}

/// The largest exponent from 28 down to 8 with which a row's current stays inside its bound. The
/// sums are of integers far below 2^53 wherever they pass, hence exact; NaN and infinity fail.
fn exponent(row: &[f64], bias: f64, peak: f64) -> Option<u8> {
    let magnitude: f64 = row.iter().map(|weight| weight.abs()).sum();
    (8..=28).rev().find(|&exponent| {
        let scale = power_of_two(exponent);
        // Rounding takes at most half a unit off each weight, so most exponents that are too large
        // are seen without rounding all weights.
        let least = (magnitude * scale - row.len() as f64) * peak;
        if least >= CURRENT_LIMIT {
            return false;
        }
        let sum: f64 = row.iter().map(|weight| (weight * scale).round_ties_even().abs()).sum();
        sum * peak + (bias * scale).round_ties_even().abs() < CURRENT_LIMIT
    })
}

fn power_of_two(exponent: u8) -> f64 {
    (1_u64 << exponent) as f64
}

#[cfg(all(test, feature = "bundled"))]
mod tests;
