//! Twin of `shaders/linear_lif.wgsl`: a fully connected spiking layer over all time steps.

use super::layer::{Layer, bits, follow, settle};
use super::spikes::Spikes;
use super::vectors::{Processor, Vectors, Work};
use crate::layer::SpikingLayer;

/// Vectors of a block.
pub(super) const V: usize = 4;
const TAPS: [&[usize]; 4] = [&[0], &[1], &[2], &[3]];

/// Lays out a layer for [`linear_lif`].
pub(crate) fn prepare(processor: Processor, layer: &SpikingLayer) -> Layer {
    Layer::new(processor, layer, V, &TAPS[..layer.taps])
}

/// One layer for each pixel of the 2x2 map that a layer gives: the checkpoint flattens it channel, y, x; maps here are
/// pixel by pixel.
pub(crate) fn prepare_map(processor: Processor, layer: &SpikingLayer) -> [Layer; 4] {
    std::array::from_fn(|pixel| {
        let outputs: Vec<usize> = (pixel..layer.outputs).step_by(4).collect();
        Layer::of_outputs(processor, layer, &outputs, V, &TAPS[..1])
    })
}

/// Spikes of the outputs, all at one pixel, into the `[time steps, width]` masks of that pixel. The
/// input is a map of as many pixels as the layer has taps: one, or the 2x2 map of the encoder.
pub(crate) fn linear_lif(layer: &Layer, input: &Spikes, output: &mut [u64]) {
    layer.processor.run(Pixel { layer, input, output });
}

struct Pixel<'a> {
    layer: &'a Layer,
    input: &'a Spikes,
    output: &'a mut [u64],
}

impl Work for Pixel<'_> {
    type Output = ();

    #[inline(always)]
    fn with<S: Vectors>(self, s: S) {
        let Pixel { layer, input, output } = self;
        let width = layer.outputs.div_ceil(64);
        let taps = input.pixels();
        let changes = input.changes();
        for block in 0..layer.blocks() {
            let neurons = layer.block::<S, V>(s, block);
            let (word, shift) = layer.place(block);
            let mut carry = [s.splat(0); V];
            let mut currents = [neurons.bias];
            for step in 0..input.steps {
                let mut ended = 0;
                for tap in 0..taps {
                    let rows = layer.rows(s, block, taps, tap);
                    ended += follow(s, &mut currents, [0], rows, changes.at(tap, step));
                }
                settle(s, &mut currents[0], ended);
                let spikes = neurons.fire(s, &mut carry, &currents[0]);
                output[step * width + word] |= bits(s, spikes) << shift;
            }
        }
    }
}
