//! Layers with their batch norm folded in, and rounded to integers (integer machine, sections 2 and 3).

use crate::checkpoint::{Checkpoint, Tensor};
use crate::cpu::parallel::for_each_chunk;
use crate::error::{CheckpointError, Result};
use crate::layer::{Kind, Shape, SpikingLayer};

/// Firing threshold V_th of every neuron before rounding.
const THRESHOLD: f64 = 0.2;
/// The batch norm's epsilon.
const EPSILON: f64 = 1e-5;
/// Bound on |current|: it keeps a membrane potential, under 4/3 of it, inside `i32`.
pub(super) const CURRENT_LIMIT: f64 = ((3_i64 << 29) - (1 << 16)) as f64;
/// Guard bits of the image layer's weights.
const GUARD_BITS: u8 = 8;

/// A layer's weights and biases with the batch norm folded in, one output channel at a time.
pub(super) struct Folded<'a> {
    weights: Tensor<'a>,
    shape: &'a Shape,
    /// g, `[outputs]`; `None` without batch norm.
    gain: Option<Vec<f64>>,
    /// b', `[outputs]`
    pub(super) bias: Vec<f64>,
}

impl<'a> Folded<'a> {
    /// The gain is `alpha` where the layer has a batch norm. The order of the operations is the
    /// contract's: it decides the last bit.
    pub(super) fn new(checkpoint: &'a Checkpoint<'_>, shape: &'a Shape, alpha: f64) -> Result<Self> {
        let tensor = |part: &str| checkpoint.tensor(&format!("{}.{part}", shape.name));
        let (weights, bias) = (tensor("weight")?, tensor("bias")?);
        let outputs = 0..shape.outputs;
        let (gain, bias) = if shape.has_norm() {
            let (scale, shift) = (tensor("bn.weight")?, tensor("bn.bias")?);
            let (mean, variance) = (tensor("bn.running_mean")?, tensor("bn.running_var")?);
            let gain: Vec<f64> = outputs
                .clone()
                .map(|o| (alpha * THRESHOLD) * scale.get(o) / (variance.get(o) + EPSILON).sqrt())
                .collect();
            let folded = |o: usize| (bias.get(o) - mean.get(o)) * gain[o] + shift.get(o);
            let bias = outputs.map(folded).collect();
            (Some(gain), bias)
        } else {
            (None, outputs.map(|o| bias.get(o)).collect())
        };
        Ok(Folded { weights, shape, gain, bias })
    }

    /// W' of one output channel, `[inputs, taps]`.
    pub(super) fn row(&self, output: usize, row: &mut Vec<f64>) {
        row.clear();
        let (shape, taps) = (self.shape, self.shape.taps);
        for input in 0..shape.inputs {
            let (major, minor, minors) = if shape.inputs_first() {
                (input, output, shape.outputs)
            } else {
                (output, input, shape.inputs)
            };
            let start = (major * minors + minor) * taps;
            let taps = (start..start + taps).map(|at| self.weights.get(at));
            match &self.gain {
                Some(gain) => row.extend(taps.map(|weight| weight * gain[output])),
                None => row.extend(taps),
            }
        }
    }

    /// One output channel, rounded; `None` if no exponent will do. `row` is room for its weights.
    fn channel(&self, output: usize, row: &mut Vec<f64>) -> Option<Channel> {
        self.row(output, row);
        let on_pixels = self.shape.kind == Kind::Image;
        let mut peak = 1.0;
        if on_pixels {
            row.iter_mut().for_each(|weight| *weight /= 255.0);
            peak = 255.0;
        }
        let bias = self.bias[output];
        let exponent = exponent(row, bias, peak)?;
        let scale = power_of_two(exponent);
        let guarded = if on_pixels { power_of_two(exponent + GUARD_BITS) } else { scale };
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

/// A spiking layer of a checkpoint, folded and rounded. `alpha` is its batch norm's (integer machine, section 2).
///
/// # Errors
/// [`CheckpointError::Range`] if there is no exponent for an output channel.
pub(super) fn spiking_layer(checkpoint: &Checkpoint<'_>, shape: Shape, alpha: f64) -> Result<SpikingLayer> {
    let folded = Folded::new(checkpoint, &shape, alpha)?;
    let mut channels: Vec<Option<Channel>> = (0..shape.outputs).map(|_| None).collect();
    for_each_chunk(&mut channels, CHANNELS, |chunk, channels| {
        let mut row = Vec::with_capacity(shape.fan_in());
        for (output, channel) in (chunk * CHANNELS..).zip(channels) {
            *channel = folded.channel(output, &mut row);
        }
    });
    let mut weights = Vec::with_capacity(shape.outputs * shape.fan_in());
    let mut bias = Vec::with_capacity(shape.outputs);
    let mut threshold = Vec::with_capacity(shape.outputs);
    let mut exponents = Vec::with_capacity(shape.outputs);
    for (output, channel) in channels.into_iter().enumerate() {
        let Some(channel) = channel else {
            return Err(checkpoint.error(CheckpointError::Range {
                tensor: format!("{}.weight", shape.name),
                channel: output,
                bound: "no exponent from 28 down to 8 keeps the current below 3 * 2^29 - 2^16",
            }));
        };
        weights.extend(channel.weights);
        bias.push(channel.bias);
        threshold.push(channel.threshold);
        exponents.push(channel.exponent);
    }
    Ok(SpikingLayer { shape, weights: weights.into(), bias, threshold, exponents })
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

pub(super) fn power_of_two(exponent: u8) -> f64 {
    (1_u64 << exponent) as f64
}
