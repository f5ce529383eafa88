//! The counter-based generator and the draw (integer machine, section 5).

/// What is drawn: the counter's last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Stream {
    /// FSVAE's.
    Prior = 0,
    /// FSVAE's.
    Posterior = 1,
    /// The spikes of ESVAE's prior, and of rates that are given.
    Rates = 2,
    /// ESVAE's posterior.
    Resample = 3,
    /// The normal numbers of ESVAE's prior.
    Normals = 4,
    /// Which spikes change on the way along a direction.
    Along = 5,
    /// Which spike train interpolation takes; not part of the integer machine, and far from what is.
    Interpolation = 1 << 31,
}

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
pub(crate) fn philox(mut key: [u32; 2], mut counter: [u32; 4]) -> [u32; 4] {
    for _ in 0..10 {
        let [a, b, c, d] = counter;
        let (high0, low0) = multiply(0xD251_1F53, a);
        let (high1, low1) = multiply(0xCD9E_8D57, c);
        counter = [high1 ^ b ^ key[0], low1, high0 ^ d ^ key[1], low0];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

fn multiply(a: u32, b: u32) -> (u32, u32) {
    let product = u64::from(a) * u64::from(b);
    ((product >> 32) as u32, product as u32)
}

/// The low and the high half of a 64-bit seed or index.
pub(crate) fn halves(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

/// All draws of one image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draws {
    pub(crate) seed: u64,
    pub(crate) index: u64,
    pub(crate) stream: Stream,
    /// C, the latent channels.
    pub(crate) channels: usize,
}

impl Draws {
    /// The neuron, 0 to k - 1, that each of the C latent channels picks at time step `step`; `neurons` is k, at most 255.
    pub(crate) fn picks(self, step: usize, neurons: usize) -> impl Iterator<Item = usize> {
        let neurons = neurons as u32;
        self.words(step).map(move |word| (((word >> 8) * neurons) >> 24) as usize)
    }

    /// Spike trains `[C]` of T time steps: a spike where 16 random bits fall below a channel's number, of 65,536.
    pub(crate) fn below(self, steps: usize, numbers: impl Iterator<Item = u32>) -> Vec<u32> {
        let numbers: Vec<u32> = numbers.collect();
        let mut trains = vec![0; self.channels];
        for step in 0..steps {
            for ((train, number), word) in trains.iter_mut().zip(&numbers).zip(self.words(step)) {
                *train |= u32::from(word >> 16 < *number) << step;
            }
        }
        trains
    }

    /// The random word of each of the C latent channels at time step `step`.
    pub(crate) fn words(self, step: usize) -> impl Iterator<Item = u32> {
        let quads = self.channels.div_ceil(4);
        let [low, high] = halves(self.index);
        let words = (0..quads).flat_map(move |quad| {
            let call = (step * quads + quad) as u32;
            philox(halves(self.seed), [low, high, call, self.stream as u32])
        });
        words.take(self.channels)
    }
}

/// The known answers that come with the generator's publication.
#[cfg(test)]
pub(crate) const KNOWN: [([u32; 2], [u32; 4], [u32; 4]); 3] = [
    ([0; 2], [0; 4], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
    ([!0; 2], [!0; 4], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
    (
        [0xa409_3822, 0x299f_31d0],
        [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        for (key, counter, words) in KNOWN {
            assert_eq!(philox(key, counter), words);
        }
    }

    #[test]
    fn draws_stay_below_k_and_reach_both_ends() {
        for neurons in [1, 2, 20, 255] {
            let draws = Draws { seed: 3, index: u64::MAX, stream: Stream::Prior, channels: 4999 };
            let picks: Vec<usize> = draws.picks(31, neurons).collect();
            assert_eq!(picks.len(), 4999);
            assert_eq!(picks.iter().max(), Some(&(neurons - 1)));
            assert_eq!(picks.iter().min(), Some(&0));
        }
    }
}
