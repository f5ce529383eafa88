//! Twin of `shaders/conv_transpose_lif.wgsl`: a spiking transposed convolution, stride 2, padding
//! 1, output padding 1, over all time steps (integer machine, section 4).

use super::layer::{LANES, Lanes, Layer};
use super::parallel::for_each_chunk;
use super::spikes::Spikes;

/// Input `[side * side, T, inputs]` to output `[2 side * 2 side, T, outputs]`.
pub(crate) fn conv_transpose_lif(layer: &Layer, input: &Spikes, side: usize) -> Spikes {
    let mut output = Spikes::silent(4 * side * side, layer.outputs, input.steps);
    let (width, pixel_words) = (output.width, output.pixel_words());
    for_each_chunk(&mut output.masks, 2 * side * pixel_words, |y, row| {
        // Block by block, so that a block's weights stay in the cache along the row.
        for block in 0..layer.blocks() {
            let (word, shift) = (block * LANES / 64, block * LANES % 64);
            for (x, pixel) in row.chunks_mut(pixel_words).enumerate() {
                let mut sources: [(&[Lanes], usize); 4] = [(&[], 0); 4];
                let mut count = 0;
                for (a, ky) in contributors(y, side) {
                    for (b, kx) in contributors(x, side) {
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

/// The input rows (or columns) that reach output row `at`, each with its place in the kernel:
/// input `a` adds to output `2a + k - 1`.
fn contributors(at: usize, side: usize) -> impl Iterator<Item = (usize, usize)> {
    let half = at / 2;
    let pairs = if at.is_multiple_of(2) { [(half, 1), (side, 0)] } else { [(half, 2), (half + 1, 0)] };
    pairs.into_iter().filter(move |&(input, _)| input < side)
}
