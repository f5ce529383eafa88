//! Twin of `shaders/conv_lif.wgsl`: a spiking convolution, stride 2, padding 1, over all time steps
//! (integer machine, section 4).

use super::convolution::convolution;
use super::layer::Layer;
use super::spikes::Spikes;

/// Input `[side * side, T, inputs]` to output `[side / 2 * side / 2, T, outputs]`.
pub(crate) fn conv_lif(layer: &Layer, input: &Spikes, side: usize) -> Spikes {
    convolution(layer, input, side, side / 2, |at| receptive(at, side))
}

/// The input rows (or columns) that output row `at` sees, each with its place in the kernel: output
/// y takes input 2y + k - 1.
pub(crate) fn receptive(at: usize, side: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..3).filter_map(move |k| Some(((2 * at + k).checked_sub(1).filter(|&from| from < side)?, k)))
}
