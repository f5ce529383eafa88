//! Spike trains as the CPU likes them: one bit a channel.

/// The spike trains of one map of one image, `[pixels, time steps, channels]`, a bit each. A step
/// of a pixel is a bitmask, so that silence costs nothing and spikes are found by counting zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spikes {
    pub(crate) channels: usize,
    pub(crate) steps: usize,
    /// u64 words of one step of one pixel.
    pub(crate) width: usize,
    pub(crate) masks: Vec<u64>,
}

impl Spikes {
    pub(crate) fn silent(pixels: usize, channels: usize, steps: usize) -> Self {
        let width = channels.div_ceil(64);
        Spikes { channels, steps, width, masks: vec![0; pixels * steps * width] }
    }

    /// Words of one pixel, all its steps.
    pub(crate) fn pixel_words(&self) -> usize {
        self.steps * self.width
    }

    pub(crate) fn pixels(&self) -> usize {
        self.masks.len() / self.pixel_words()
    }

    /// The n-th of the maps of `pixels` pixels.
    pub(crate) fn map(&self, n: usize, pixels: usize) -> Spikes {
        let Spikes { channels, steps, width, .. } = *self;
        let words = pixels * self.pixel_words();
        Spikes { channels, steps, width, masks: self.masks[n * words..][..words].to_vec() }
    }

    /// Maps of the same sizes, one after the other.
    pub(crate) fn joined(maps: &[Spikes]) -> Spikes {
        let mut all = Spikes { masks: Vec::new(), ..maps[0] };
        maps.iter().for_each(|map| all.masks.extend_from_slice(&map.masks));
        all
    }

    #[inline(always)]
    pub(crate) fn at(&self, pixel: usize, step: usize) -> &[u64] {
        let start = pixel * self.pixel_words() + step * self.width;
        &self.masks[start..start + self.width]
    }

    /// What changes from one step to the next.
    pub(super) fn changes(&self) -> Changes<'_> {
        let mut changed = self.masks.clone();
        for (changed, now) in
            changed.chunks_mut(self.pixel_words()).zip(self.masks.chunks(self.pixel_words()))
        {
            for (changed, before) in changed[self.width..].iter_mut().zip(now) {
                *changed ^= before;
            }
        }
        Changes { spikes: self, changed }
    }

    /// One word a neuron, bit t = its spike at step t, `[pixels, channels]`: the GPU's layout.
    pub(crate) fn to_words(&self) -> Vec<u32> {
        let mut words = vec![0; self.pixels() * self.channels];
        for (pixel, words) in words.chunks_mut(self.channels).enumerate() {
            for step in 0..self.steps {
                for_each_spike(self.at(pixel, step), |channel| words[channel] |= 1 << step);
            }
        }
        words
    }

    /// The inverse of [`Spikes::to_words`].
    pub(crate) fn from_words(words: &[u32], channels: usize, steps: usize) -> Self {
        let mut spikes = Spikes::silent(words.len() / channels, channels, steps);
        let (pixel_words, width) = (spikes.pixel_words(), spikes.width);
        for (neuron, &word) in words.iter().enumerate() {
            let (pixel, channel) = (neuron / channels, neuron % channels);
            for step in (0..steps).filter(|step| word >> step & 1 == 1) {
                let mask = pixel * pixel_words + step * width + channel / 64;
                spikes.masks[mask] |= 1 << (channel % 64);
            }
        }
        spikes
    }
}

/// Spike trains, and masks of the channels that do something else than the step before. In front of the first all are
/// silent.
pub(super) struct Changes<'a> {
    spikes: &'a Spikes,
    changed: Vec<u64>,
}

impl Changes<'_> {
    pub(super) fn steps(&self) -> usize {
        self.spikes.steps
    }

    #[inline(always)]
    pub(super) fn at(&self, pixel: usize, step: usize) -> Change<'_> {
        let Spikes { width, ref masks, .. } = *self.spikes;
        let start = pixel * self.spikes.pixel_words() + step * width;
        Change { changed: &self.changed[start..start + width], now: &masks[start..start + width] }
    }
}

/// Masks of a time step: of what does something else than before, and of what spikes.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) changed: &'a [u64],
    pub(super) now: &'a [u64],
}

/// Calls `event` for each channel whose bit is set, in order.
#[inline(always)]
pub(crate) fn for_each_spike(mask: &[u64], mut event: impl FnMut(usize)) {
    for (word, &bits) in mask.iter().enumerate() {
        let mut bits = bits;
        while bits != 0 {
            event(word * 64 + bits.trailing_zeros() as usize);
            bits &= bits - 1;
        }
    }
}
