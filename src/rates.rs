//! Firing rates of latent channels, and directions between them: what images are steered by (integer machine, section 8).

use crate::error::{Error, Result};
use crate::latents::Latents;
use crate::philox::{Draws, Stream};
use crate::task::Part;

/// What rates are fractions of.
const WHOLE: u64 = 1 << 16;

/// How often each latent channel spikes, for some images: u16 `[n, C]`, of 65,536. A rate of 1 cannot be said; 65,535 comes
/// as near to it as can be told.
///
/// Images are drawn from them by [`Job::rates`](crate::Job::rates), with networks of either family. The prior has no part
/// in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rates {
    channels: usize,
    /// `[n, C]`
    rates: Vec<u16>,
}

impl Rates {
    /// Rates `[n, C]`, of 65,536.
    ///
    /// # Errors
    /// [`Error::Range`] if C is 0, there are none, or they are no whole rows.
    pub fn new(channels: usize, rates: Vec<u16>) -> Result<Self> {
        if channels == 0 || rates.is_empty() || !rates.len().is_multiple_of(channels) {
            return Err(Error::Range(format!("{} numbers are no rates of C = {channels}", rates.len())));
        }
        Ok(Rates { channels, rates })
    }

    /// The rates at which the channels of some latents spike: spikes / T.
    ///
    /// # Errors
    /// [`Error::Range`] if there are no latents.
    pub fn of(latents: &Latents) -> Result<Self> {
        let steps = latents.time_steps() as u64;
        let rate = |word: &u32| nearest(u64::from(word.count_ones()) * WHOLE, steps);
        Rates::new(latents.channels(), latents.words().iter().map(rate).collect())
    }

    /// Of what a [`Generator::rates_job`](crate::Generator::rates_job) gave.
    ///
    /// # Errors
    /// [`Error::Range`] if there are no images, or it was another job, that gave no latents.
    pub fn of_part(mut part: Part) -> Result<Self> {
        if let Some(spikes) = part.spikes.pop() {
            return Rates::of(&Latents::from_words(spikes.time_steps, spikes.layer.channels, spikes.words)?);
        }
        let none = || Error::Range("there are no latents to take rates of".into());
        Rates::of(&part.latents.ok_or_else(none)?)
    }

    /// How many images they are of.
    pub fn len(&self) -> usize {
        self.rates.len() / self.channels
    }

    /// False: there is one at least.
    pub fn is_empty(&self) -> bool {
        self.rates.is_empty()
    }

    /// C.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// All of them, `[n, C]`, of 65,536.
    pub fn as_slice(&self) -> &[u16] {
        &self.rates
    }

    /// The rates of each image, `[C]`.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u16]> {
        self.rates.chunks_exact(self.channels)
    }

    /// Appends others of the same C.
    ///
    /// # Errors
    /// [`Error::Rates`] if C differs.
    pub fn append(&mut self, other: &Rates) -> Result<()> {
        other.check(self.channels)?;
        self.rates.extend_from_slice(&other.rates);
        Ok(())
    }

    /// The mean over all images, as the rates of one.
    pub fn mean(&self) -> Rates {
        let sum = |channel: usize| self.iter().map(|rates| u64::from(rates[channel])).sum();
        let rates = (0..self.channels).map(|channel| nearest(sum(channel), self.len() as u64)).collect();
        Rates { channels: self.channels, rates }
    }

    /// Rates `step / (steps - 1)` of the way from `a` to `b`, for `step` from 0 to `steps` - 1, one row for each of theirs.
    ///
    /// # Errors
    /// [`Error::Rates`] if C differs, [`Error::Range`] if the numbers of rows differ, `step` is not below `steps`, or there
    /// are more than 2^32 steps.
    pub fn interpolate(a: &Rates, b: &Rates, step: usize, steps: usize) -> Result<Rates> {
        b.check(a.channels)?;
        if a.len() != b.len() || step >= steps || steps as u64 > 1 << 32 {
            let text = format!("no step {step} of {steps} from {} rows of rates to {}", a.len(), b.len());
            return Err(Error::Range(text));
        }
        // Alone, a step is the start.
        let (last, step) = ((steps as u64 - 1).max(1), step as u64);
        let mix = |(&a, &b): (&u16, &u16)| nearest(u64::from(a) * (last - step) + u64::from(b) * step, last);
        Ok(Rates { channels: a.channels, rates: a.rates.iter().zip(&b.rates).map(mix).collect() })
    }

    /// Latents of one image, drawn from the rates of row `row`: at each of the T time steps a channel spikes where the draw
    /// of (seed, index) falls below its rate. An ESVAE's prior draws with the same numbers.
    ///
    /// # Errors
    /// [`Error::Range`] if there is no such row, or T is not 1 to 32.
    pub fn draw(&self, row: usize, time_steps: usize, seed: u64, index: u64) -> Result<Latents> {
        if row >= self.len() {
            return Err(Error::Range(format!("no row {row} in {} of rates", self.len())));
        }
        let words = if (1..=32).contains(&time_steps) {
            self.words(row, time_steps, seed, index)
        } else {
            Vec::new()
        };
        Latents::from_words(time_steps, self.channels, words)
    }

    /// [`Rates::draw`] without a look at the arguments, `[C]`.
    pub(crate) fn words(&self, row: usize, time_steps: usize, seed: u64, index: u64) -> Vec<u32> {
        let draws = Draws { seed, index, stream: Stream::Rates, channels: self.channels };
        let rates = &self.rates[row * self.channels..][..self.channels];
        draws.below(time_steps, rates.iter().map(|&rate| rate.into()))
    }

    /// Whether they are rates of C = `channels`.
    pub(crate) fn check(&self, channels: usize) -> Result<()> {
        check(channels, self.channels)
    }
}

/// A way through the latent space: by how much the rate of each channel differs between images with something and images
/// without it, i32 `[C]`, of 65,536. [`Latents::along`] goes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Direction {
    differences: Vec<i32>,
}

impl Direction {
    /// Differences of rates `[C]`, of 65,536.
    ///
    /// # Errors
    /// [`Error::Range`] if there are none, or one is not between -65,535 and 65,535.
    pub fn new(differences: Vec<i32>) -> Result<Self> {
        let largest = i32::from(u16::MAX);
        if differences.is_empty() {
            return Err(Error::Range("a direction has no channels".into()));
        }
        match differences.iter().position(|difference| !(-largest..=largest).contains(difference)) {
            None => Ok(Direction { differences }),
            Some(at) => {
                let found = differences[at];
                Err(Error::Range(format!(
                    "channel {at} of a direction is {found}, expected -{largest} to {largest}"
                )))
            }
        }
    }

    /// From the mean of `without` to the mean of `with`.
    ///
    /// # Errors
    /// [`Error::Rates`] if C differs.
    pub fn between(with: &Rates, without: &Rates) -> Result<Self> {
        without.check(with.channels)?;
        let (with, without) = (with.mean(), without.mean());
        let rates = with.rates.iter().zip(&without.rates);
        Ok(Direction {
            differences: rates.map(|(&with, &without)| i32::from(with) - i32::from(without)).collect(),
        })
    }

    /// C.
    pub fn channels(&self) -> usize {
        self.differences.len()
    }

    /// The differences, `[C]`, of 65,536.
    pub fn as_slice(&self) -> &[i32] {
        &self.differences
    }

    /// Whether it is one of C = `channels`.
    pub(crate) fn check(&self, channels: usize) -> Result<()> {
        check(channels, self.channels())
    }

    /// How far each rate moves, of 65,536, for `amount` times the direction.
    fn shifts(&self, amount: f64) -> Result<Vec<i64>> {
        // Both operations are exact: a power of two, and an integer.
        let parts = (amount * 256.0).round_ties_even();
        if !parts.is_finite() || parts.abs() > f64::from(i32::MAX) {
            return Err(Error::Range(format!(
                "no direction can be gone {amount} times: expected at most 8,388,607"
            )));
        }
        let parts = parts as i64;
        Ok(self.differences.iter().map(|&difference| (parts * i64::from(difference) + 128) >> 8).collect())
    }
}

impl Latents {
    /// The same latents with their rates moved by `amount` times a direction; the amount is rounded to a 256th. An amount
    /// of 0 changes nothing, a negative one goes the other way. The n-th of them has index `first` + n.
    ///
    /// A channel whose rate is to grow spikes at some of the time steps where it was silent, one whose rate is to shrink is
    /// silent at some where it spiked, as many as that takes on average and as there are. Which ones, the draws of (seed,
    /// index) say, the same for every amount: what a step along the way has changed, the next does not take back.
    ///
    /// # Errors
    /// [`Error::Rates`] if C differs, [`Error::Range`] if the amount is not finite or above 8,388,607, or the indices pass
    /// `u64::MAX`.
    pub fn along(&self, direction: &Direction, amount: f64, seed: u64, first: u64) -> Result<Latents> {
        direction.check(self.channels())?;
        let (shifts, steps) = (direction.shifts(amount)?, self.time_steps());
        if first.checked_add((self.len() as u64).saturating_sub(1)).is_none() {
            return Err(Error::Range(format!(
                "{} latents from index {first} on pass {}",
                self.len(),
                u64::MAX
            )));
        }
        let all = u32::MAX >> (32 - steps);
        let mut words = Vec::with_capacity(self.words.len());
        for (of_image, index) in self.words.chunks(self.channels()).zip(first..=u64::MAX) {
            // The steps that may change, and how likely each of them does.
            let open = |(&word, &shift): (&u32, &i64)| if shift < 0 { word } else { !word & all };
            let chance = |pair: (&u32, &i64)| {
                let of = u64::from(open(pair).count_ones());
                (pair.1.unsigned_abs() * steps as u64).checked_div(of).unwrap_or(0).min(WHOLE) as u32
            };
            let draws = Draws { seed, index, stream: Stream::Along, channels: self.channels() };
            let flips = draws.below(steps, of_image.iter().zip(&shifts).map(chance));
            let open = of_image.iter().zip(&shifts).map(open);
            words.extend(
                of_image.iter().zip(flips).zip(open).map(|((word, flips), open)| word ^ (flips & open)),
            );
        }
        Latents::from_words(steps, self.channels(), words)
    }
}

/// The quotient to the nearest, halves up, and not above the largest rate.
fn nearest(dividend: u64, divisor: u64) -> u16 {
    u16::try_from((dividend + divisor / 2) / divisor).unwrap_or(u16::MAX)
}

fn check(expected: usize, found: usize) -> Result<()> {
    if expected == found { Ok(()) } else { Err(Error::Rates { expected, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(rows: &[u16]) -> Rates {
        Rates::new(2, rows.to_vec()).expect("rates")
    }

    #[test]
    fn means_mixtures_and_counts_are_rounded_to_the_nearest() {
        assert_eq!(rates(&[0, 65_535, 1, 65_535]).mean().as_slice(), [1, 65_535]);
        assert_eq!(rates(&[0, 7, 0, 7, 1, 7]).mean().as_slice(), [0, 7]);
        let (a, b) = (rates(&[0, 65_535]), rates(&[65_535, 1]));
        let step = |step| Rates::interpolate(&a, &b, step, 3).expect("rates");
        assert_eq!([step(0), step(1), step(2)], [a.clone(), rates(&[32_768, 32_768]), b.clone()]);
        assert_eq!(Rates::interpolate(&a, &b, 0, 1).expect("rates"), a);
        let latents = Latents::from_words(3, 2, vec![0b001, 0b111, 0b110, 0]).expect("latents");
        assert_eq!(Rates::of(&latents).expect("rates"), rates(&[21_845, 65_535, 43_691, 0]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (channels, numbers) in [(0, vec![1]), (2, vec![1; 3]), (2, vec![])] {
            assert!(Rates::new(channels, numbers).is_err());
        }
        let (two, three) = (rates(&[1, 2]), Rates::new(3, vec![0; 3]).expect("rates"));
        let error = Direction::between(&two, &three).expect_err("C").to_string();
        assert_eq!(error, "expected rates of C = 2 channels, found C = 3");
        assert!(
            Rates::interpolate(&two, &three, 0, 2).is_err() && Rates::interpolate(&two, &two, 2, 2).is_err()
        );
        assert!(two.clone().append(&three).is_err());
        assert!(
            two.draw(1, 4, 0, 0).is_err() && two.draw(0, 0, 0, 0).is_err() && two.draw(0, 33, 0, 0).is_err()
        );
        assert!(Direction::new(vec![]).is_err());
        let error = Direction::new(vec![0, -65_536]).expect_err("too far").to_string();
        assert!(error.contains("channel 1 of a direction is -65536"), "{error}");
        let latents = Latents::from_words(4, 2, vec![0; 4]).expect("latents");
        let direction = Direction::new(vec![1, -1]).expect("a direction");
        for amount in [f64::NAN, f64::INFINITY, 1e7] {
            assert!(latents.along(&direction, amount, 0, 0).is_err(), "{amount}");
        }
        assert!(latents.along(&direction, 1.0, 0, u64::MAX).is_err());
        assert!(latents.along(&Direction::new(vec![1]).expect("one"), 1.0, 0, 0).is_err());
    }

    /// Silent channels stay silent; the others spike as often as their rates say, give or take four deviations.
    #[test]
    fn draws_have_the_rates() {
        let rates = rates(&[0, 65_535, 16_384, 40_000]);
        let mut counts = [0_u32; 4];
        for index in 0..500 {
            for row in 0..2 {
                let latents = rates.draw(row, 32, 7, index).expect("latents");
                for (count, word) in counts[2 * row..].iter_mut().zip(latents.words()) {
                    *count += word.count_ones();
                }
            }
        }
        assert!(counts[0] == 0 && counts[1] > 15_990, "{counts:?}");
        assert!(counts[2].abs_diff(4000) < 220 && counts[3].abs_diff(9766) < 247, "{counts:?}");
    }

    #[test]
    fn going_along_moves_the_rates_and_never_back() {
        let base = Rates::new(4, vec![20_000, 20_000, 60_000, 30_000]).expect("rates");
        let mut latents = base.draw(0, 32, 1, 0).expect("latents");
        for index in 1..400 {
            latents.append(&base.draw(0, 32, 1, index).expect("latents")).expect("the same C");
        }
        let direction = Direction::new(vec![8000, -8000, 30_000, 0]).expect("a direction");
        let go = |amount| latents.along(&direction, amount, 3, 0).expect("latents");
        assert_eq!(go(0.0), latents);
        let steps: Vec<Latents> = (0..9).map(|step| go(f64::from(step) * 0.25)).collect();
        for pair in steps.windows(2) {
            for (at, (before, after)) in pair[0].words.iter().zip(&pair[1].words).enumerate() {
                match at % 4 {
                    0 | 2 => assert_eq!(before & !after, 0),
                    1 => assert_eq!(after & !before, 0),
                    _ => assert_eq!(before, after),
                }
            }
        }
        // Of 12,800 draws a channel, give or take four deviations; a rate ends at 1.
        let mean = |latents: &Latents| Rates::of(latents).expect("rates").mean().rates;
        let (before, after) = (mean(&latents), mean(&go(1.0)));
        assert!((i32::from(after[0]) - i32::from(before[0]) - 8000).abs() < 800, "{before:?} {after:?}");
        assert!((i32::from(after[1]) - i32::from(before[1]) + 8000).abs() < 800, "{before:?} {after:?}");
        assert!(after[2] > 65_500 && after[3] == before[3], "{before:?} {after:?}");
        // The other way, and piece by piece.
        assert!(mean(&go(-1.0))[0] < before[0]);
        let part = Latents::from_words(32, 4, latents.words[4..12].to_vec()).expect("latents");
        assert_eq!(part.along(&direction, 1.0, 3, 1).expect("latents").words, go(1.0).words[4..12]);
    }
}
