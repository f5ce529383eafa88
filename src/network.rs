//! The network on integers: folding and rounding on the host, in double precision, the only place
//! with floating point (integer machine, sections 2, 3 and 6).

use std::path::Path;

use crate::architecture::{Architecture, decoder_name};
use crate::checkpoint::{Checkpoint, Tensor};
use crate::error::{CheckpointError, Result};

/// Firing threshold V_th of every neuron before rounding.
const THRESHOLD: f64 = 0.2;
/// The batch norm's epsilon.
const EPSILON: f64 = 1e-5;
/// Bound on |current|: it keeps a membrane potential, under 4/3 of it, inside `i32`.
const CURRENT_LIMIT: f64 = ((3_i64 << 29) - (1 << 16)) as f64;
/// Bound on |S| of the readout.
const READOUT_LIMIT: f64 = ((1_i64 << 45) - (1 << 40)) as f64;
/// Guard bits of the image layer's weights.
const GUARD_BITS: u8 = 8;

/// A network that is ready to run: integer weights, biases and thresholds, and the readout.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    pub(crate) architecture: Architecture,
    pub(crate) prior: [SpikingLayer; 3],
    pub(crate) decoder_input: SpikingLayer,
    pub(crate) decoder: Vec<SpikingLayer>,
    pub(crate) readout: Readout,
    facts: Vec<LayerFacts>,
}

/// One layer of leaky integrate-and-fire neurons (integer machine, sections 3 and 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SpikingLayer {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// 1 for a linear layer, 9 (ky, kx) for a 3x3 convolution.
    pub(crate) taps: usize,
    /// `[outputs, inputs, taps]`
    pub(crate) weights: Vec<i32>,
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

/// The last convolution and the membrane readout, commuted (integer machine, section 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Readout {
    pub(crate) inputs: usize,
    /// Image channels.
    pub(crate) outputs: usize,
    /// K_t, `[T]`
    pub(crate) coefficients: Vec<i32>,
    /// `[outputs, inputs, 9]`, |W| < 2^45
    pub(crate) weights: Vec<i64>,
    /// `[outputs]`
    pub(crate) bias: Vec<i64>,
}

impl Readout {
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
    /// posterior too.
    ///
    /// # Errors
    /// [`CheckpointError::Range`] if the weights of an output channel cannot be rounded within
    /// the contract's bounds.
    pub fn new(checkpoint: &Checkpoint<'_>) -> Result<Self> {
        let architecture = checkpoint.architecture().clone();
        let depth = architecture.depth();
        let mut facts = Vec::new();
        let mut spiking = |name: &str, alpha: f64, kind: Kind| -> Result<SpikingLayer> {
            let (layer, fact) = spiking_layer(checkpoint, name, alpha, kind)?;
            facts.push(fact);
            Ok(layer)
        };

        spiking("encoder.0", 1.0, Kind::Image)?;
        for layer in 1..depth {
            spiking(&format!("encoder.{layer}"), 1.0, Kind::Convolution)?;
        }
        spiking("before_latent_layer", 1.0, Kind::Linear)?;
        let mut sampler = |name: &str| -> Result<[SpikingLayer; 3]> {
            let mut layer = |i| spiking(&format!("{name}.layers.{i}"), 2.0, Kind::Linear);
            Ok([layer(0)?, layer(1)?, layer(2)?])
        };
        sampler("posterior")?;
        let prior = sampler("prior")?;
        let decoder_input = spiking("decoder_input", 1.0, Kind::Linear)?;
        let decoder = (0..depth)
            .map(|layer| spiking(&decoder_name(layer, depth), 1.0, Kind::Transposed))
            .collect::<Result<_>>()?;
        let readout = readout(checkpoint)?;
        facts.push(LayerFacts {
            name: READOUT.into(),
            inputs: readout.inputs,
            outputs: readout.outputs,
            fan_in: readout.inputs * 9,
            exponents: Vec::new(),
        });
        Ok(Network { architecture, prior, decoder_input, decoder, readout, facts })
    }

    /// The sizes of the network.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// What rounding chose, layer by layer in the order of the data flow: encoder, posterior,
    /// prior, decoder, readout.
    pub fn layers(&self) -> &[LayerFacts] {
        &self.facts
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
}

fn spiking_layer(
    checkpoint: &Checkpoint<'_>,
    name: &str,
    alpha: f64,
    kind: Kind,
) -> Result<(SpikingLayer, LayerFacts)> {
    let folded = Folded::new(checkpoint, name, Some(alpha), kind)?;
    let fan_in = folded.inputs * folded.taps;
    let peak = if kind == Kind::Image { 255.0 } else { 1.0 };
    let mut layer = SpikingLayer {
        inputs: folded.inputs,
        outputs: folded.outputs,
        taps: folded.taps,
        weights: Vec::with_capacity(folded.outputs * fan_in),
        bias: Vec::with_capacity(folded.outputs),
        threshold: Vec::with_capacity(folded.outputs),
    };
    let mut exponents = Vec::with_capacity(folded.outputs);
    let mut row = Vec::with_capacity(fan_in);
    for output in 0..folded.outputs {
        folded.row(output, &mut row);
        if kind == Kind::Image {
            row.iter_mut().for_each(|weight| *weight /= 255.0);
        }
        let bias = folded.bias[output];
        let Some(exponent) = exponent(&row, bias, peak) else {
            return Err(checkpoint.error(CheckpointError::Range {
                tensor: format!("{name}.weight"),
                channel: output,
                bound: "no exponent from 28 down to 8 keeps the current below 3 * 2^29 - 2^16",
            }));
        };
        let scale = power_of_two(exponent);
        let guarded = if kind == Kind::Image { power_of_two(exponent + GUARD_BITS) } else { scale };
        layer.weights.extend(row.iter().map(|weight| (weight * guarded).round_ties_even() as i32));
        layer.bias.push((bias * scale).round_ties_even() as i32);
        layer.threshold.push((THRESHOLD * scale).floor() as i32);
        exponents.push(exponent);
    }
    let facts =
        LayerFacts { name: name.into(), inputs: layer.inputs, outputs: layer.outputs, fan_in, exponents };
    Ok((layer, facts))
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

fn readout(checkpoint: &Checkpoint<'_>) -> Result<Readout> {
    let coef = checkpoint.tensor("membrane_output_layer.coef")?;
    let steps = 0..coef.len();
    let rounded: Vec<f64> = steps.clone().map(|t| (coef.get(t) * 16384.0).round_ties_even()).collect();
    let total: f64 = rounded.iter().map(|k| k.abs()).sum();
    let folded = Folded::new(checkpoint, READOUT, None, Kind::Transposed)?;
    let out_of_range = |tensor: &str, channel, bound| {
        let tensor = tensor.into();
        checkpoint.error(CheckpointError::Range { tensor, channel, bound })
    };
    if total >= f64::from(1 << 17) {
        let bound = "the sum of their magnitudes must be below 8";
        return Err(out_of_range("membrane_output_layer.coef", 0, bound));
    }
    // Exact in any order: 0.8^n, n < 32, in single precision spans fewer bits than a double has.
    let coef_sum: f64 = steps.map(|t| coef.get(t)).sum();

    let mut weights = Vec::with_capacity(folded.outputs * folded.inputs * 9);
    let mut bias = Vec::with_capacity(folded.outputs);
    let mut row = Vec::new();
    for output in 0..folded.outputs {
        folded.row(output, &mut row);
        row.iter_mut().for_each(|weight| *weight = (*weight * 1_048_576.0).round_ties_even());
        let magnitude: f64 = row.iter().map(|weight| weight.abs()).sum();
        let shift = (folded.bias[output] * coef_sum * power_of_two(34)).round_ties_even();
        let in_range = magnitude * total + shift.abs() < READOUT_LIMIT;
        if !in_range {
            let bound = "the readout must stay below 2^45 - 2^40";
            return Err(out_of_range("final_layer.1.weight", output, bound));
        }
        // Without any coefficient no weight has an effect, and none is bounded.
        weights.extend(row.iter().map(|&weight| if total == 0.0 { 0 } else { weight as i64 }));
        bias.push(shift as i64);
    }
    let coefficients = rounded.iter().map(|&k| k as i32).collect();
    Ok(Readout { inputs: folded.inputs, outputs: folded.outputs, coefficients, weights, bias })
}

/// The 255 thresholds of the image's `tanh`: a pixel is the number of them that `m`, with 16
/// fractional bits, has reached. `libm` computes the same bits on every platform.
pub(crate) fn pixel_thresholds() -> [i32; 255] {
    std::array::from_fn(|j| {
        let level = (2 * (j + 1) - 1) as f64 / 255.0 - 1.0;
        (libm::atanh(level) * 65536.0).ceil() as i32
    })
}
