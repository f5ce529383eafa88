//! Any number of images through an engine, batch by batch, for callers that wait.

use super::engine::{Engine, Product, Source};
use crate::error::Result;
use crate::latents::Latents;

/// Images from the prior, the first of index `first`.
pub(crate) fn prior(seed: u64, first: u64) -> impl Fn(usize, usize) -> Source<'static> {
    move |at, _| Source::Prior { seed, first: first + at as u64 }
}

/// Latents drawn from the posterior of images of `image` bytes each, the first of index `first`.
pub(crate) fn posterior<'a>(
    pixels: &'a [u8],
    image: usize,
    seed: u64,
    first: u64,
) -> impl Fn(usize, usize) -> Source<'a> {
    move |at, count| Source::Posterior {
        images: &pixels[at * image..][..count * image],
        seed,
        first: first + at as u64,
    }
}

/// Latents as they are.
pub(crate) fn given<'a>(latents: &'a Latents) -> impl Fn(usize, usize) -> Source<'a> {
    let channels = latents.channels();
    move |at, count| Source::Latents(&latents.words()[at * channels..][..count * channels])
}

impl Engine {
    /// Runs `count` images; `source` says where images `at..at + n` come from, `take` gets how many images a batch
    /// was and its bytes, in order.
    pub(crate) fn drive<'a>(
        &mut self,
        count: usize,
        product: Product,
        source: impl Fn(usize, usize) -> Source<'a>,
        mut take: impl FnMut(usize, &[u8]),
    ) -> Result<()> {
        let batch = if product == Product::Frames { self.frames_capacity() } else { self.capacity() };
        let sizes = |at: usize| batch.min(count - at);
        let (mut submitted, mut collected) = (0, 0);
        let mut bytes = Vec::new();
        while collected < count {
            while submitted < count && self.has_room() {
                let images = sizes(submitted);
                self.submit(source(submitted, images), product, images);
                submitted += images;
            }
            bytes.clear();
            self.collect(&mut bytes)?;
            let images = sizes(collected);
            take(images, &bytes);
            collected += images;
        }
        Ok(())
    }

    /// [`Engine::drive`] for images, appended to `pixels`.
    pub(crate) fn drive_images<'a>(
        &mut self,
        count: usize,
        source: impl Fn(usize, usize) -> Source<'a>,
        pixels: &mut Vec<u8>,
    ) -> Result<()> {
        self.drive(count, Product::Images, source, |_, bytes| pixels.extend_from_slice(bytes))
    }

    /// [`Engine::drive`] for latents, appended as words `[n, C]`.
    pub(crate) fn drive_latents<'a>(
        &mut self,
        count: usize,
        source: impl Fn(usize, usize) -> Source<'a>,
        words: &mut Vec<u32>,
    ) -> Result<()> {
        let channels = self.model().architecture().latent_channels;
        self.drive(count, Product::Latents, source, |_, bytes| {
            let padded: Vec<u32> = bytemuck::pod_collect_to_vec(bytes);
            for image in padded.chunks(channels.next_multiple_of(4)) {
                words.extend_from_slice(&image[..channels]);
            }
        })
    }
}
