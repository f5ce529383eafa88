//! One result that was compared.

use sha2::{Digest, Sha256};

use super::compare::{Shape, Unit, difference};
use super::fault::{Fault, Layer, WrongDigest, WrongNumbers};
use super::known::IMAGES;

/// What was computed.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) kernel: &'static str,
    pub(super) variant: Option<&'static str>,
    pub(super) layer: Option<Layer>,
    pub(super) input: String,
}

#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) name: Name,
    pub(super) shape: Shape,
    pub(super) expected: Vec<u32>,
    pub(super) found: Vec<u32>,
    /// SHA-256 of what the oracle has for the first images.
    pub(super) digest: Option<&'static str>,
}

impl Outcome {
    pub(super) fn fault(&self) -> Option<Fault> {
        let difference = difference(&self.shape, &self.expected, &self.found);
        let digests = self.digest.map(|oracle| (oracle, self.digest_of(&self.expected)));
        match (digests, difference) {
            // If the oracle does not agree with what is held to be right, nothing can be said of what was found.
            (Some((oracle, twin)), _) if twin != oracle => Some(Fault::Digest(WrongDigest {
                layer: self.name.layer.clone()?,
                expected: oracle.into(),
                twin,
                found: self.digest_of(&self.found),
            })),
            (_, Some(difference)) => {
                let Name { kernel, variant, layer, input } = self.name.clone();
                Some(Fault::Numbers(WrongNumbers { kernel, variant, layer, input, difference }))
            }
            _ => None,
        }
    }

    /// In hexadecimal, of the first images, without the channels that are filled up.
    fn digest_of(&self, words: &[u32]) -> String {
        let mut hash = Sha256::new();
        let words = &words[..words.len().min(IMAGES * self.shape.words())];
        let stride = if self.shape.unit == Unit::Trains { self.shape.stride() } else { 1 };
        let used = if self.shape.unit == Unit::Trains { self.shape.channels } else { 1 };
        for pixel in words.chunks(stride) {
            for word in &pixel[..used.min(pixel.len())] {
                hash.update(word.to_le_bytes());
            }
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
