//! The network on the CPU, event-driven: work is done only where spikes begin and cease. It is the twin
//! that every kernel is tested against, and the backend of machines without a GPU.

mod backend;
pub(crate) mod conv_lif;
pub(crate) mod conv_transpose_lif;
pub(crate) mod image_lif;
mod lane;
pub(crate) mod layer;
pub(crate) mod linear_lif;
mod make;
pub(crate) mod parallel;
#[cfg(all(feature = "threads", not(target_arch = "wasm32")))]
mod pool;
mod prepared;
pub(crate) mod rates;
pub(crate) mod readout;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod room;
pub(crate) mod sample;
mod sampler;
pub(crate) mod spikes;
#[cfg(test)]
mod tests;
pub(crate) mod threads;
#[cfg(feature = "verify")]
mod trace;
pub(crate) mod vectors;

use std::sync::OnceLock;

pub(crate) use backend::CpuBackend;
pub(crate) use prepared::Prepared;

use crate::architecture::Architecture;
use crate::network::Network;
use conv_transpose_lif::conv_transpose_rates;
use image_lif::image_lif;
use parallel::{for_each_chunk, in_pool, threads_here};
use readout::{PreparedReadout, readout};
use sampler::{Posterior, Prior};
use spikes::Spikes;
use vectors::Processor;

/// A network laid out for the CPU.
#[derive(Debug)]
pub(crate) struct Cpu {
    network: Network,
    processor: Processor,
    prior: Prior,
    decoder: Vec<Prepared>,
    readout: PreparedReadout,
    /// Laid out when it is first used: most users only generate.
    encoder: OnceLock<Encoder>,
}

/// Images that are decoded together: more of them save reading, but take memory, and every thread wants some.
const MOST_TOGETHER: usize = 8;

fn together(count: usize, threads: usize) -> usize {
    let each = if threads == 1 { count } else { count / (4 * threads) };
    each.clamp(1, MOST_TOGETHER)
}

#[derive(Debug)]
struct Encoder {
    /// All but the first, which reads pixels.
    layers: Vec<Prepared>,
    posterior: Posterior,
}

impl Cpu {
    pub(crate) fn new(network: &Network) -> Self {
        Cpu::on(Processor::get(), network)
    }

    pub(crate) fn on(processor: Processor, network: &Network) -> Self {
        Cpu {
            network: network.clone(),
            processor,
            prior: Prior::new(processor, network),
            decoder: network.decoder.iter().map(|layer| Prepared::new(processor, layer)).collect(),
            readout: PreparedReadout::new(processor, &network.readout),
            encoder: OnceLock::new(),
        }
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// Fills `images` with whole images, the first of index `first`. The caller sees to it that
    /// the indices do not pass `u64::MAX`; here and below.
    pub(crate) fn generate(&self, seed: u64, first: u64, images: &mut [u8]) {
        self.decode_groups(images, |n| self.sample_one(seed, first + n as u64));
    }

    /// Fills `words`, `[n, C]`, with latents drawn from the prior.
    pub(crate) fn sample(&self, seed: u64, first: u64, words: &mut [u32]) {
        let channels = self.network.architecture.latent_channels;
        let work = |i: usize, words: &mut [u32]| {
            words.copy_from_slice(&self.sample_one(seed, first + i as u64).to_words());
        };
        in_pool(|| for_each_chunk(words, channels, work));
    }

    /// Fills `words`, `[n, C]`, with latents of `images` drawn from the posterior.
    pub(crate) fn encode(&self, images: &[u8], seed: u64, first: u64, words: &mut [u32]) {
        let (bytes, channels) = (self.image_bytes(), self.network.architecture.latent_channels);
        // Before the pool, whose jobs wait for nothing.
        let encoder = self.encoder();
        let work = |i: usize, words: &mut [u32]| {
            let z =
                self.encode_one(encoder, &images[i * bytes..][..bytes], seed, first + i as u64, &mut |_| ());
            words.copy_from_slice(&z.to_words());
        };
        in_pool(|| for_each_chunk(words, channels, work));
    }

    /// Fills `images` with those of the latents `words`, `[n, C]`.
    pub(crate) fn decode(&self, words: &[u32], images: &mut [u8]) {
        self.decode_groups(images, |n| self.latents(words, n));
    }

    /// Fills `images` with those of latents, a few at a time: each layer's weights are then read once for all of them.
    fn decode_groups(&self, images: &mut [u8], latents: impl Fn(usize) -> Spikes + Sync) {
        let bytes = self.image_bytes();
        let count = images.len() / bytes;
        in_pool(|| {
            let group = together(count, threads_here());
            for_each_chunk(images, group * bytes, |i, images| {
                let z: Vec<Spikes> = (0..images.len() / bytes).map(|n| latents(i * group + n)).collect();
                self.decode_all(&z, images);
            });
        });
    }

    /// Fills `pictures`, `[n, T, image]`, with the pictures after each time step.
    pub(crate) fn frames(&self, words: &[u32], pictures: &mut [u8]) {
        let (moments, side) = (&self.network.readout.moments, self.network.architecture.image_side());
        let work = |i: usize, pictures: &mut [u8]| {
            let spikes = decoded(&self.decoder, self.latents(words, i), &mut |_| ());
            for (moment, picture) in moments.iter().zip(pictures.chunks_mut(self.image_bytes())) {
                readout(&self.readout, moment, &self.readout.rates(moment, &spikes), side, picture);
            }
        };
        in_pool(|| for_each_chunk(pictures, moments.len() * self.image_bytes(), work));
    }

    fn image_bytes(&self) -> usize {
        self.network.architecture.image_bytes()
    }

    /// The n-th of the latents `[n, C]`.
    fn latents(&self, words: &[u32], n: usize) -> Spikes {
        let channels = self.network.architecture.latent_channels;
        Spikes::from_words(&words[n * channels..][..channels], channels, self.network.architecture.time_steps)
    }

    fn sample_one(&self, seed: u64, index: u64) -> Spikes {
        let Architecture { latent_channels, time_steps, .. } = self.network.architecture;
        self.prior.draw(seed, index, latent_channels, time_steps)
    }

    fn encoder(&self) -> &Encoder {
        let layers = self.network.encoder[1..].iter();
        self.encoder.get_or_init(|| Encoder {
            layers: layers.map(|layer| Prepared::new(self.processor, layer)).collect(),
            posterior: Posterior::new(self.processor, &self.network),
        })
    }

    /// `seen` is shown the spikes of every layer on the way; here and below.
    fn encode_one(
        &self,
        prepared: &Encoder,
        image: &[u8],
        seed: u64,
        index: u64,
        seen: &mut dyn FnMut(&Spikes),
    ) -> Spikes {
        let steps = self.network.architecture.time_steps;
        let mut spikes = image_lif(&self.network.encoder[0], image, steps);
        seen(&spikes);
        for layer in &prepared.layers {
            spikes = layer.run(&spikes);
            seen(&spikes);
        }
        prepared.posterior.draw(&spikes, seed, index)
    }

    /// The images of latents, layer by layer, but the last ones image by image: their weights are few.
    fn decode_all(&self, z: &[Spikes], images: &mut [u8]) {
        let Some((Prepared::Transposed(last, side), layers)) = self.decoder.split_last() else { return };
        let (side, moment) = (*side, self.network.readout.last());
        let spikes = decoded(layers, Spikes::joined(z), &mut |_| ());
        for (n, image) in images.chunks_mut(self.image_bytes()).enumerate() {
            let rates = conv_transpose_rates(last, &spikes.map(n, side * side), side, &moment.coefficients);
            readout(&self.readout, moment, &rates, 2 * side, image);
        }
    }
}

/// The spikes after some first layers of the decoder. `z` are the latents of one image or more.
fn decoded(layers: &[Prepared], z: Spikes, seen: &mut dyn FnMut(&Spikes)) -> Spikes {
    layers.iter().fold(z, |spikes, layer| {
        let spikes = layer.run(&spikes);
        seen(&spikes);
        spikes
    })
}
