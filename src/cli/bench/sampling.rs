//! Runs, until they are warm and until there are enough.

use std::time::{Duration, Instant};

use super::statistics::is_stable;

/// Samples of a point, unless they take long.
const SAMPLES: usize = 100;
/// A point takes no longer than so many times its least time, whatever its samples.
const PATIENCE: u32 = 5;

pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn timed(run: &mut impl FnMut() -> fsvae::Result<()>) -> fsvae::Result<u64> {
    let start = Instant::now();
    run()?;
    Ok(nanoseconds(start.elapsed()))
}

/// Runs until the times are stable, or for so long.
pub(super) fn warm_up(most: Duration, run: &mut impl FnMut() -> fsvae::Result<()>) -> fsvae::Result<()> {
    let start = Instant::now();
    let mut samples = Vec::new();
    while !is_stable(&samples) {
        samples.push(timed(run)?);
        if start.elapsed() >= most {
            break;
        }
    }
    Ok(())
}

/// Runs for at least so long, [`SAMPLES`] times if they do not take long. In nanoseconds.
pub(super) fn sample(
    least: Duration,
    run: &mut impl FnMut() -> fsvae::Result<()>,
) -> fsvae::Result<Vec<u64>> {
    let start = Instant::now();
    let mut samples = Vec::new();
    loop {
        samples.push(timed(run)?);
        let elapsed = start.elapsed();
        if elapsed >= least && (samples.len() >= SAMPLES || elapsed >= PATIENCE * least) {
            return Ok(samples);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sample_is_enough_of_what_is_slow() {
        assert!(
            sample(Duration::from_secs(3600), &mut || Err(fsvae::Error::Range("a test".into()))).is_err()
        );
        let long = Duration::from_millis(1);
        let slow = sample(long / 10, &mut || {
            std::thread::sleep(long);
            Ok(())
        });
        assert_eq!(slow.expect("samples").len(), 1);
    }

    #[test]
    fn warming_up_ends_with_the_limit_and_with_an_error() {
        let mut runs = 0;
        let mut run = || {
            runs += 1;
            Ok(())
        };
        warm_up(Duration::ZERO, &mut run).expect("warm");
        assert_eq!(runs, 1);
        assert!(
            warm_up(Duration::from_secs(3600), &mut || Err(fsvae::Error::Range("a test".into()))).is_err()
        );
    }
}
