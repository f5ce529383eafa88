//! What the spiking convolutions have in common: which inputs reach an output is all they differ in.

use super::layer::{LANES, Lanes, Layer};
use super::parallel::for_each_chunk;
use super::spikes::Spikes;

/// Input `[side * side, T, inputs]` to output `[output_side * output_side, T, outputs]`. `arriving`
/// tells the input rows (or columns) that reach an output row (or column), each with its place in the
/// 3x3 kernel.
pub(super) fn convolution<I: Iterator<Item = (usize, usize)>>(
    layer: &Layer,
    input: &Spikes,
    side: usize,
    output_side: usize,
    arriving: impl Fn(usize) -> I + Sync,
) -> Spikes {
    let mut output = Spikes::silent(output_side * output_side, layer.outputs, input.steps);
    let (width, pixel_words) = (output.width, output.pixel_words());
    for_each_chunk(&mut output.masks, output_side * pixel_words, |y, row| {
        // Block by block, so that a block's weights stay in the cache along the row.
        for block in 0..layer.blocks() {
            let (word, shift) = (block * LANES / 64, block * LANES % 64);
            for (x, pixel) in row.chunks_mut(pixel_words).enumerate() {
                let mut sources: [(&[Lanes], usize); 9] = [(&[], 0); 9];
                let mut count = 0;
                for (a, ky) in arriving(y) {
                    for (b, kx) in arriving(x) {
                        sources[count] = (layer.rows(block, ky * 3 + kx), a * side + b);
                        count += 1;
                    }
                }
                let mut neurons = layer.at_rest(block);
                for step in 0..input.steps {
                    let masks = sources[..count].iter().map(|&(rows, at)| (rows, input.at(at, step)));
                    pixel[step * width + word] |= neurons.step(masks) << shift;
                }
            }
        }
    });
    output
}
