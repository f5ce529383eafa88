//! The network on the CPU, event-driven: work is done only where there are spikes. It is the twin
//! that every kernel is tested against, and the backend of machines without a GPU.

pub(crate) mod conv_transpose_lif;
pub(crate) mod layer;
pub(crate) mod linear_lif;
mod parallel;
pub(crate) mod readout;
pub(crate) mod sample;
pub(crate) mod spikes;

use crate::network::Network;
use crate::philox::{Draws, Stream};
use conv_transpose_lif::conv_transpose_lif;
use layer::Layer;
use linear_lif::linear_lif;
use parallel::for_each_chunk;
use readout::{PreparedReadout, readout};
use sample::{Sampler, sample};
use spikes::Spikes;

/// A network laid out for the CPU.
#[derive(Debug)]
pub(crate) struct Cpu {
    time_steps: usize,
    latent_channels: usize,
    neurons_per_channel: usize,
    image_bytes: usize,
    prior: Sampler,
    /// One layer for each pixel of the decoder's 2x2 map.
    decoder_input: [Layer; 4],
    decoder: Vec<Layer>,
    readout: PreparedReadout,
}

impl Cpu {
    pub(crate) fn new(network: &Network) -> Self {
        let architecture = &network.architecture;
        Cpu {
            time_steps: architecture.time_steps,
            latent_channels: architecture.latent_channels,
            neurons_per_channel: architecture.neurons_per_channel,
            image_bytes: architecture.image_bytes(),
            prior: Sampler::new(&network.prior),
            decoder_input: decoder_input(&network.decoder_input),
            decoder: network.decoder.iter().map(Layer::new).collect(),
            readout: PreparedReadout::new(&network.readout),
        }
    }

    /// Fills `images` with whole images, the first of index `first`. The caller sees to it that
    /// the indices do not pass `u64::MAX`.
    pub(crate) fn generate(&self, seed: u64, first: u64, images: &mut [u8]) {
        for_each_chunk(images, self.image_bytes, |i, image| {
            let z = self.sample(seed, first + i as u64);
            self.decode(&z, image);
        });
    }

    fn sample(&self, seed: u64, index: u64) -> Spikes {
        let draws = Draws {
            seed,
            index,
            stream: Stream::Prior,
            channels: self.latent_channels,
            neurons: self.neurons_per_channel,
        };
        sample(&self.prior, draws, self.time_steps)
    }

    fn decode(&self, z: &Spikes, image: &mut [u8]) {
        let mut spikes = Spikes::silent(4, self.decoder_input[0].outputs, self.time_steps);
        let words = spikes.pixel_words();
        for (layer, pixel) in self.decoder_input.iter().zip(spikes.masks.chunks_mut(words)) {
            linear_lif(layer, z, pixel);
        }
        let mut side = 2;
        for layer in &self.decoder {
            spikes = conv_transpose_lif(layer, &spikes, side);
            side *= 2;
        }
        readout(&self.readout, &spikes, side, image);
    }
}

/// The checkpoint flattens the 2x2 map channel, y, x; maps here are pixel by pixel.
fn decoder_input(layer: &crate::network::SpikingLayer) -> [Layer; 4] {
    std::array::from_fn(|pixel| {
        let outputs: Vec<usize> = (pixel..layer.outputs).step_by(4).collect();
        Layer::of_outputs(layer, &outputs)
    })
}
