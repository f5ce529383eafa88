//! Twin of `shaders/image_lif.wgsl`: the encoder's first layer, a stride-2 convolution of u8 pixels
//! (integer machine, section 4).

use super::conv_lif::receptive;
use super::layer::fire;
use super::parallel::for_each_chunk;
use super::spikes::Spikes;
use crate::layer::SpikingLayer;

/// u8 pixels `[side, side, inputs]` to spikes `[side / 2 * side / 2, T, outputs]`. The current is the
/// same at every step, so it is computed once.
pub(crate) fn image_lif(layer: &SpikingLayer, image: &[u8], steps: usize) -> Spikes {
    let side = layer.side;
    let mut output = Spikes::silent(side * side / 4, layer.outputs, steps);
    let (width, pixel_words) = (output.width, output.pixel_words());
    for_each_chunk(&mut output.masks, side / 2 * pixel_words, |y, row| {
        for (x, masks) in row.chunks_mut(pixel_words).enumerate() {
            for neuron in 0..layer.outputs {
                let mut sum = 0;
                for (a, ky) in receptive(y, side) {
                    for (b, kx) in receptive(x, side) {
                        for input in 0..layer.inputs {
                            let value = 2 * i64::from(image[(a * side + b) * layer.inputs + input]) - 255;
                            sum += i64::from(layer.weight(neuron, input, ky * 3 + kx)) * value;
                        }
                    }
                }
                let current = (sum >> 8) as i32 + layer.bias[neuron];
                let mut carry = 0;
                for step in 0..steps {
                    let spike = fire(&mut carry, current, layer.threshold[neuron]);
                    masks[step * width + neuron / 64] |= u64::from(spike) << (neuron % 64);
                }
            }
        }
    });
    output
}
