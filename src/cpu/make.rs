//! A batch of a task on the CPU.

use super::parallel::{for_each_chunk, in_pool};
use super::{Cpu, Spikes, decoded};
use crate::backend::{Input, Made, Wants, Work};

impl Cpu {
    /// The caller saw to it that inputs and wants fit the network.
    pub(crate) fn make(&self, work: &Work) -> Made {
        let Work { input, images, wants } = work;
        let (count, mut made) = (*images, Made::default());
        // Nothing is kept between the latents and the image.
        if let (Input::Prior { seed, first }, true) = (input, wants.is_images_alone()) {
            made.images = vec![0; count * self.image_bytes()];
            self.generate(*seed, *first, &mut made.images);
            return made;
        }
        let mut words = vec![0; count * self.network.architecture.latent_channels];
        match input {
            Input::Prior { seed, first } => self.sample(*seed, *first, &mut words),
            Input::Posterior { pixels, seed, first } => self.encode(pixels, *seed, *first, &mut words),
            Input::Latents(given) => words.copy_from_slice(given),
        }
        if wants.images {
            made.images = vec![0; count * self.image_bytes()];
            self.decode(&words, &mut made.images);
        }
        if wants.frames {
            made.frames = self.frames_by_step(&words, count);
        }
        if !wants.spikes.is_empty() {
            made.spikes = self.spikes(input, &words, count, wants);
        }
        if wants.latents {
            made.latents = words;
        }
        made
    }

    /// `[T, n, image]`
    fn frames_by_step(&self, words: &[u32], count: usize) -> Vec<u8> {
        let (steps, image) = (self.network.architecture.time_steps, self.image_bytes());
        let mut pictures = vec![0; count * steps * image];
        self.frames(words, &mut pictures);
        let mut by_step = Vec::with_capacity(pictures.len());
        for step in 0..steps {
            pictures.chunks(image).skip(step).step_by(steps).for_each(|picture| by_step.extend(picture));
        }
        by_step
    }

    /// The words of each layer that is wanted, `[n, y, x, channels]`.
    fn spikes(&self, input: &Input, words: &[u32], count: usize, wants: &Wants) -> Vec<Vec<u32>> {
        // Of each image, of each layer.
        let mut of_images: Vec<Vec<Vec<u32>>> = vec![Vec::new(); count];
        let encodes = matches!(input, Input::Posterior { .. });
        // Before the pool, whose jobs wait for nothing.
        let encoder = encodes.then(|| self.encoder());
        in_pool(|| {
            for_each_chunk(&mut of_images, 1, |i, of_image| {
                let mut layers: Vec<Vec<u32>> = Vec::new();
                let mut see = |spikes: &Spikes| layers.push(spikes.to_words());
                if let (Some(encoder), Input::Posterior { pixels, seed, first }) = (encoder, input) {
                    let image = &pixels[i * self.image_bytes()..][..self.image_bytes()];
                    self.encode_one(encoder, image, *seed, first + i as u64, &mut see);
                }
                let z = self.latents(words, i);
                see(&z);
                decoded(&self.decoder, z, &mut see);
                // Without an encoder its layers, and its latents, are not there.
                let skipped = if encodes { 0 } else { self.network.architecture.depth() + 1 };
                of_image[0] =
                    wants.spikes.iter().map(|&at| std::mem::take(&mut layers[at - skipped])).collect();
            });
        });
        let of_layer = |at: usize| of_images.iter().flat_map(|layers| &layers[at]).copied().collect();
        (0..wants.spikes.len()).map(of_layer).collect()
    }
}
