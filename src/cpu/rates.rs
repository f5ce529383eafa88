//! Twins of `shaders/sample_rates.wgsl` and `shaders/resample.wgsl`: ESVAE's prior and posterior (integer machine,
//! section 8).

use super::spikes::Spikes;
use super::vectors::{Processor, Vectors, Work};
use crate::network::{MOST, RateLayer, Rates};
use crate::philox::{Draws, Stream, halves, philox};

/// Latent spike trains of one image, a map of one pixel with C channels: a rate for each channel, and a spike where a
/// draw falls below it.
pub(crate) fn sample_rates(
    processor: Processor,
    rates: &Rates,
    seed: u64,
    index: u64,
    steps: usize,
) -> Spikes {
    let [low, high] = halves(index);
    let normal = |j| {
        let words = philox(halves(seed), [low, high, j, Stream::Normals as u32]);
        words.into_iter().map(|word| word.count_ones() as i32).sum::<i32>() - 64
    };
    let channels = rates.channels();
    let mut numbers: Vec<i32> = (0..channels as u32).map(normal).collect();
    let (last, hidden) = rates.layers.split_last().unwrap_or_else(|| unreachable!("there is a last layer"));
    for layer in hidden {
        let mut currents = processor.run(Currents(layer, &numbers));
        currents.iter_mut().for_each(|current| *current = (*current >> layer.shift()).clamp(0, MOST));
        numbers = currents;
    }
    let rate = |current| rates.logits.partition_point(|&logit| logit < current) as u32;
    let rate: Vec<u32> = processor.run(Currents(last, &numbers)).into_iter().map(rate).collect();
    let draws = Draws { seed, index, stream: Stream::Rates, channels };
    drawn(draws, steps, |channel, word| word >> 16 < rate[channel])
}

/// A layer's currents, `[outputs]`, for numbers `[inputs]`.
struct Currents<'a>(&'a RateLayer, &'a [i32]);

impl Work for Currents<'_> {
    type Output = Vec<i32>;

    // The compiler makes vectors of it where the instruction set has them.
    #[inline(always)]
    fn with<V: Vectors>(self, _: V) -> Vec<i32> {
        let Currents(layer, numbers) = self;
        let mut currents = layer.bias.clone();
        // Not `collect`: compilers keep that as a function of its own, without the instruction set.
        for (current, weights) in currents.iter_mut().zip(layer.weights.chunks_exact(layer.inputs)) {
            for (weight, number) in weights.iter().zip(numbers) {
                *current += weight * number;
            }
        }
        currents
    }
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
        let layer = RateLayer { inputs: 3, outputs: 3, weights: vec![0; 9].into(), bias, exponent: 20 };
        let rates = Rates { layers: vec![layer], logits };
        let mut counts = [0; 3];
        for index in 0..1000 {
            for (count, word) in
                counts.iter_mut().zip(sample_rates(Processor::get(), &rates, 7, index, 32).to_words())
            {
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
