//! How much work an image is: the additions that its spikes cause, layer by layer, and the multiply-adds of the same
//! network if it computed zeros, too.
//!
//! A spike adds one weight to each neuron that it reaches, so the additions of a layer are its input spikes times the
//! neurons that each reaches: all of a linear layer, up to nine pixels of a convolution, at the borders fewer. That is
//! what the network asks for, and the measure of spiking networks' papers. A kernel may do less: only one of k neurons
//! of the prior's last layer is looked at, but all C * k are counted here. An ESVAE's sample layer runs once, not at every
//! step, on numbers that are not spikes.

use std::ops::RangeBounds;

use crate::cpu::Cpu;
use crate::cpu::conv_transpose_lif::{self, conv_transpose_lif};
use crate::cpu::layer::Layer;
use crate::cpu::linear_lif::{self, linear_lif};
use crate::cpu::parallel::in_pool;
use crate::cpu::spikes::Spikes;
use crate::cpu::vectors::Processor;
use crate::error::{Error, Result};
use crate::indices::Indices;
use crate::network::{Network, Sampler, SpikingLayer};

/// The work of one layer for one image.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LayerOperations {
    /// The layer's name in the checkpoint.
    pub name: String,
    /// Additions: the mean over the images. The readout works on sums over time, not on spikes: its additions are one
    /// for each weight and pixel. Those of an ESVAE's sample layer are one for each weight.
    pub additions: f64,
    /// Multiply-adds if dense.
    pub dense: u64,
}

/// Counts the operations of generating the images of a range of indices, layer by layer in the order of the data flow:
/// prior, decoder, readout. No image, no layers.
///
/// # Errors
/// [`Error::Range`] if the range starts past `u64::MAX` or is of 2^32 images and more.
pub fn generation(
    network: &Network,
    seed: u64,
    range: impl RangeBounds<u64>,
) -> Result<Vec<LayerOperations>> {
    let architecture = network.architecture();
    let cpu = Cpu::new(network);
    let prepared = Prepared::new(network);
    let mut layers: Vec<LayerOperations> = Vec::new();
    let mut z = vec![0; architecture.latent_channels];
    let mut indices = Indices::new(range)?;
    if indices.remaining > u128::from(u32::MAX) {
        return Err(Error::Range(format!(
            "{} images are too many to count the operations of",
            indices.remaining
        )));
    }
    let count = indices.remaining as f64;
    while indices.remaining > 0 {
        let (index, _) = indices.take(1);
        cpu.sample(seed, index, &mut z);
        for (at, (name, work)) in in_pool(|| prepared.count(network, &z)).into_iter().enumerate() {
            if layers.len() == at {
                layers.push(LayerOperations { name, additions: 0.0, dense: work.dense });
            }
            layers[at].additions += work.additions as f64 / count;
        }
    }
    Ok(layers)
}

/// The layers that have to run for their spikes to be known.
struct Prepared {
    /// The prior's hidden layers, where it has some.
    prior: Vec<Layer>,
    decoder_input: Layer,
    decoder: Vec<Layer>,
}

/// Of one layer for one image.
struct Work {
    additions: u64,
    dense: u64,
}

impl Prepared {
    fn new(network: &Network) -> Self {
        let hidden = match &network.sampler {
            Sampler::Layers { prior, .. } => &prior[..2],
            Sampler::Rates(_) => &[],
        };
        let all_but_last = &network.decoder[..network.decoder.len() - 1];
        let processor = Processor::get();
        let decoder = all_but_last.iter().map(|layer| conv_transpose_lif::prepare(processor, layer));
        Prepared {
            prior: hidden.iter().map(|layer| linear_lif::prepare(processor, layer)).collect(),
            decoder_input: linear_lif::prepare(processor, &network.decoder_input),
            decoder: decoder.collect(),
        }
    }

    /// The work of every layer for the image of the latents `z`, `[C]` words.
    fn count(&self, network: &Network, z: &[u32]) -> Vec<(String, Work)> {
        let steps = network.architecture().time_steps;
        let mut names = network.layers_of_generation().iter().map(|facts| facts.name.clone());
        let mut list = Vec::new();
        let mut add = |work| list.extend(names.next().map(|name| (name, work)));

        match &network.sampler {
            Sampler::Layers { prior, .. } => {
                // The prior sees the latents of the step before.
                let used = u32::MAX >> (32 - steps);
                let mut spikes: Vec<u32> = z.iter().map(|word| word << 1 & used).collect();
                for (weights, layer) in prior.iter().zip(self.prior.iter().map(Some).chain([None])) {
                    add(linear(weights, &spikes, steps));
                    if let Some(layer) = layer {
                        spikes = fire(layer, &spikes, steps);
                    }
                }
            }
            Sampler::Rates(rates) => {
                let weights = rates.weights.len() as u64;
                add(Work { additions: weights, dense: weights });
            }
        }

        add(linear(&network.decoder_input, z, steps));
        let flat = fire(&self.decoder_input, z, steps);
        // The checkpoint flattens the 2x2 map channel, y, x; maps are pixel by pixel.
        let words: Vec<u32> = (0..4).flat_map(|pixel| flat[pixel..].iter().step_by(4)).copied().collect();
        let mut map = Spikes::from_words(&words, network.decoder_input.outputs / 4, steps);
        for (i, weights) in network.decoder.iter().enumerate() {
            let side = 2 << i;
            add(transposed(weights, &map.to_words(), side, steps));
            if let Some(layer) = self.decoder.get(i) {
                map = conv_transpose_lif(layer, &map, side);
            }
        }

        let side = network.architecture().image_side() as u64;
        let weights = (network.readout.inputs * network.readout.outputs) as u64;
        // Stride 1: three rows reach a row inside, two one at the border.
        let additions = (3 * side - 2).pow(2) * weights;
        add(Work { additions, dense: additions * steps as u64 });
        list
    }
}

/// A linear layer's spike trains, `[outputs]` words, from `[inputs]` words.
fn fire(layer: &Layer, inputs: &[u32], steps: usize) -> Vec<u32> {
    let mut outputs = Spikes::silent(1, layer.outputs, steps);
    linear_lif(layer, &Spikes::from_words(inputs, inputs.len(), steps), &mut outputs.masks);
    outputs.to_words()
}

fn spikes(words: &[u32]) -> u64 {
    words.iter().map(|word| u64::from(word.count_ones())).sum()
}

fn linear(layer: &SpikingLayer, inputs: &[u32], steps: usize) -> Work {
    let outputs = layer.outputs as u64;
    Work { additions: spikes(inputs) * outputs, dense: (inputs.len() * steps) as u64 * outputs }
}

/// A transposed convolution, 3x3, stride 2: an input (y, x) reaches three rows and columns of the output, those at
/// y = 0 and x = 0 two, for the third would be at -1.
fn transposed(layer: &SpikingLayer, map: &[u32], side: usize, steps: usize) -> Work {
    let mut work = Work { additions: 0, dense: 0 };
    let rows = |at: usize| if at == 0 { 2 } else { 3 };
    for (pixel, words) in map.chunks(layer.inputs).enumerate() {
        let reached = rows(pixel / side) * rows(pixel % side) * layer.outputs as u64;
        work.additions += spikes(words) * reached;
        work.dense += (words.len() * steps) as u64 * reached;
    }
    work
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use super::*;
    use crate::Checkpoint;

    fn bundled(model: &str) -> Network {
        let checkpoint = Checkpoint::bundled(model).expect("bundled").expect("valid");
        Network::new(&checkpoint).expect("a network")
    }

    /// The model cards' tables were made by `python/fsvae/training/operations.py` from 64 images of other draws: the dense numbers are
    /// exact, the additions as near as the spikes of so few images are.
    #[test]
    fn counts_are_those_of_the_model_cards() {
        for (model, card) in [
            ("mnist", fsvae_mnist::CARD),
            ("fashion", fsvae_fashion::CARD),
            ("cifar10", fsvae_cifar10::CARD),
            ("faces", fsvae_faces::CARD),
            ("faces-esvae", fsvae_faces_esvae::CARD),
        ] {
            let mut layers = generation(&bundled(model), 7, 0..256).expect("counts");
            // No spikes reach the layer of the rates, so no card has it.
            layers.retain(|layer| layer.name != crate::family::RATES);
            let rows = card.lines().skip_while(|line| !line.starts_with("| layer |")).skip(2);
            let rows = rows.take_while(|line| !line.starts_with("| encoder.0 |"));
            assert_eq!(layers.len(), rows.count(), "{model}");
            let (mut found, mut stated) = (0.0, 0.0);
            for layer in &layers {
                let line = card.lines().find(|line| line.starts_with(&format!("| {} |", layer.name)));
                let cells: Vec<String> =
                    line.expect("a row").split('|').map(|cell| cell.trim().replace(',', "")).collect();
                let additions: f64 = cells[4].parse().expect("a number");
                assert_eq!(cells[5], layer.dense.to_string(), "{model}: {}", layer.name);
                let ratio = layer.additions / additions;
                assert!((ratio - 1.0).abs() < 0.08, "{model}: {} is {ratio} of the card's", layer.name);
                found += layer.additions;
                stated += additions;
            }
            assert!((found / stated - 1.0).abs() < 0.05, "{model}: {found} additions, {stated} on the card");
        }
    }

    /// What `python/fsvae/training/operations.py` counts of the same draws: `prior` and `decode` of the float network, watched, on
    /// the latents of `fsvae generate --model mnist --seed 7 --count 16 --latents`.
    #[test]
    fn counts_of_the_same_draws_are_the_float_networks() {
        let layers = generation(&bundled("mnist"), 7, 0..16).expect("counts");
        let found: Vec<(&str, f64)> =
            layers.iter().map(|layer| (layer.name.as_str(), 16.0 * layer.additions)).collect();
        let float = [
            ("prior.layers.0", 2_393_600.0),
            ("prior.layers.1", 11_753_472.0),
            ("prior.layers.2", 103_421_440.0),
            ("decoder_input", 10_273_792.0),
            ("decoder.0", 29_822_976.0),
            ("decoder.1", 39_036_416.0),
            ("decoder.2", 55_385_056.0),
            ("final_layer.0", 57_015_264.0),
            ("final_layer.1", 4_524_032.0),
        ];
        for ((name, found), (expected_name, expected)) in found.into_iter().zip(float) {
            assert_eq!(name, expected_name);
            assert!((found / expected - 1.0).abs() < 1e-3, "{name}: {found} additions, {expected}");
        }
    }

    #[test]
    fn without_images_there_are_no_layers() {
        let network = bundled("mnist");
        assert_eq!(generation(&network, 7, 0..0).expect("no error"), []);
        assert!(generation(&network, 7, ..).is_err());
    }
}
