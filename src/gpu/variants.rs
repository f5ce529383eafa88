//! Which variant each layer of a network runs.

use std::fmt;

use super::variant::Variant;
use crate::architecture::DEEPEST;

/// Places that have a variant of their own: the sampler, and the layers of the largest decoder, which are `decoder_input`
/// and one each time the side doubles.
const PLACES: usize = DEEPEST + 2;
/// The sampler's place; the decoder's layers follow.
pub(crate) const SAMPLER: usize = 0;

/// The most images of a small batch. A GPU is not full of them, so what is best for one is best for them.
const SMALL: usize = 4;

/// A batch that leaves lanes of a GPU idle, or one that fills it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Small = 0,
    Large = 1,
}

impl Size {
    pub(crate) const ALL: [Size; 2] = [Size::Small, Size::Large];

    pub(crate) fn of(images: usize) -> Self {
        if images <= SMALL { Size::Small } else { Size::Large }
    }
}

/// The variant of the sampler and of each layer of a network's decoder, in batches of up to four images and in larger ones;
/// all else runs one variant. It decides speed, never a bit of an image. A [`Variant`] for all is one of them, and [`calibrate`](crate::gpu::calibrate)
/// finds the fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Variants {
    rest: Variant,
    /// Of layers that a network does not have, those of `rest`.
    places: [[Variant; PLACES]; 2],
}

impl Variants {
    /// What encoders and all else run that is neither the prior's sampler nor a layer of the decoder.
    pub fn rest(&self) -> Variant {
        self.rest
    }

    /// What the `layer`-th layer of the decoder runs in a batch of so many images, `decoder_input` being the first.
    pub fn decoder(&self, layer: usize, images: usize) -> Variant {
        self.at(SAMPLER + 1 + layer, Size::of(images))
    }

    /// What draws latents from the prior runs in a batch of so many images.
    pub fn sampler(&self, images: usize) -> Variant {
        self.at(SAMPLER, Size::of(images))
    }

    /// The same with another variant for the `layer`-th layer of the decoder in batches of so many images. A layer that no
    /// network has changes nothing.
    pub fn with(mut self, layer: usize, images: usize, variant: Variant) -> Self {
        self.set(SAMPLER + 1 + layer, Size::of(images), variant);
        self
    }

    /// The same with another variant for the sampler in batches of so many images.
    pub fn with_sampler(mut self, images: usize, variant: Variant) -> Self {
        self.set(SAMPLER, Size::of(images), variant);
        self
    }

    pub(crate) fn set(&mut self, place: usize, size: Size, variant: Variant) {
        if let Some(place) = self.places[size as usize].get_mut(place) {
            *place = variant;
        }
    }

    pub(crate) fn at(&self, place: usize, size: Size) -> Variant {
        self.places[size as usize].get(place).copied().unwrap_or(self.rest)
    }

    /// For who never makes more than `most` images at once: nothing is compiled for larger batches.
    pub(crate) fn up_to(mut self, most: usize) -> Self {
        if Size::of(most) == Size::Small {
            self.places[Size::Large as usize] = self.places[Size::Small as usize];
        }
        self
    }
}

impl From<Variant> for Variants {
    fn from(variant: Variant) -> Self {
        Variants { rest: variant, places: [[variant; PLACES]; 2] }
    }
}

/// The name of the one variant, or `mixed`.
impl fmt::Display for Variants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = self.places.iter().flatten().all(|&variant| variant == self.rest);
        f.write_str(if one { self.rest.name() } else { "mixed" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_batches_have_variants_of_their_own() {
        let uniform = Variants::from(Variant::Quads);
        let mixed = uniform.with(1, 1, Variant::Dense).with(2, 64, Variant::Branches);
        let at = |layer, images| mixed.decoder(layer, images).name();
        assert_eq!([at(0, 1), at(1, 1), at(1, 4), at(2, 4)], ["quads", "dense", "dense", "quads"]);
        assert_eq!([at(1, 5), at(2, 5), at(2, 256), at(99, 5)], ["quads", "branches", "branches", "quads"]);
        assert_eq!((uniform.to_string(), mixed.to_string()), ("quads".into(), "mixed".into()));
        assert_eq!(uniform.with(99, 1, Variant::Dense), uniform);
        let sampled = uniform.with_sampler(4, Variant::Shared);
        assert_eq!((sampled.sampler(1), sampled.sampler(5)), (Variant::Shared, Variant::Quads));
        assert_eq!((sampled.decoder(0, 1), sampled.to_string()), (Variant::Quads, "mixed".into()));
        let small = mixed.up_to(4);
        assert_eq!((small.decoder(1, 64), small.decoder(2, 64)), (Variant::Dense, Variant::Quads));
        assert_eq!(mixed.up_to(5), mixed);
    }
}
