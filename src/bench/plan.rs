//! How much is measured.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::schema::Options;

/// Batches grow by four up to this.
const LARGEST_BATCH: usize = 1 << 16;
/// What a backend should take in all.
const BUDGET: Duration = Duration::from_secs(20);

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Of the images.
    pub seed: u64,
    /// The first images of the seed that are compared, and whose additions are counted.
    pub images: u64,
    /// It shows that all works, not how fast it is.
    pub quick: bool,
    /// Images of a batch, in turns. Those that were [asked for](Plan::with_batches) are measured whatever they take.
    pub batches: Vec<NonZeroUsize>,
    /// Whether to stop where larger batches bring nothing.
    pub until_best: bool,
    /// What a backend should take in all: a slow one is measured less. Without it, it takes what it takes.
    pub budget: Option<Duration>,
    /// The least that a point takes.
    pub point: Duration,
    /// The most, for those whose samples take long, times the least.
    pub patience: u32,
    /// The most that warming up takes.
    pub warm_up: Duration,
    /// Batches of a stream in flight. A sample is of as many, because they may come in pairs.
    pub in_flight: NonZeroUsize,
    /// Images of the batches by which the kernels' variants are chosen, if not the usual ones.
    pub calibration: Option<NonZeroUsize>,
    /// The work of a roofline's dispatch.
    pub roofline: Duration,
}

impl Plan {
    /// An answer after some 20 seconds.
    pub fn short(seed: u64) -> Self {
        Plan {
            budget: Some(BUDGET),
            point: Duration::from_millis(700),
            patience: 2,
            warm_up: Duration::from_millis(500),
            ..Plan::thorough(seed)
        }
    }

    /// For records: minutes.
    pub fn thorough(seed: u64) -> Self {
        let batches =
            std::iter::successors(NonZeroUsize::new(1), |batch| batch.checked_mul(NonZeroUsize::new(4)?));
        Plan {
            seed,
            images: 16,
            quick: false,
            batches: batches.take_while(|batch| batch.get() <= LARGEST_BATCH).collect(),
            until_best: true,
            budget: None,
            point: Duration::from_secs(2),
            patience: 5,
            warm_up: Duration::from_secs(10),
            in_flight: NonZeroUsize::MIN.saturating_add(1),
            calibration: None,
            roofline: Duration::from_millis(50),
        }
    }

    /// Does it work? Seconds.
    pub fn quick(seed: u64) -> Self {
        Plan {
            images: 2,
            quick: true,
            batches: [1, 16].into_iter().filter_map(NonZeroUsize::new).collect(),
            point: Duration::from_millis(200),
            warm_up: Duration::from_millis(200),
            // What is in flight when a point is done is computed for nothing.
            in_flight: NonZeroUsize::MIN,
            calibration: NonZeroUsize::new(2),
            roofline: Duration::from_millis(10),
            ..Plan::thorough(seed)
        }
    }

    /// These batches and no others, whatever they take.
    pub fn with_batches(self, batches: Vec<NonZeroUsize>) -> Self {
        Plan { batches, until_best: false, budget: None, ..self }
    }

    /// What a report says of it.
    pub fn options(&self) -> Options {
        let asked_for = (!self.until_best).then(|| self.batches.iter().map(|batch| batch.get()).collect());
        Options {
            quick: self.quick,
            seed: self.seed,
            batches: asked_for,
            point_seconds: self.point.as_secs_f64(),
            warm_up_seconds: self.warm_up.as_secs_f64(),
            budget_seconds: self.budget.map(|budget| budget.as_secs_f64()),
        }
    }

    /// In no time.
    #[cfg(all(test, feature = "bundled"))]
    pub(super) fn hasty() -> Self {
        Plan {
            images: 1,
            point: Duration::ZERO,
            warm_up: Duration::ZERO,
            calibration: NonZeroUsize::new(2),
            roofline: Duration::from_micros(10),
            ..Plan::quick(3)
        }
    }
}
