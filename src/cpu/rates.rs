//! Twins of `shaders/sample_rates.wgsl` and `shaders/resample.wgsl`: ESVAE's prior and posterior (integer machine,
//! section 8).

use super::spikes::Spikes;
use crate::network::Rates;
use crate::philox::{Draws, Stream, halves, philox};

/// Latent spike trains of one image, a map of one pixel with C channels: a rate for each channel, and a spike where a
/// draw falls below it.
pub(crate) fn sample_rates(rates: &Rates, seed: u64, index: u64, steps: usize) -> Spikes {
    let [low, high] = halves(index);
    let normal = |j| {
        let words = philox(halves(seed), [low, high, j, Stream::Normals as u32]);
        words.into_iter().map(|word| word.count_ones() as i32).sum::<i32>() - 64
    };
    let normals: Vec<i32> = (0..rates.channels as u32).map(normal).collect();
    let rate = |(weights, bias): (&[i32], &i32)| {
        let current = weights.iter().zip(&normals).fold(*bias, |sum, (weight, normal)| sum + weight * normal);
        rates.logits.partition_point(|&logit| logit < current) as u32
    };
    let rate: Vec<u32> = rates.weights.chunks(rates.channels).zip(&rates.bias).map(rate).collect();
    let draws = Draws { seed, index, stream: Stream::Rates, channels: rates.channels };
    drawn(draws, steps, |channel, word| word >> 16 < rate[channel])
}

/// As many spikes as each channel of `encoded` has, on average, at random steps.
pub(crate) fn resample(encoded: &Spikes, seed: u64, index: u64) -> Spikes {
    let counts: Vec<u32> = encoded.to_words().into_iter().map(u32::count_ones).collect();
    let draws = Draws { seed, index, stream: Stream::Resample, channels: encoded.channels };
    drawn(draws, encoded.steps, |channel, word| {
        ((u64::from(word) * encoded.steps as u64) >> 32) < u64::from(counts[channel])
    })
}

/// A spike of a channel at a step wherever `spikes` says so of the random word.
fn drawn(draws: Draws, steps: usize, spikes: impl Fn(usize, u32) -> bool) -> Spikes {
    let mut z = Spikes::silent(1, draws.channels, steps);
    for (step, mask) in z.masks.chunks_mut(z.width).enumerate() {
        for (channel, word) in draws.words(step).enumerate() {
            mask[channel / 64] |= u64::from(spikes(channel, word)) << (channel % 64);
        }
    }
    z
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::logits;

    /// A current at a logit has the rate of those below it; past both ends channels are silent and saturated.
    #[test]
    fn rates_at_the_ends_and_on_a_logit() {
        let logits = logits(20);
        let bias = vec![logits[0], logits[65_535] + 1, logits[40_000]];
        let rates = Rates { channels: 3, weights: vec![0; 9].into(), bias, logits, exponent: 20 };
        let mut counts = [0; 3];
        for index in 0..1000 {
            for (count, word) in counts.iter_mut().zip(sample_rates(&rates, 7, index, 32).to_words()) {
                *count += word.count_ones();
            }
        }
        assert_eq!(counts[..2], [0, 32_000]);
        // 40,000 of 65,536, give or take four deviations.
        assert!(counts[2].abs_diff(19_531) < 350, "{counts:?}");
    }

    #[test]
    fn silent_and_saturated_channels_stay_so() {
        let encoded = Spikes::from_words(&[0, 0x7f, 0x55], 3, 7);
        for index in 0..100 {
            let words = resample(&encoded, 7, index).to_words();
            assert_eq!(words[..2], [0, 0x7f]);
        }
    }
}
