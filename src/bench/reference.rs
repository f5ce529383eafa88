//! Images first, speed afterwards: what a backend makes is compared before and after it is timed.

use sha2::{Digest, Sha256};

use super::run::images;
use super::schema::Verified;
use crate::error::{Error, Result};
use crate::generator::Generator;
use crate::images::{Image, Images};
use crate::network::Network;

/// Rows of `tests/conformance.rows`: model, task, seed, index, SHA-256 of the pixels. They come from the oracle.
const KNOWN: &str = include_str!("known.rows");

/// The models of those rows, by the SHA-256 of their files: they are known where none is compiled in, too.
const MODELS: [(&str, &str); 8] = [
    ("mnist", "7269a00633fd0f6113a08f73133bee0bf23bc7ca2603617946d01ef36a03fb8c"),
    ("fashion", "5722858cac05ad95c3723c2e293edc26baafea13386dcb44485337d408ca53c7"),
    ("faces", "72e357c9be8321c9ebc68155298f7268eaac5f4aec9d802e41c0145b8183d771"),
    ("faces-esvae", "94415b89dbeeae98c27816c14c014bec23a7496f3682bf383e9e2092afbd236c"),
    ("mnist-esvae", "4e36eefb588c29c5274470598f8f0fc804bfe367908c30b0c335fc34a19554c6"),
    ("fashion-esvae", "2f062ba7dd9348e72642ee6585a3b245993b1cdafdff277b9dca92609281cb07"),
    ("cifar10-esvae", "992d5e18417a68ad40eb2092ddc1b85ae0781858801a0a24316de54b4824190d"),
    ("thumbs-esvae", "451ef1efed998b41cb252c426374bb209d6663658d1697389be4c22a20e9ecb8"),
];

/// An image that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    seed: u64,
    index: u64,
    digest: String,
    source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Oracle,
    Cpu,
}

/// Why a backend is not scored.
#[derive(Debug)]
pub(super) enum Unfit {
    Wrong(String),
    Failed(Error),
}

impl From<Error> for Unfit {
    fn from(error: Error) -> Self {
        Unfit::Failed(error)
    }
}

/// What images must be, by the oracle and by the CPU.
#[derive(Debug)]
pub(super) struct Reference {
    cpu: Generator,
    seed: u64,
    known: Vec<Expected>,
    /// As many images of the seed.
    samples: u64,
    /// False once the CPU disagrees with the oracle: nothing is held against it then.
    cpu_is_right: bool,
}

impl Reference {
    /// `sha256` says which of the bundled models a checkpoint is, if any.
    pub(super) fn new(network: &Network, sha256: &str, seed: u64, samples: u64) -> Self {
        let model = MODELS.iter().find(|(_, digest)| *digest == sha256);
        let known = model.map_or_else(Vec::new, |(name, _)| known(name));
        Reference { cpu: Generator::builder(network).cpu(), seed, known, samples, cpu_is_right: true }
    }

    /// One that expects another image where the last of the oracle's is.
    #[cfg(test)]
    pub(super) fn tampered(mut self) -> Self {
        if let Some(last) = self.known.last_mut() {
            last.digest = digest(b"another image");
        }
        self
    }

    /// The CPU does not agree with the oracle: from now on nothing is held against it.
    pub(super) fn distrust_cpu(&mut self) {
        self.cpu_is_right = false;
    }

    /// Images of the oracle.
    pub(super) fn known(&self) -> &[Expected] {
        &self.known
    }

    /// Images of the oracle and of the CPU.
    pub(super) async fn expected(&self) -> Result<Vec<Expected>> {
        let images =
            images(&self.cpu, self.seed, 0, if self.cpu_is_right { self.samples } else { 0 }).await?;
        let (seed, source) = (self.seed, Source::Cpu);
        let samples = images.iter().map(|Image { index, pixels, .. }| Expected {
            seed,
            index,
            digest: digest(pixels),
            source,
        });
        Ok(self.known.iter().cloned().chain(samples).collect())
    }

    /// Compares the first, the middle and the last image of a batch of the seed with the CPU's.
    pub(super) async fn check_batch(&self, batch: &Images) -> Result<Verified, Unfit> {
        let mut verified = Verified::default();
        if !self.cpu_is_right {
            return Ok(verified);
        }
        let mut places = vec![0, batch.len() / 2, batch.len() - 1];
        places.dedup();
        for image in places.into_iter().filter_map(|n| batch.get(n)) {
            let expected = images(&self.cpu, self.seed, image.index, 1).await?;
            if image.pixels != expected.as_bytes() {
                return Err(Unfit::Wrong(format!(
                    "image {} of seed {} in a batch of {} is not the CPU's",
                    image.index,
                    self.seed,
                    batch.len()
                )));
            }
            verified.with_cpu += 1;
        }
        Ok(verified)
    }
}

/// SHA-256 in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn known(model: &str) -> Vec<Expected> {
    let row = |line: &str| {
        let mut cells = line.strip_prefix(model)?.strip_prefix(" generate ")?.split(' ');
        let mut number = || cells.next()?.parse().ok();
        let (seed, index) = (number()?, number()?);
        Some(Expected { seed, index, digest: cells.next()?.into(), source: Source::Oracle })
    };
    KNOWN.lines().filter_map(row).collect()
}

/// Compares the images that `pixels(seed, index)` makes.
pub(super) async fn verify(
    expected: &[Expected],
    mut pixels: impl AsyncFnMut(u64, u64) -> Result<Vec<u8>>,
) -> Result<Verified, Unfit> {
    let mut verified = Verified::default();
    for Expected { seed, index, digest: right, source } in expected {
        let found = digest(&pixels(*seed, *index).await?);
        let (whose, count) = match source {
            Source::Oracle => ("oracle", &mut verified.with_oracle),
            Source::Cpu => ("CPU", &mut verified.with_cpu),
        };
        if found != *right {
            return Err(Unfit::Wrong(format!(
                "image {index} of seed {seed} has SHA-256 {found}, the {whose}'s has {right}"
            )));
        }
        *count += 1;
    }
    Ok(verified)
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use pollster::block_on;

    use super::*;

    fn reference(model: &str) -> Reference {
        let checkpoint = crate::Checkpoint::bundled(model).expect("bundled").expect("valid");
        let network = Network::new(&checkpoint).expect("a network");
        Reference::new(&network, &digest(checkpoint.as_bytes()), 99, 2)
    }

    #[test]
    fn known_rows_are_the_oracles() {
        let oracle = include_str!("../../tests/conformance.rows");
        for (model, _) in crate::bundled::MODELS {
            let rows: Vec<&str> =
                KNOWN.lines().filter(|line| line.split(' ').next() == Some(*model)).collect();
            assert!(rows.iter().all(|row| oracle.lines().any(|line| line == *row)), "{model}");
            assert_eq!(known(model).len(), rows.len(), "{model}");
            // Browsers load them all, so the later models have fewer.
            assert!(rows.len() >= 3, "{model}");
        }
    }

    /// One bit of one pixel, of any image, and the backend is out.
    #[test]
    fn a_tampered_image_is_wrong() {
        let reference = reference("fashion");
        let expected = block_on(reference.expected()).expect("images");
        let count = expected.len();
        let Reference { cpu, known, .. } = &reference;
        let right = block_on(verify(&expected, async |seed, index| {
            Ok(cpu.generate(seed, index..=index)?.into_bytes())
        }));
        let known = known.len();
        assert_eq!(right.expect("right"), Verified { with_oracle: known, with_cpu: count - known });
        for tampered in 0..count {
            let mut at = 0;
            let result = block_on(verify(&expected, async |seed, index| {
                let mut pixels = cpu.generate(seed, index..=index)?.into_bytes();
                pixels[1023] ^= u8::from(at == tampered);
                at += 1;
                Ok(pixels)
            }));
            let Err(Unfit::Wrong(reason)) = result else { panic!("image {tampered} passed: {result:?}") };
            let Expected { seed, index, .. } = expected[tampered];
            assert!(reason.starts_with(&format!("image {index} of seed {seed} has SHA-256 ")), "{reason}");
        }
    }

    #[test]
    fn a_tampered_batch_is_wrong() {
        let reference = reference("mnist");
        let images = reference.cpu.generate(99, 5..12).expect("images");
        assert_eq!(
            block_on(reference.check_batch(&images)).expect("right"),
            Verified { with_oracle: 0, with_cpu: 3 }
        );
        for at in [0, 3, 6] {
            let mut pixels = images.as_bytes().to_vec();
            pixels[at * 1024 + 7] ^= 1;
            let network = reference.cpu.architecture().clone();
            let tampered = Images::new(&network, 5, pixels).expect("images");
            let Err(Unfit::Wrong(reason)) = block_on(reference.check_batch(&tampered)) else {
                panic!("image {at} passed")
            };
            assert_eq!(reason, format!("image {} of seed 99 in a batch of 7 is not the CPU's", 5 + at));
        }
    }

    #[test]
    fn the_bundled_models_are_known_by_their_digests() {
        let bundled: Vec<_> =
            crate::bundled::MODELS.iter().map(|(name, bytes)| (*name, digest(bytes))).collect();
        assert_eq!(bundled, MODELS.map(|(name, digest)| (name, digest.to_owned())));
    }

    #[test]
    fn a_model_of_ones_own_has_no_known_images() {
        let checkpoint = crate::Checkpoint::bundled("mnist").expect("bundled").expect("valid");
        let network = Network::new(&checkpoint).expect("a network");
        assert_eq!(Reference::new(&network, "another digest", 7, 1).known(), []);
    }

    #[test]
    fn a_lost_device_is_no_wrong_image() {
        let reference = reference("mnist");
        let expected = block_on(reference.expected()).expect("images");
        let lost = || Error::DeviceLost { adapter: "X".into() };
        assert!(matches!(block_on(verify(&expected, async |_, _| Err(lost()))), Err(Unfit::Failed(_))));
    }
}
