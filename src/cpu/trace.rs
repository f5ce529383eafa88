//! What every layer gives on the way, for comparisons layer by layer.

use super::{Cpu, decoded};

impl Cpu {
    /// The words of every layer of the encoder, its latent input and z, each `[pixels, channels]`.
    pub(crate) fn trace_encoding(&self, image: &[u8], seed: u64, index: u64) -> Vec<Vec<u32>> {
        let mut words = Vec::new();
        let z =
            self.encode_one(self.encoder(), image, seed, index, &mut |spikes| words.push(spikes.to_words()));
        words.push(z.to_words());
        words
    }

    /// The words of z and of every layer of the decoder, and the pixels.
    pub(crate) fn trace_generation(&self, seed: u64, index: u64) -> (Vec<Vec<u32>>, Vec<u8>) {
        let z = self.sample_one(seed, index);
        let mut words = vec![z.to_words()];
        decoded(&self.decoder, z.clone(), &mut |spikes| words.push(spikes.to_words()));
        let mut image = vec![0; self.image_bytes()];
        self.decode_all(std::slice::from_ref(&z), &mut image);
        (words, image)
    }
}
