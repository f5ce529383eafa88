//! How many images a submission should have: as many as take its budget. A long one holds up the frames of whoever shares
//! the GPU, and a very long one is ended by the system's watchdog, with the device.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

/// What a submission may take, unless the builder says otherwise.
pub(crate) const BUDGET: Duration = Duration::from_millis(100);

/// A submission has at most so many times the images of the largest one that was measured.
const GROWTH: usize = 8;

/// A moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    #[cfg(not(target_arch = "wasm32"))]
    at: std::time::Instant,
    /// Milliseconds.
    #[cfg(target_arch = "wasm32")]
    at: f64,
}

impl Clock {
    pub(crate) fn now() -> Self {
        #[cfg(not(target_arch = "wasm32"))]
        let at = std::time::Instant::now();
        #[cfg(target_arch = "wasm32")]
        let at = js_sys::Date::now();
        Clock { at }
    }

    pub(super) fn later(self, other: Self) -> Self {
        if self.at > other.at { self } else { other }
    }

    pub(crate) fn since(self, begin: Self) -> Duration {
        #[cfg(not(target_arch = "wasm32"))]
        return self.at.saturating_duration_since(begin.at);
        #[cfg(target_arch = "wasm32")]
        return Duration::from_secs_f64((self.at - begin.at).max(0.0) / 1e3);
    }
}

/// What was measured of a model on a device.
#[derive(Debug)]
pub(super) struct Pace {
    budget: Duration,
    /// False where the caller decides how many images a batch has.
    adapts: bool,
    measured: Mutex<Measured>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    /// Seconds of an image, a moving mean.
    image: Option<f64>,
    /// Images of the largest submission.
    largest: usize,
}

impl Pace {
    pub(super) fn new(budget: Duration, adapts: bool) -> Self {
        Pace { budget, adapts, measured: Mutex::default() }
    }

    fn measured(&self) -> std::sync::MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Images of the next submission, of at most `most`.
    pub(super) fn images(&self, most: usize) -> usize {
        let Measured { image, largest } = *self.measured();
        if !self.adapts {
            return most;
        }
        // The first is one alone: nothing is known of the device.
        let Some(image) = image else { return 1 };
        let fits = (self.budget.as_secs_f64() / image.max(1e-9)) as usize;
        fits.min(GROWTH * largest).clamp(1, most)
    }

    /// Whether a single image takes longer than the budget, and is better submitted layer by layer.
    pub(super) fn is_long(&self) -> bool {
        self.adapts && self.measured().image.is_some_and(|image| image > self.budget.as_secs_f64())
    }

    /// A submission of so many images took so long, from when the device could begin it.
    pub(super) fn note(&self, images: usize, time: Duration) {
        let mut measured = self.measured();
        let image = time.as_secs_f64() / images.max(1) as f64;
        // Larger submissions say more, for what does not grow with them is spread over more images.
        measured.image = Some(match measured.image {
            Some(mean) if images <= measured.largest => 0.75 * mean + 0.25 * image,
            _ => image,
        });
        measured.largest = measured.largest.max(images);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_until_they_take_the_budget() {
        let pace = Pace::new(Duration::from_millis(100), true);
        let mut sizes = Vec::new();
        for _ in 0..6 {
            let images = pace.images(256);
            sizes.push(images);
            pace.note(images, Duration::from_micros(800) * images as u32);
        }
        assert_eq!(sizes, [1, 8, 64, 125, 125, 125]);
        assert_eq!(pace.images(32), 32);
        assert!(!pace.is_long());
    }

    /// A submission that was held up, and a device that got slower.
    #[test]
    fn a_slow_device_gets_less() {
        let pace = Pace::new(Duration::from_millis(4), true);
        pace.note(1, Duration::from_millis(1));
        pace.note(4, Duration::from_millis(4));
        assert_eq!(pace.images(256), 4);
        for _ in 0..20 {
            let images = pace.images(256);
            pace.note(images, Duration::from_millis(9) * images as u32);
        }
        assert_eq!(pace.images(256), 1);
        assert!(pace.is_long());
    }

    #[test]
    fn who_says_how_many_gets_them() {
        let pace = Pace::new(Duration::from_millis(4), false);
        pace.note(1, Duration::from_secs(1));
        assert_eq!(pace.images(256), 256);
        assert!(!pace.is_long());
    }
}
