//! How much work an image is: the additions that its spikes cause, layer by layer, and the multiply-adds of the same
//! network if it computed zeros, too.
//!
//! A spike adds one weight to each neuron that it reaches, so the additions of a layer are its input spikes times the
//! neurons that each reaches: all of a linear layer, up to nine pixels of a convolution, at the borders fewer. That is
//! what the network asks for, and the measure of spiking networks' papers. A kernel may do less: only one of k neurons
//! of the prior's last layer is looked at, but all C * k are counted here; and a sum may go on from the step before, so
//! that only the inputs that begin or cease to spike are added, as the CPU does. An ESVAE's sample layer runs once, not at
//! every step, on numbers that are not spikes.

use std::ops::RangeBounds;

use crate::cpu::parallel::in_pool;
use crate::cpu::spikes::Spikes;
use crate::cpu::vectors::Processor;
use crate::cpu::{self, Cpu};
use crate::error::{Error, Result};
use crate::indices::Indices;
use crate::layer::{Shape, SpikingLayer};
use crate::network::{Network, Sampler};

/// The work of one layer for one image.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LayerOperations {
    /// The layer's name in the checkpoint.
    pub name: String,
    /// Additions: the mean over the images. The readout works on sums over time, not on spikes: its additions are one
    /// for each weight and pixel. Those of an ESVAE's sample layer are one for each weight.
    pub additions: f64,
    /// Additions of who lets a neuron's sum go on from the step before: one for each neuron that is reached by an input
    /// that begins or ceases to spike. Where the inputs are no spikes, the same as `additions`.
    pub changes: f64,
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
                layers.push(LayerOperations { name, additions: 0.0, changes: 0.0, dense: work.dense });
            }
            layers[at].additions += work.additions as f64 / count;
            layers[at].changes += work.changes as f64 / count;
        }
    }
    Ok(layers)
}

/// The layers that have to run for their spikes to be known: all but the last of the prior, and of the decoder.
struct Prepared {
    prior: Vec<cpu::Prepared>,
    decoder: Vec<cpu::Prepared>,
}

/// Of one layer for one image.
struct Work {
    additions: u64,
    changes: u64,
    dense: u64,
}

impl Prepared {
    fn new(network: &Network) -> Self {
        let processor = Processor::get();
        let hidden = |layers: &[SpikingLayer]| -> Vec<cpu::Prepared> {
            let hidden = &layers[..layers.len().saturating_sub(1)];
            hidden.iter().map(|layer| cpu::Prepared::new(processor, layer)).collect()
        };
        Prepared { prior: hidden(network.sampler.prior()), decoder: hidden(&network.decoder) }
    }

    /// The work of every layer for the image of the latents `z`, `[C]` words.
    fn count(&self, network: &Network, z: &[u32]) -> Vec<(String, Work)> {
        let architecture = network.architecture();
        let (channels, steps) = (architecture.latent_channels, architecture.time_steps);
        let latents = |words: &[u32]| Spikes::from_words(words, channels, steps);
        // The prior sees the latents of the step before.
        let used = u32::MAX >> (32 - steps);
        let before: Vec<u32> = z.iter().map(|word| word << 1 & used).collect();
        let mut list = match &network.sampler {
            Sampler::Layers { prior, .. } => spiking(&prior[..], &self.prior, latents(&before)),
            Sampler::Rates(rates) => {
                let work = |shape: Shape| {
                    let dense = shape.dense();
                    (shape.name, Work { additions: dense, changes: dense, dense })
                };
                Shape::rates(channels, &rates.widths()).into_iter().map(work).collect()
            }
        };
        list.extend(spiking(&network.decoder, &self.decoder, latents(z)));
        let readout = architecture.readout();
        let additions = readout.dense();
        let work = Work { additions, changes: additions, dense: additions * steps as u64 };
        list.push((readout.name, work));
        list
    }
}

/// The work of layers that follow each other, the first of which gets `spikes`.
fn spiking(layers: &[SpikingLayer], prepared: &[cpu::Prepared], mut spikes: Spikes) -> Vec<(String, Work)> {
    let mut list = Vec::new();
    for (at, layer) in layers.iter().enumerate() {
        let work = Work {
            additions: reached(layer, &spikes, |word| word),
            changes: reached(layer, &spikes, |word| changes(word, spikes.steps)),
            dense: layer.dense() * spikes.steps as u64,
        };
        list.push((layer.name.clone(), work));
        if let Some(prepared) = prepared.get(at) {
            spikes = prepared.run(&spikes);
        }
    }
    list
}

/// A spike is an addition for each output that it reaches; here, a bit of what `of_train` makes of a spike train.
fn reached(shape: &Shape, spikes: &Spikes, of_train: impl Fn(u32) -> u32) -> u64 {
    let count = |words: &[u32]| words.iter().map(|&word| u64::from(of_train(word).count_ones())).sum::<u64>();
    let words = spikes.to_words();
    words.chunks(shape.inputs).enumerate().map(|(at, words)| count(words) * shape.reached(at) as u64).sum()
}

/// The steps at which a spike train is not what it was the step before; in front of the first it is silent.
fn changes(word: u32, steps: usize) -> u32 {
    (word ^ word << 1) & (u32::MAX >> (32 - steps))
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
            ("faces", fsvae_faces::CARD),
            ("faces-esvae", fsvae_faces_esvae::CARD),
            ("fashion-esvae", fsvae_fashion_esvae::CARD),
            ("mnist-esvae", fsvae_mnist_esvae::CARD),
            ("cifar10-esvae", fsvae_cifar10_esvae::CARD),
            ("thumbs-esvae", fsvae_thumbs_esvae::CARD),
        ] {
            let mut layers = generation(&bundled(model), 7, 0..256).expect("counts");
            // No spikes reach the layers before the rates, so no card has them.
            layers.retain(|layer| !layer.name.starts_with("sample_layer."));
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
            ("prior.layers.0", 2_310_656.0),
            ("prior.layers.1", 12_166_144.0),
            ("prior.layers.2", 121_190_400.0),
            ("decoder_input", 9_842_688.0),
            ("decoder.0", 33_130_368.0),
            ("decoder.1", 60_846_272.0),
            ("decoder.2", 123_906_560.0),
            ("final_layer.0", 89_627_328.0),
            ("final_layer.1", 4_524_032.0),
        ];
        for ((name, found), (expected_name, expected)) in found.into_iter().zip(float) {
            assert_eq!(name, expected_name);
            assert!((found / expected - 1.0).abs() < 1e-3, "{name}: {found} additions, {expected}");
        }
    }

    #[test]
    fn a_train_changes_where_it_begins_and_where_it_ceases() {
        for (word, steps, expected) in [
            (0b0000, 4, 0b0000),
            (0b1111, 4, 0b0001),
            (0b0110, 4, 0b1010),
            (0b0101, 4, 0b1111),
            (0b1000, 4, 0b1000),
            (1, 1, 1),
            (u32::MAX, 32, 1),
            (1 << 31, 32, 1 << 31),
        ] {
            assert_eq!(changes(word, steps), expected, "{word:b}");
        }
        // Most neurons do what they did the step before.
        for layer in generation(&bundled("mnist-esvae"), 7, 0..4).expect("counts") {
            let is_of_spikes = !layer.name.starts_with("sample_layer.") && layer.name != "final_layer.1";
            assert_eq!(layer.changes < 0.6 * layer.additions, is_of_spikes, "{layer:?}");
        }
    }

    #[test]
    fn without_images_there_are_no_layers() {
        let network = bundled("mnist");
        assert_eq!(generation(&network, 7, 0..0).expect("no error"), []);
        assert!(generation(&network, 7, ..).is_err());
    }
}
