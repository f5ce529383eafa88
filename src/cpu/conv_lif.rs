//! Twin of `shaders/conv_lif.wgsl`: a spiking convolution, stride 2, padding 1, over all time steps
//! (integer machine, section 4).

use super::layer::{LANES, Lanes, Layer};
use super::parallel::for_each_chunk;
use super::spikes::Spikes;

/// Input `[side * side, T, inputs]` to output `[side / 2 * side / 2, T, outputs]`.
pub(crate) fn conv_lif(layer: &Layer, input: &Spikes, side: usize) -> Spikes {
    let mut output = Spikes::silent(side * side / 4, layer.outputs, input.steps);
    let (width, pixel_words) = (output.width, output.pixel_words());
    for_each_chunk(&mut output.masks, side / 2 * pixel_words, |y, row| {
        for block in 0..layer.blocks() {
            let (word, shift) = (block * LANES / 64, block * LANES % 64);
            for (x, pixel) in row.chunks_mut(pixel_words).enumerate() {
                let mut sources: [(&[Lanes], usize); 9] = [(&[], 0); 9];
                let mut count = 0;
                for (a, ky) in receptive(y, side) {
                    for (b, kx) in receptive(x, side) {
                        sources[count] = (layer.rows(block, ky * 3 + kx), a * side + b);
                        count += 1;
                    }
                }
                let mut neurons = layer.at_rest(block);
                for step in 0..input.steps {
                    let arriving = sources[..count].iter();
                    let spikes = neurons.step(arriving.map(|&(rows, at)| (rows, input.at(at, step))));
                    pixel[step * width + word] |= spikes << shift;
                }
            }
        }
    });
    output
}

/// The input rows (or columns) that output row `at` sees, each with its place in the kernel: output
/// y takes input 2y + k - 1.
pub(crate) fn receptive(at: usize, side: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..3).filter_map(move |k| Some(((2 * at + k).checked_sub(1).filter(|&from| from < side)?, k)))
}
