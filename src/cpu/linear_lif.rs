//! Twin of `shaders/linear_lif.wgsl`: a fully connected spiking layer over all time steps.

use super::layer::{LANES, Layer};
use super::spikes::Spikes;

/// Spikes of the outputs, all at one pixel, into the `[time steps, width]` masks of that pixel. The
/// input is a map of as many pixels as the layer has taps: one, or the 2x2 map of the encoder.
pub(crate) fn linear_lif(layer: &Layer, input: &Spikes, output: &mut [u64]) {
    let width = layer.outputs.div_ceil(64);
    for block in 0..layer.blocks() {
        let mut neurons = layer.at_rest(block);
        let (word, shift) = (block * LANES / 64, block * LANES % 64);
        for step in 0..input.steps {
            let sources = (0..layer.taps).map(|tap| (layer.rows(block, tap), input.at(tap, step)));
            output[step * width + word] |= neurons.step(sources) << shift;
        }
    }
}
