//! A spiking layer laid out for the CPU, whatever its kind.

use super::conv_lif::{self, conv_lif};
use super::conv_transpose_lif::{self, conv_transpose_lif};
use super::layer::Layer;
use super::linear_lif::{self, linear_lif};
use super::spikes::Spikes;
use super::vectors::Processor;
use crate::layer::{Kind, SpikingLayer};

/// A layer of spikes, with the side of its input where it needs it.
#[derive(Debug)]
pub(crate) enum Prepared {
    Convolution(Layer, usize),
    Linear(Layer),
    /// One layer for each pixel of the 2x2 map.
    Unfold(Box<[Layer; 4]>),
    Transposed(Layer, usize),
}

impl Prepared {
    /// `layer` takes spikes; the layer of pixels needs no layout.
    pub(crate) fn new(processor: Processor, layer: &SpikingLayer) -> Self {
        let side = layer.side;
        match layer.kind {
            Kind::Convolution => Prepared::Convolution(conv_lif::prepare(processor, layer), side),
            Kind::Linear => Prepared::Linear(linear_lif::prepare(processor, layer)),
            Kind::Unfold => Prepared::Unfold(Box::new(linear_lif::prepare_map(processor, layer))),
            Kind::Transposed => Prepared::Transposed(conv_transpose_lif::prepare(processor, layer), side),
            Kind::Image | Kind::Readout | Kind::Rates => {
                unreachable!("{}: not from spikes to spikes", layer.name)
            }
        }
    }

    /// The spike trains of its outputs. The maps of several images may follow each other, but in the encoder.
    pub(crate) fn run(&self, input: &Spikes) -> Spikes {
        match self {
            Prepared::Convolution(layer, side) => conv_lif(layer, input, *side),
            Prepared::Linear(layer) => {
                let mut output = Spikes::silent(1, layer.outputs, input.steps);
                linear_lif(layer, input, &mut output.masks);
                output
            }
            Prepared::Unfold(layers) => unfold(layers, input),
            Prepared::Transposed(layer, side) => conv_transpose_lif(layer, input, *side),
        }
    }
}

/// A map of 2x2 pixels for each pixel of the input, which is an image's latents.
fn unfold(layers: &[Layer; 4], input: &Spikes) -> Spikes {
    let images = input.pixels();
    let mut spikes = Spikes::silent(4 * images, layers[0].outputs, input.steps);
    let words = spikes.pixel_words();
    let latents: Vec<Spikes> = (0..images).map(|n| input.map(n, 1)).collect();
    for (pixel, layer) in layers.iter().enumerate() {
        for (z, map) in latents.iter().zip(spikes.masks.chunks_mut(4 * words)) {
            linear_lif(layer, z, &mut map[pixel * words..][..words]);
        }
    }
    spikes
}
