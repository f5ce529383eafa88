//! Twin of `shaders/conv_transpose_lif.wgsl`: a spiking transposed convolution, stride 2, padding
//! 1, output padding 1, over all time steps (integer machine, section 4).

use super::convolution::convolution;
use super::layer::Layer;
use super::spikes::Spikes;

/// Input `[side * side, T, inputs]` to output `[2 side * 2 side, T, outputs]`.
pub(crate) fn conv_transpose_lif(layer: &Layer, input: &Spikes, side: usize) -> Spikes {
    convolution(layer, input, side, 2 * side, |at| contributors(at, side))
}

/// The input rows (or columns) that reach output row `at`, each with its place in the kernel:
/// input `a` adds to output `2a + k - 1`.
fn contributors(at: usize, side: usize) -> impl Iterator<Item = (usize, usize)> {
    let half = at / 2;
    let pairs = if at.is_multiple_of(2) { [(half, 1), (side, 0)] } else { [(half, 2), (half + 1, 0)] };
    pairs.into_iter().filter(move |&(input, _)| input < side)
}
