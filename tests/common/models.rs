//! The models with random weights that the oracle's rows are of.

use fsvae::{Checkpoint, Network};
use safetensors::Dtype;

use super::RandomModel;

const fn model(
    rng: u64,
    [steps, latent, k]: [usize; 3],
    [layers, channels, width]: [usize; 3],
    large: Dtype,
) -> RandomModel {
    RandomModel { rng, steps, latent, k: Some(k), hidden: &[], layers, channels, width, large }
}

const fn rates(
    rng: u64,
    [steps, latent]: [usize; 2],
    [layers, channels, width]: [usize; 3],
    large: Dtype,
) -> RandomModel {
    hidden(rng, [steps, latent], &[], [layers, channels, width], large)
}

const fn hidden(
    rng: u64,
    [steps, latent]: [usize; 2],
    hidden: &'static [usize],
    [layers, channels, width]: [usize; 3],
    large: Dtype,
) -> RandomModel {
    RandomModel { rng, steps, latent, k: None, hidden, layers, channels, width, large }
}

/// Checkpoints of every odd shape: T, C, k (of an FSVAE), hidden layers before the rates (of an ESVAE); depth, image
/// channels, width. Rows of the oracle name them by
/// their place in the list.
pub const MODELS: [RandomModel; 28] = [
    model(1, [1, 5, 1], [2, 1, 3], Dtype::F32),
    model(2, [7, 6, 5], [3, 3, 5], Dtype::F16),
    model(3, [16, 13, 20], [4, 1, 4], Dtype::F32),
    model(4, [31, 9, 255], [2, 3, 7], Dtype::F16),
    model(5, [32, 33, 5], [3, 1, 9], Dtype::BF16),
    model(6, [16, 130, 3], [2, 3, 33], Dtype::F16),
    model(21, [20, 1, 2], [5, 1, 2], Dtype::F32),
    model(8, [16, 7, 11], [5, 3, 3], Dtype::F16),
    model(9, [9, 34, 7], [1, 1, 17], Dtype::F32),
    model(10, [12, 12, 16], [1, 3, 6], Dtype::F32),
    // The size of the paper's CelebA network: 64 x 64 RGB, 512 channels.
    model(11, [16, 128, 20], [5, 3, 32], Dtype::F16),
    rates(24, [1, 5], [2, 1, 3], Dtype::F32),
    rates(13, [7, 6], [3, 3, 5], Dtype::F16),
    rates(14, [16, 13], [4, 1, 4], Dtype::F32),
    rates(15, [31, 130], [2, 3, 7], Dtype::F16),
    rates(16, [32, 33], [3, 1, 9], Dtype::BF16),
    rates(17, [16, 257], [2, 3, 5], Dtype::F16),
    rates(29, [20, 1], [5, 1, 2], Dtype::F32),
    rates(19, [31, 34], [6, 3, 1], Dtype::F32),
    rates(20, [16, 128], [3, 3, 16], Dtype::F16),
    hidden(43, [1, 3], &[1], [2, 1, 3], Dtype::F32),
    hidden(33, [7, 6], &[9], [2, 3, 3], Dtype::F32),
    hidden(34, [16, 33], &[256], [3, 1, 4], Dtype::F16),
    hidden(35, [31, 130], &[67], [2, 1, 5], Dtype::BF16),
    hidden(36, [32, 5], &[3, 2], [4, 3, 2], Dtype::F32),
    hidden(37, [16, 128], &[256, 256], [3, 3, 8], Dtype::F16),
    hidden(38, [9, 257], &[31, 130], [2, 3, 3], Dtype::F16),
    hidden(39, [20, 12], &[300, 1], [6, 1, 1], Dtype::F32),
];

/// The checkpoint that a row names: a bundled one, or the place of a random one.
pub fn bytes(name: &str) -> Vec<u8> {
    match name.parse::<usize>() {
        Ok(random) => MODELS[random].bytes(),
        Err(_) => {
            fsvae::bundled::MODELS.iter().find(|(bundled, _)| *bundled == name).expect("bundled").1.into()
        }
    }
}

/// The network of [`bytes`].
pub fn network(name: &str) -> Network {
    Network::new(&Checkpoint::from_bytes(&bytes(name)).expect("valid")).expect("a network")
}
