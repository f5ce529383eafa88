//! Medians and their kin.

/// What samples say, in their unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Half of the samples are above.
    pub median: f64,
    /// A quarter of the samples is below.
    pub p25: f64,
    /// A quarter of the samples is above.
    pub p75: f64,
    /// One of twenty is above.
    pub p95: f64,
    /// One of a hundred is above.
    pub p99: f64,
}

impl Summary {
    /// `None` without samples.
    pub fn of(samples: &[u64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable();
        let at = |percent| percentile(&sorted, percent);
        Some(Summary { median: at(50.0)?, p25: at(25.0)?, p75: at(75.0)?, p95: at(95.0)?, p99: at(99.0)? })
    }
}

/// The value at `percent` of the way through sorted samples, between two of them if need be.
fn percentile(sorted: &[u64], percent: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = percent / 100.0 * last as f64;
    let (below, above) = (sorted[place.floor() as usize] as f64, sorted[place.ceil() as usize] as f64);
    Some(below + (above - below) * place.fract())
}

/// 0 without samples.
pub fn median(samples: &[u64]) -> f64 {
    Summary::of(samples).map_or(0.0, |summary| summary.median)
}

/// True once the last five samples are like the five before: their medians differ by less than 5 %.
pub(super) fn is_stable(samples: &[u64]) -> bool {
    let Some(start) = samples.len().checked_sub(10) else { return false };
    let (before, after) = (median(&samples[start..start + 5]), median(&samples[start + 5..]));
    (after - before).abs() < 0.05 * before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_hundred_and_one_numbers() {
        let samples: Vec<u64> = (0..=100).rev().collect();
        let summary = Summary::of(&samples).expect("samples");
        assert_eq!(summary, Summary { median: 50.0, p25: 25.0, p75: 75.0, p95: 95.0, p99: 99.0 });
    }

    #[test]
    fn percentiles_of_few_numbers() {
        assert_eq!(Summary::of(&[]), None);
        let one = Summary::of(&[7]).expect("a sample");
        assert_eq!((one.p25, one.median, one.p99), (7.0, 7.0, 7.0));
        let two = Summary::of(&[20, 10]).expect("samples");
        assert_eq!((two.p25, two.median, two.p75), (12.5, 15.0, 17.5));
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn five_alike_after_five_are_stable() {
        assert!(!is_stable(&[100; 9]));
        assert!(is_stable(&[100; 10]));
        assert!(is_stable(&[&[900; 20][..], &[100; 10]].concat()));
        assert!(!is_stable(&[&[106; 5][..], &[100; 5]].concat()));
        assert!(is_stable(&[&[104; 5][..], &[100; 5]].concat()));
        // One slow run among five is no trend.
        assert!(is_stable(&[100, 100, 100, 100, 100, 100, 999, 100, 100, 100]));
    }
}
