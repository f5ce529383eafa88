//! Twin of `shaders/readout.wgsl`: the last convolution and the membrane readout, commuted
//! (integer machine, section 6).

use super::parallel::for_each_chunk;
use super::spikes::{Spikes, for_each_spike};
use crate::network::{Moment, Readout, pixel_thresholds};

/// The readout's numbers in the order in which a pixel meets them.
#[derive(Debug)]
pub(crate) struct PreparedReadout {
    inputs: usize,
    /// `[outputs, 9, inputs]`
    weights: Vec<i64>,
    thresholds: [i32; 255],
}

impl PreparedReadout {
    pub(crate) fn new(readout: &Readout) -> Self {
        let mut weights = Vec::with_capacity(readout.weights.len());
        for output in 0..readout.outputs {
            for tap in 0..9 {
                weights.extend((0..readout.inputs).map(|input| readout.weight(output, input, tap)));
            }
        }
        PreparedReadout { inputs: readout.inputs, weights, thresholds: pixel_thresholds() }
    }
}

/// Spikes `[side * side, T, inputs]` to u8 pixels `[side, side, outputs]`, as of one moment.
pub(crate) fn readout(
    layer: &PreparedReadout,
    moment: &Moment,
    input: &Spikes,
    side: usize,
    image: &mut [u8],
) {
    let inputs = layer.inputs;
    let mut rates = vec![0_i32; side * side * inputs];
    for_each_chunk(&mut rates, side * inputs, |y, row| {
        for (x, rates) in row.chunks_mut(inputs).enumerate() {
            for (step, coefficient) in moment.coefficients.iter().enumerate() {
                for_each_spike(input.at(y * side + x, step), |channel| rates[channel] += coefficient);
            }
        }
    });

    let outputs = moment.bias.len();
    for_each_chunk(image, side * outputs, |y, row| {
        for (at, pixel) in row.iter_mut().enumerate() {
            let (x, output) = (at / outputs, at % outputs);
            let mut sum = moment.bias[output];
            for (from_y, ky) in neighbours(y, side) {
                for (from_x, kx) in neighbours(x, side) {
                    let weights = &layer.weights[(output * 9 + ky * 3 + kx) * inputs..][..inputs];
                    let rates = &rates[(from_y * side + from_x) * inputs..][..inputs];
                    let terms = weights.iter().zip(rates).map(|(weight, &rate)| weight * i64::from(rate));
                    sum += terms.sum::<i64>();
                }
            }
            let level = sum >> 18;
            *pixel = layer.thresholds.partition_point(|&threshold| level >= i64::from(threshold)) as u8;
        }
    });
}

/// The rows (or columns) next to `at`, itself included, each with its place in the kernel: output
/// y takes input y - ky + 1.
fn neighbours(at: usize, side: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..3).filter_map(move |k| Some(((at + 1).checked_sub(k).filter(|&from| from < side)?, k)))
}
