//! Twin of `shaders/conv_lif.wgsl`: a spiking convolution, stride 2, padding 1, over all time steps
//! (integer machine, section 4).

use super::layer::{Layer, bits, follow, settle};
use super::parallel::for_each_chunk;
use super::spikes::{Changes, Spikes};
use super::vectors::{Processor, Vectors, Work};
use crate::layer::SpikingLayer;

/// Vectors of a block.
const V: usize = 4;
const TAPS: [&[usize]; 9] = [&[0], &[1], &[2], &[3], &[4], &[5], &[6], &[7], &[8]];

/// Lays out a layer for [`conv_lif`].
pub(crate) fn prepare(processor: Processor, layer: &SpikingLayer) -> Layer {
    Layer::new(processor, layer, V, &TAPS)
}

/// Input `[side * side, T, inputs]` to output `[side / 2 * side / 2, T, outputs]`.
pub(crate) fn conv_lif(layer: &Layer, input: &Spikes, side: usize) -> Spikes {
    let mut output = Spikes::silent(side * side / 4, layer.outputs, input.steps);
    let row_words = side / 2 * output.pixel_words();
    let changes = &input.changes();
    for_each_chunk(&mut output.masks, row_words, |y, row| {
        layer.processor.run(Row { layer, changes, side, y, row });
    });
    output
}

/// The input rows (or columns) that output row `at` sees, each with its place in the kernel: output
/// y takes input 2y + k - 1.
pub(crate) fn receptive(at: usize, side: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..3).filter_map(move |k| Some(((2 * at + k).checked_sub(1).filter(|&from| from < side)?, k)))
}

/// One row of the output.
struct Row<'a> {
    layer: &'a Layer,
    changes: &'a Changes<'a>,
    side: usize,
    y: usize,
    row: &'a mut [u64],
}

impl Work for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with<S: Vectors>(self, s: S) {
        let Row { layer, changes, side, y, row } = self;
        let width = layer.outputs.div_ceil(64);
        // Block by block, so that a block's weights stay in the cache along the row.
        for block in 0..layer.blocks() {
            let neurons = layer.block::<S, V>(s, block);
            let (word, shift) = layer.place(block);
            for (x, pixel) in row.chunks_mut(changes.steps() * width).enumerate() {
                let mut sources: [(&[S::Vector], usize); 9] = [(&[], 0); 9];
                let mut count = 0;
                for (a, ky) in receptive(y, side) {
                    for (b, kx) in receptive(x, side) {
                        sources[count] = (layer.rows(s, block, 9, ky * 3 + kx), a * side + b);
                        count += 1;
                    }
                }
                let mut carry = [s.splat(0); V];
                let mut currents = [neurons.bias];
                for step in 0..changes.steps() {
                    let mut ended = 0;
                    for &(rows, at) in &sources[..count] {
                        ended += follow(s, &mut currents, [0], rows, changes.at(at, step));
                    }
                    settle(s, &mut currents[0], ended);
                    let spikes = neurons.fire(s, &mut carry, &currents[0]);
                    pixel[step * width + word] |= bits(s, spikes) << shift;
                }
            }
        }
    }
}
