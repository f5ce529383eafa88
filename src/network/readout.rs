//! The readout: the last convolution, the membrane's coefficients, and the thresholds between the levels of a pixel.

use super::folded::{Folded, power_of_two};
use super::{Moment, Readout};
use crate::checkpoint::Checkpoint;
use crate::error::{CheckpointError, Result};
use crate::floats::in_default_state;

/// Bound on |S| of the readout.
const READOUT_LIMIT: f64 = ((1_i64 << 45) - (1 << 40)) as f64;

/// The readout of a checkpoint, rounded (integer machine, section 6).
pub(super) fn readout(checkpoint: &Checkpoint<'_>) -> Result<Readout> {
    let coef = checkpoint.tensor("membrane_output_layer.coef")?;
    let steps = coef.len();
    // The picture after step s uses the last s + 1 coefficients: the end of the run moved to s.
    let moment = |s: usize| (0..=s).map(move |t| coef.get(steps - 1 - s + t));
    let rounded = |coefficient: f64| (coefficient * 16384.0).round_ties_even();
    let total: f64 = moment(steps - 1).map(|coefficient| rounded(coefficient).abs()).sum();
    let shape = checkpoint.architecture().readout();
    let folded = Folded::new(checkpoint, &shape, 1.0)?;
    let out_of_range = |tensor: &str, channel, bound| {
        let tensor = tensor.into();
        checkpoint.error(CheckpointError::Range { tensor, channel, bound })
    };
    if total >= f64::from(1 << 17) {
        let bound = "the sum of their magnitudes must be below 8";
        return Err(out_of_range("membrane_output_layer.coef", 0, bound));
    }

    let mut moments: Vec<Moment> = (0..steps)
        .map(|s| {
            let mut coefficients: Vec<i32> = moment(s).map(|value| rounded(value) as i32).collect();
            coefficients.resize(steps, 0);
            Moment { coefficients, bias: Vec::with_capacity(shape.outputs) }
        })
        .collect();
    let mut weights = Vec::with_capacity(shape.outputs * shape.inputs * 9);
    let mut row = Vec::new();
    for output in 0..shape.outputs {
        folded.row(output, &mut row);
        row.iter_mut().for_each(|weight| *weight = (*weight * 1_048_576.0).round_ties_even());
        let magnitude: f64 = row.iter().map(|weight| weight.abs()).sum();
        for (s, at) in moments.iter_mut().enumerate() {
            // Exact in any order: 0.8^n, n < 32, in single precision spans fewer bits than a double.
            let coef_sum: f64 = moment(s).sum();
            let bias = (folded.bias[output] * coef_sum * power_of_two(34)).round_ties_even();
            let in_range = magnitude * total + bias.abs() < READOUT_LIMIT;
            if !in_range {
                let bound = "the readout must stay below 2^45 - 2^40";
                return Err(out_of_range(&format!("{}.weight", shape.name), output, bound));
            }
            at.bias.push(bias as i64);
        }
        // Without any coefficient no weight has an effect, and none is bounded.
        weights.extend(row.iter().map(|&weight| if total == 0.0 { 0 } else { weight as i64 }));
    }
    Ok(Readout { inputs: shape.inputs, outputs: shape.outputs, weights: weights.into(), moments })
}

/// The 255 thresholds of the image's `tanh`: a pixel is the number of them that `m`, with 16
/// fractional bits, has reached. `libm` computes the same bits on every platform.
pub(crate) fn pixel_thresholds() -> [i32; 255] {
    let threshold = |j| {
        let level = (2 * (j + 1) - 1) as f64 / 255.0 - 1.0;
        (libm::atanh(level) * 65536.0).ceil() as i32
    };
    in_default_state(|| std::array::from_fn(threshold))
}
