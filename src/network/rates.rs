//! ESVAE's sample layer as integers (integer machine, section 8).

use std::sync::Arc;

use super::LayerFacts;
use super::folded::{CURRENT_LIMIT, Folded, power_of_two};
use crate::checkpoint::Checkpoint;
use crate::error::{CheckpointError, Result};
use crate::floats::in_default_state;
use crate::layer::Shape;

/// Rates that a spike's 16 random bits tell apart, but for the one that always spikes.
pub(crate) const LEVELS: usize = 1 << 16;
/// The largest magnitude of a counted normal number.
const LARGEST_NORMAL: f64 = 64.0;
/// Its variance.
const VARIANCE: f64 = 32.0;

/// The rates of the latent channels, linear in C normal numbers before the logistic function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rates {
    /// C
    pub(crate) channels: usize,
    /// `[C, C]`, a channel's in a row.
    pub(crate) weights: Arc<[i32]>,
    /// `[C]`
    pub(crate) bias: Vec<i32>,
    /// `[65536]`, ascending: a channel's rate, of 65,536, is how many of them lie below its current.
    pub(crate) logits: Arc<[i32]>,
    /// The numbers are multiples of 2^-exponent, 8 to 27.
    pub(crate) exponent: u8,
}

impl Rates {
    pub(super) fn new(checkpoint: &Checkpoint<'_>) -> Result<Self> {
        let channels = checkpoint.architecture().latent_channels;
        let shape = Shape::rates(channels);
        let folded = Folded::new(checkpoint, &shape, 1.0)?;
        let (mut row, mut weights) = (Vec::new(), Vec::with_capacity(channels * channels));
        for channel in 0..channels {
            folded.row(channel, &mut row);
            weights.extend(row.iter().map(|weight| weight / VARIANCE.sqrt()));
        }
        let fits = |exponent: u8, channel: usize| {
            let rounded = |number: f64| (number * power_of_two(exponent)).round_ties_even().abs();
            let sum: f64 = weights[channel * channels..][..channels].iter().copied().map(rounded).sum();
            LARGEST_NORMAL * sum + rounded(folded.bias[channel]) < CURRENT_LIMIT
        };
        let mut exponents = (8..=27).rev();
        let Some(exponent) = exponents.find(|&exponent| (0..channels).all(|channel| fits(exponent, channel)))
        else {
            return Err(checkpoint.error(CheckpointError::Range {
                tensor: format!("{}.weight", shape.name),
                channel: (0..channels).position(|channel| !fits(8, channel)).unwrap_or(0),
                bound: "no exponent from 27 down to 8 keeps the current below 3 * 2^29 - 2^16",
            }));
        };
        let integer = |number: &f64| (number * power_of_two(exponent)).round_ties_even() as i32;
        Ok(Rates {
            channels,
            weights: weights.iter().map(integer).collect(),
            bias: folded.bias.iter().map(integer).collect(),
            logits: logits(exponent),
            exponent,
        })
    }

    pub(super) fn facts(&self) -> LayerFacts {
        Shape::rates(self.channels).facts(vec![self.exponent; self.channels])
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
