//! Runs, until they are warm and until there are enough.

use std::time::Duration;

use super::statistics::is_stable;
use crate::error::Result;
use crate::gpu::Clock;

/// Samples of a point, unless they take long.
const SAMPLES: usize = 100;

pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn since(start: Clock) -> Duration {
    Clock::now().since(start)
}

async fn timed(run: &mut impl AsyncFnMut() -> Result<()>) -> Result<u64> {
    let start = Clock::now();
    run().await?;
    Ok(nanoseconds(since(start)))
}

/// Runs until the times are stable, or for so long.
pub(super) async fn warm_up(most: Duration, run: &mut impl AsyncFnMut() -> Result<()>) -> Result<()> {
    let start = Clock::now();
    let mut samples = Vec::new();
    while !is_stable(&samples) {
        samples.push(timed(run).await?);
        if since(start) >= most {
            break;
        }
    }
    Ok(())
}

/// Runs for at least so long, [`SAMPLES`] times if that does not take more than the most. In nanoseconds.
pub(super) async fn sample(
    least: Duration,
    most: Duration,
    run: &mut impl AsyncFnMut() -> Result<()>,
) -> Result<Vec<u64>> {
    let start = Clock::now();
    let mut samples = Vec::new();
    loop {
        samples.push(timed(run).await?);
        let elapsed = since(start);
        if elapsed >= most || (elapsed >= least && samples.len() >= SAMPLES) {
            return Ok(samples);
        }
    }
}

#[cfg(test)]
mod tests {
    use pollster::block_on;

    use super::*;
    use crate::error::Error;

    const HOUR: Duration = Duration::from_secs(3600);

    async fn fails() -> Result<()> {
        Err(Error::Range("a test".into()))
    }

    #[test]
    fn one_sample_is_enough_of_what_is_slow() {
        assert!(block_on(sample(HOUR, HOUR, &mut fails)).is_err());
        let long = Duration::from_millis(1);
        let mut slow = async || {
            std::thread::sleep(long);
            Ok(())
        };
        assert_eq!(block_on(sample(long / 10, long / 2, &mut slow)).expect("samples").len(), 1);
    }

    #[test]
    fn what_is_fast_is_sampled_a_hundred_times() {
        let mut fast = async || Ok(());
        assert_eq!(block_on(sample(Duration::ZERO, HOUR, &mut fast)).expect("samples").len(), SAMPLES);
    }

    #[test]
    fn warming_up_ends_with_the_limit_and_with_an_error() {
        let mut runs = 0;
        let mut run = async || {
            runs += 1;
            Ok(())
        };
        block_on(warm_up(Duration::ZERO, &mut run)).expect("warm");
        assert_eq!(runs, 1);
        assert!(block_on(warm_up(HOUR, &mut fails)).is_err());
    }
}
