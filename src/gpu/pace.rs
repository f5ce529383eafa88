//! How many images a submission should have: as many as take its budget. A long one holds up the frames of whoever shares
//! the GPU, and a very long one is ended by the system's watchdog, with the device.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use crate::backend::{Entry, Wants};

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

/// Additions a second that a slow GPU does, for a first guess.
const SLOW_GPU: f64 = 1e10;

/// Work whose images take alike long: where the latents come from, and what is made of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind(usize);

impl Kind {
    const ALL: usize = 12;

    pub(super) fn new(entry: Entry, wants: &Wants) -> Self {
        let output = match wants {
            Wants { frames: true, .. } => 3,
            Wants { spikes, .. } if !spikes.is_empty() => 2,
            Wants { images: true, .. } => 1,
            _ => 0,
        };
        Kind(4 * entry as usize + output)
    }
}

/// What was measured of a model on a device.
#[derive(Debug)]
pub(super) struct Pace {
    budget: Duration,
    /// False where the caller decides how many images a batch has.
    adapts: bool,
    /// A slow device's time for an image: of what nothing is known yet.
    guess: Duration,
    measured: Mutex<[Measured; Kind::ALL]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    /// Seconds of an image, a moving mean.
    image: Option<f64>,
    /// Images of the largest submission.
    largest: usize,
}

impl Pace {
    /// For a network whose images take so many additions.
    pub(super) fn new(budget: Duration, adapts: bool, additions: u64) -> Self {
        let guess = Duration::from_secs_f64(additions as f64 / SLOW_GPU);
        Pace { budget, adapts, guess, measured: Mutex::default() }
    }

    pub(super) fn adapts(&self) -> bool {
        self.adapts
    }

    fn measured(&self) -> std::sync::MutexGuard<'_, [Measured; Kind::ALL]> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Images of the next submission, of at most `most`.
    pub(super) fn images(&self, kind: Kind, most: usize) -> usize {
        let Measured { image, largest } = self.measured()[kind.0];
        if !self.adapts {
            return most;
        }
        // The first is one alone: nothing is known of the device.
        let Some(image) = image else { return 1 };
        let fits = (self.budget.as_secs_f64() / image.max(1e-9)) as usize;
        fits.min(GROWTH * largest).clamp(1, most)
    }

    /// Whether a single image takes longer than the budget, or may do so, and is better submitted layer by layer.
    pub(super) fn is_long(&self, kind: Kind) -> bool {
        let image = self.measured()[kind.0].image.unwrap_or(self.guess.as_secs_f64());
        self.adapts && image > self.budget.as_secs_f64()
    }

    /// A submission of so many images took so long, from when the device could begin it.
    pub(super) fn note(&self, kind: Kind, images: usize, time: Duration) {
        let measured = &mut self.measured()[kind.0];
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

    const PRIOR: Kind = Kind(1);

    #[test]
    fn batches_grow_until_they_take_the_budget() {
        let pace = Pace::new(Duration::from_millis(100), true, 0);
        let mut sizes = Vec::new();
        for _ in 0..6 {
            let images = pace.images(PRIOR, 256);
            sizes.push(images);
            pace.note(PRIOR, images, Duration::from_micros(800) * images as u32);
        }
        assert_eq!(sizes, [1, 8, 64, 125, 125, 125]);
        assert_eq!(pace.images(PRIOR, 32), 32);
        assert!(!pace.is_long(PRIOR));
    }

    /// A submission that was held up, and a device that got slower.
    #[test]
    fn a_slow_device_gets_less() {
        let pace = Pace::new(Duration::from_millis(4), true, 0);
        pace.note(PRIOR, 1, Duration::from_millis(1));
        pace.note(PRIOR, 4, Duration::from_millis(4));
        assert_eq!(pace.images(PRIOR, 256), 4);
        for _ in 0..20 {
            let images = pace.images(PRIOR, 256);
            pace.note(PRIOR, images, Duration::from_millis(9) * images as u32);
        }
        assert_eq!(pace.images(PRIOR, 256), 1);
        assert!(pace.is_long(PRIOR));
    }

    #[test]
    fn who_says_how_many_gets_them() {
        let pace = Pace::new(Duration::from_millis(4), false, 0);
        pace.note(PRIOR, 1, Duration::from_secs(1));
        assert_eq!(pace.images(PRIOR, 256), 256);
        assert!(!pace.is_long(PRIOR));
    }

    /// What is quick says nothing of what is not, and of what nothing is known the guess is a slow one.
    #[test]
    fn kinds_of_work_have_their_own_pace() {
        let wants = |latents, images, frames| Wants { latents, images, frames, spikes: Vec::new() };
        let spikes = Wants { spikes: vec![0], ..wants(true, true, false) };
        let all = [wants(true, false, false), wants(true, true, false), spikes, wants(false, false, true)];
        let entries = [Entry::Prior, Entry::Posterior, Entry::Latents];
        let kinds: Vec<Kind> =
            entries.iter().flat_map(|&entry| all.iter().map(move |wants| Kind::new(entry, wants))).collect();
        assert_eq!(kinds, (0..Kind::ALL).map(Kind).collect::<Vec<_>>());
        let pace = Pace::new(Duration::from_millis(100), true, 2_000_000_000);
        let (latents, images) = (kinds[0], kinds[1]);
        for _ in 0..4 {
            let n = pace.images(latents, 256);
            pace.note(latents, n, Duration::from_micros(10) * n as u32);
        }
        assert_eq!((pace.images(latents, 256), pace.is_long(latents)), (256, false));
        assert_eq!((pace.images(images, 256), pace.is_long(images)), (1, true));
        pace.note(images, 1, Duration::from_millis(20));
        assert_eq!((pace.images(images, 256), pace.is_long(images)), (5, false));
    }
}
