//! Twin of `shaders/readout.wgsl`: the last convolution and the membrane readout, commuted
//! (integer machine, section 6).

use super::conv_transpose_lif::{Rates, padded};
use super::parallel::for_each_chunk;
use super::spikes::{Spikes, for_each_spike};
use super::vectors::{Aligned, Processor, Vectors, Work};
use crate::network::{Moment, Readout, pixel_thresholds};

/// Sums that are formed side by side.
const SUMS: usize = 8;

/// The readout's numbers in the order in which a pixel meets them.
#[derive(Debug)]
pub(crate) struct PreparedReadout {
    processor: Processor,
    /// Inputs, filled up with zeros as the last layer's [`Rates`] are.
    stride: usize,
    /// `[outputs, 9, stride]`. Doubles, because processors have fast products of them: all products and sums are
    /// integers below 2^45, the contract's bound, and so exact in any order.
    weights: Vec<f64>,
    thresholds: [i32; 255],
}

impl PreparedReadout {
    pub(crate) fn new(processor: Processor, readout: &Readout) -> Self {
        let stride = padded(processor, readout.inputs);
        let mut weights = vec![0.0; readout.outputs * 9 * stride];
        for (row, weights) in weights.chunks_mut(stride).enumerate() {
            for (input, weight) in weights[..readout.inputs].iter_mut().enumerate() {
                *weight = readout.weight(row / 9, input, row % 9) as f64;
            }
        }
        PreparedReadout { processor, stride, weights, thresholds: pixel_thresholds() }
    }

    /// What spikes `[pixels, T, inputs]` add up to as of one moment.
    pub(crate) fn rates(&self, moment: &Moment, input: &Spikes) -> Rates {
        let stride = self.stride;
        let mut sums = vec![0_i32; input.pixels() * stride];
        for_each_chunk(&mut sums, stride, |pixel, sums| {
            for (step, coefficient) in moment.coefficients.iter().enumerate() {
                for_each_spike(input.at(pixel, step), |channel| sums[channel] += coefficient);
            }
        });
        Rates { sums: Aligned::new(&sums), stride }
    }
}

/// What the spikes of `side * side` pixels add up to, to u8 pixels `[side, side, outputs]`, as of one moment.
pub(crate) fn readout(
    layer: &PreparedReadout,
    moment: &Moment,
    rates: &Rates,
    side: usize,
    image: &mut [u8],
) {
    debug_assert_eq!(layer.stride, rates.stride);
    for_each_chunk(image, side * moment.bias.len(), |y, row| {
        layer.processor.run(Row { layer, moment, rates: rates.sums.numbers(), side, y, row });
    });
}

struct Row<'a> {
    layer: &'a PreparedReadout,
    moment: &'a Moment,
    rates: &'a [i32],
    side: usize,
    y: usize,
    row: &'a mut [u8],
}

impl Work for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with<S: Vectors>(self, _: S) {
        let Row { layer, moment, rates, side, y, row } = self;
        let (stride, outputs) = (layer.stride, moment.bias.len());
        for (at, pixel) in row.iter_mut().enumerate() {
            let (x, output) = (at / outputs, at % outputs);
            let mut sums = [0.0; SUMS];
            for (from_y, ky) in neighbours(y, side) {
                for (from_x, kx) in neighbours(x, side) {
                    let weights = &layer.weights[(output * 9 + ky * 3 + kx) * stride..][..stride];
                    let rates = &rates[(from_y * side + from_x) * stride..][..stride];
                    for (weights, rates) in weights.chunks_exact(SUMS).zip(rates.chunks_exact(SUMS)) {
                        for lane in 0..SUMS {
                            sums[lane] += weights[lane] * f64::from(rates[lane]);
                        }
                    }
                }
            }
            let level = (sums.iter().sum::<f64>() as i64 + moment.bias[output]) >> 18;
            *pixel = layer.thresholds.partition_point(|&threshold| level >= i64::from(threshold)) as u8;
        }
    }
}

/// The rows (or columns) next to `at`, itself included, each with its place in the kernel: output
/// y takes input y - ky + 1.
fn neighbours(at: usize, side: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..3).filter_map(move |k| Some(((at + 1).checked_sub(k).filter(|&from| from < side)?, k)))
}
