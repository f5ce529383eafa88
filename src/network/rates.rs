//! ESVAE's sample layer as integers (integer machine, sections 8 and 8b).

use std::sync::Arc;

use super::LayerFacts;
use super::folded::{CURRENT_LIMIT, Folded, power_of_two};
use crate::checkpoint::Checkpoint;
use crate::error::{CheckpointError, Result};
use crate::floats::in_default_state;
use crate::layer::Shape;

/// Rates that a spike's 16 random bits tell apart, but for the one that always spikes.
pub(crate) const LEVELS: usize = 1 << 16;
/// Of a counted normal number: the largest magnitude, and the variance.
const LARGEST_NORMAL: f64 = 64.0;
const VARIANCE: f64 = 32.0;
/// Of what a hidden unit gives: the largest there is, and how many of them are 1.
const UNITS: (f64, f64) = (MOST as f64, (1 << UNIT_BITS) as f64);
/// The most spikes of a hidden unit.
pub(crate) const MOST: i32 = 255;
/// A hidden unit gives one spike for each 2^-6 of its current.
const UNIT_BITS: u8 = 6;

/// The rates of the latent channels: a function of C normal numbers, linear but for hidden layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rates {
    /// Hidden ones, and the last, whose currents are the rates before the logistic function.
    pub(crate) layers: Vec<RateLayer>,
    /// `[65536]`, ascending: a channel's rate, of 65,536, is how many of them lie below its current.
    pub(crate) logits: Arc<[i32]>,
}

/// A fully connected layer on numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RateLayer {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// `[outputs, inputs]`
    pub(crate) weights: Arc<[i32]>,
    /// `[outputs]`
    pub(crate) bias: Vec<i32>,
    /// The numbers are multiples of 2^-exponent, 8 to 27.
    pub(crate) exponent: u8,
}

impl Rates {
    pub(super) fn new(checkpoint: &Checkpoint<'_>) -> Result<Self> {
        let shapes = checkpoint.architecture().prior();
        let normals = (LARGEST_NORMAL, VARIANCE.sqrt());
        let layers = shapes
            .iter()
            .enumerate()
            .map(|(i, shape)| RateLayer::new(checkpoint, shape, if i == 0 { normals } else { UNITS }));
        let layers = layers.collect::<Result<Vec<_>>>()?;
        let logits = logits(layers[layers.len() - 1].exponent);
        Ok(Rates { layers, logits })
    }

    /// C
    pub(crate) fn channels(&self) -> usize {
        self.layers[0].inputs
    }

    /// Outputs of the hidden layers.
    pub(crate) fn widths(&self) -> Vec<usize> {
        self.layers[1..].iter().map(|layer| layer.inputs).collect()
    }

    pub(super) fn facts(&self) -> Vec<LayerFacts> {
        let shapes = Shape::rates(self.channels(), &self.widths());
        let facts = |(shape, layer): (Shape, &RateLayer)| shape.facts(vec![layer.exponent; layer.outputs]);
        shapes.into_iter().zip(&self.layers).map(facts).collect()
    }
}

impl RateLayer {
    /// Inputs are up to `most`, and `one` of them is 1.
    fn new(checkpoint: &Checkpoint<'_>, shape: &Shape, (most, one): (f64, f64)) -> Result<Self> {
        let folded = Folded::new(checkpoint, shape, 1.0)?;
        let (inputs, outputs) = (shape.inputs, shape.outputs);
        let (mut row, mut weights) = (Vec::new(), Vec::with_capacity(inputs * outputs));
        for output in 0..outputs {
            folded.row(output, &mut row);
            weights.extend(row.iter().map(|weight| weight / one));
        }
        let fits = |exponent: u8, output: usize| {
            let rounded = |number: f64| (number * power_of_two(exponent)).round_ties_even().abs();
            let sum: f64 = weights[output * inputs..][..inputs].iter().copied().map(rounded).sum();
            most * sum + rounded(folded.bias[output]) < CURRENT_LIMIT
        };
        let mut exponents = (8..=27).rev();
        let Some(exponent) = exponents.find(|&exponent| (0..outputs).all(|output| fits(exponent, output)))
        else {
            return Err(checkpoint.error(CheckpointError::Range {
                tensor: format!("{}.weight", shape.name),
                channel: (0..outputs).position(|output| !fits(8, output)).unwrap_or(0),
                bound: "no exponent from 27 down to 8 keeps the current below 3 * 2^29 - 2^16",
            }));
        };
        let integer = |number: &f64| (number * power_of_two(exponent)).round_ties_even() as i32;
        Ok(RateLayer {
            inputs,
            outputs,
            weights: weights.iter().map(integer).collect(),
            bias: folded.bias.iter().map(integer).collect(),
            exponent,
        })
    }

    /// How far a hidden layer's currents are shifted to be its units' spikes.
    pub(crate) fn shift(&self) -> u8 {
        self.exponent - UNIT_BITS
    }
}

/// The currents at which a rate grows by one of 65,536: the logistic function's inverse, with `exponent` fractional
/// bits. `libm` computes the same bits on every platform.
pub(crate) fn logits(exponent: u8) -> Arc<[i32]> {
    let logit = |level: usize| {
        let middle = level as f64 + 0.5;
        (libm::log(middle / (LEVELS as f64 - middle)) * power_of_two(exponent)).floor() as i32
    };
    in_default_state(|| (0..LEVELS).map(logit).collect())
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// All tables there may be, against the oracle's.
    #[test]
    fn logits_agree_with_the_oracle() {
        for exponent in 8..=27 {
            let table = logits(exponent);
            assert!(table.is_sorted());
            let mut hash = Sha256::new();
            table.iter().for_each(|&logit| hash.update(i64::from(logit).to_le_bytes()));
            let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            let row = format!("logits {exponent} {found}");
            let rows = include_str!("../network.rows");
            assert!(rows.lines().any(|line| line == row), "{row} is not the oracle's");
        }
    }
}
