//! Latent spike trains.

use crate::error::{Error, Result};
use crate::philox::{Draws, Stream};

/// Latent spike trains z of some images, `[n, T, C]` bits: what the sampler draws, the encoder makes
/// of an image, and the decoder turns into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latents {
    time_steps: usize,
    channels: usize,
    /// `[n, C]`, bit t = time step t.
    pub(crate) words: Vec<u32>,
}

impl Latents {
    /// Latents from words `[n, C]` whose bit t is the spike at time step t, 0 to T - 1.
    ///
    /// # Errors
    /// [`Error::Range`] if T is not 1 to 32, C is 0, the words are not whole latents, or a bit is set
    /// past the last time step.
    pub fn from_words(time_steps: usize, channels: usize, words: Vec<u32>) -> Result<Self> {
        if !(1..=32).contains(&time_steps) || channels == 0 || !words.len().is_multiple_of(channels) {
            let text = format!("{} words are no latents of T = {time_steps} and C = {channels}", words.len());
            return Err(Error::Range(text));
        }
        let past = !(u32::MAX >> (32 - time_steps));
        match words.iter().position(|word| word & past != 0) {
            None => Ok(Latents { time_steps, channels, words }),
            Some(at) => {
                let (word, last) = (words[at], time_steps - 1);
                Err(Error::Range(format!(
                    "latent word {at} is {word:#x}, with a spike after time step {last}"
                )))
            }
        }
    }

    /// Latents from spikes `[n, T, C]`, each 0 or 1.
    ///
    /// # Errors
    /// As [`Latents::from_words`], and for a value other than 0 and 1.
    pub fn from_spikes(time_steps: usize, channels: usize, spikes: &[u8]) -> Result<Self> {
        if let Some(at) = spikes.iter().position(|&spike| spike > 1) {
            return Err(Error::Range(format!("latent spike {at} is {}, expected 0 or 1", spikes[at])));
        }
        let size = time_steps.saturating_mul(channels);
        if size == 0 || time_steps > 32 || !spikes.len().is_multiple_of(size) {
            let text =
                format!("{} spikes are no latents of T = {time_steps} and C = {channels}", spikes.len());
            return Err(Error::Range(text));
        }
        let mut words = vec![0; spikes.len() / time_steps];
        for (spikes, words) in spikes.chunks(size).zip(words.chunks_mut(channels)) {
            for (at, &spike) in spikes.iter().enumerate() {
                words[at % channels] |= u32::from(spike) << (at / channels);
            }
        }
        Ok(Latents { time_steps, channels, words })
    }

    /// How many images they are of.
    pub fn len(&self) -> usize {
        self.words.len() / self.channels
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// T.
    pub fn time_steps(&self) -> usize {
        self.time_steps
    }

    /// C.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// All spike trains, `[n, C]`; bit t is the spike at time step t.
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// The spike of latent `n` at a time step in a channel; `None` if one of them is out of range.
    pub fn spike(&self, n: usize, time_step: usize, channel: usize) -> Option<bool> {
        if n >= self.len() || time_step >= self.time_steps || channel >= self.channels {
            return None;
        }
        Some(self.words[n * self.channels + channel] >> time_step & 1 == 1)
    }

    /// All spikes, `[n, T, C]`, each 0 or 1.
    pub fn to_spikes(&self) -> Vec<u8> {
        let mut spikes = Vec::with_capacity(self.words.len() * self.time_steps);
        for words in self.words.chunks(self.channels) {
            for step in 0..self.time_steps {
                spikes.extend(words.iter().map(|word| (word >> step & 1) as u8));
            }
        }
        spikes
    }

    /// Appends other latents of the same T and C.
    ///
    /// # Errors
    /// [`Error::Latents`] if T or C differ.
    pub fn append(&mut self, other: &Latents) -> Result<()> {
        other.check(self.time_steps, self.channels)?;
        self.words.extend_from_slice(&other.words);
        Ok(())
    }

    /// Latents `step / (steps - 1)` of the way from `a` to `b`, for `step` from 0 to `steps` - 1, one
    /// for each of theirs.
    ///
    /// Of each channel and time step the spike is b's where a draw of 24 bits falls below the
    /// fraction, else a's. The draws are Philox words with key `seed`, counter (0, 0, t Q + c / 4, 2^31)
    /// and Q = ceil(C / 4), so they are the same for every step: a spike once taken from b stays.
    ///
    /// # Errors
    /// [`Error::Latents`] if T or C differ, [`Error::Range`] if the numbers of latents differ or
    /// `step` is not below `steps`.
    pub fn interpolate(a: &Latents, b: &Latents, seed: u64, step: usize, steps: usize) -> Result<Latents> {
        b.check(a.time_steps, a.channels)?;
        if a.len() != b.len() || step >= steps {
            let text = format!("no step {step} of {steps} from {} latents to {}", a.len(), b.len());
            return Err(Error::Range(text));
        }
        // Alone, a step is the start.
        let fraction = ((step as u128) << 24) / (steps as u128 - 1).max(1);
        let stream = Stream::Interpolation;
        let draws = Draws { seed, index: 0, stream, channels: a.channels };
        let mut of_b = vec![0_u32; a.channels];
        for time_step in 0..a.time_steps {
            for (mask, word) in of_b.iter_mut().zip(draws.words(time_step)) {
                *mask |= u32::from(u128::from(word >> 8) < fraction) << time_step;
            }
        }
        let mix = |((a, b), mask): ((&u32, &u32), &u32)| (a & !mask) | (b & mask);
        let words = a.words.iter().zip(&b.words).zip(of_b.iter().cycle()).map(mix).collect();
        Ok(Latents { words, ..*a })
    }

    /// Whether they are latents of T = `time_steps` and C = `channels`.
    pub(crate) fn check(&self, time_steps: usize, channels: usize) -> Result<()> {
        let (expected, found) = ((time_steps, channels), (self.time_steps, self.channels));
        if expected == found { Ok(()) } else { Err(Error::Latents { expected, found }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_spikes_are_the_same_latents() {
        let latents = Latents::from_words(3, 2, vec![0b101, 0b010, 0b111, 0]).expect("latents");
        assert_eq!(latents.len(), 2);
        assert_eq!(latents.to_spikes(), [1, 0, 0, 1, 1, 0, 1, 0, 1, 0, 1, 0]);
        assert_eq!(Latents::from_spikes(3, 2, &latents.to_spikes()).expect("latents"), latents);
        assert_eq!([latents.spike(0, 1, 1), latents.spike(0, 1, 0)], [Some(true), Some(false)]);
        assert_eq!([latents.spike(2, 0, 0), latents.spike(0, 3, 0), latents.spike(0, 0, 2)], [None; 3]);
    }

    #[test]
    fn bad_latents() {
        for (steps, channels, words) in
            [(0, 1, vec![0]), (33, 1, vec![0]), (3, 0, vec![]), (3, 2, vec![0; 3])]
        {
            assert!(Latents::from_words(steps, channels, words.clone()).is_err());
        }
        let error = Latents::from_words(3, 1, vec![0, 8]).expect_err("a fourth step").to_string();
        assert!(error.contains("word 1 is 0x8"), "{error}");
        let error = Latents::from_spikes(1, 2, &[0, 2]).expect_err("2").to_string();
        assert!(error.contains("spike 1 is 2, expected 0 or 1"), "{error}");
        assert!(Latents::from_spikes(33, 1, &[0; 33]).is_err());
        assert!(Latents::from_spikes(usize::MAX, 2, &[0]).is_err());
    }

    #[test]
    fn interpolation_goes_from_one_to_the_other_and_never_back() {
        let a = Latents::from_words(16, 50, vec![0; 50]).expect("latents");
        let b = Latents::from_words(16, 50, vec![0xffff; 50]).expect("latents");
        let steps: Vec<Latents> =
            (0..9).map(|step| Latents::interpolate(&a, &b, 7, step, 9).expect("latents")).collect();
        assert_eq!((&steps[0], &steps[8]), (&a, &b));
        for pair in steps.windows(2) {
            assert!(pair[0].words.iter().zip(&pair[1].words).all(|(before, after)| before & !after == 0));
        }
        // Half of 800 spikes, give or take four deviations.
        let half: u32 = steps[4].words.iter().map(|word| word.count_ones()).sum();
        assert!(half.abs_diff(400) < 57, "{half}");
        assert_eq!(Latents::interpolate(&a, &b, 7, 0, 1).expect("latents"), a);
        let other = Latents::from_words(16, 25, vec![0; 50]).expect("latents");
        assert!(Latents::interpolate(&a, &other, 7, 0, 9).is_err());
        assert!(Latents::interpolate(&a, &b, 7, 9, 9).is_err());
    }
}
