//! What frames cost while images are made on the same device: so long without, so long in batches that follow the budget,
//! so long in batches of the largest size.

use std::num::NonZeroUsize;
use std::task::Poll;
use std::time::{Duration, Instant};

use fsvae::{Generator, ImageStream, StreamOptions};

const PHASES: [&str; 3] = ["no images are made", "batches follow the budget", "batches of the largest size"];

/// Batches.
const IN_FLIGHT: usize = 2;

pub(crate) struct Measure {
    each: Duration,
    phase: usize,
    began: Instant,
    last: Option<Instant>,
    frames: Vec<Duration>,
    stream: Option<ImageStream>,
    images: usize,
}

impl Measure {
    pub(crate) fn new(each: Duration) -> Self {
        let (last, frames, stream) = Default::default();
        Measure { each, phase: 0, began: Instant::now(), last, frames, stream, images: 0 }
    }

    /// Once a frame; takes what images are done and waits for none. True when that was all.
    pub(crate) fn frame(&mut self, generator: &Generator) -> fsvae::Result<bool> {
        let now = Instant::now();
        self.frames.extend(self.last.replace(now).map(|last| now - last));
        // No more than are in flight. Each that is taken begins another, and where a submission waits for the device that is
        // soon done, too: whoever takes all that there are may never come to the next frame.
        for _ in 0..IN_FLIGHT {
            let Some(Poll::Ready(Some(images))) = self.stream.as_mut().map(ImageStream::try_next) else {
                break;
            };
            self.images += images?.len();
        }
        if now - self.began < self.each || self.frames.is_empty() {
            return Ok(false);
        }
        self.report(now);
        self.phase += 1;
        let options = match self.phase {
            1 => StreamOptions::throughput(),
            2 => StreamOptions { batch: NonZeroUsize::new(generator.batch()), ..Default::default() },
            _ => return Ok(true),
        };
        let stream = Some(generator.stream_with(options, 7, 0..)?);
        *self = Measure { phase: self.phase, stream, ..Measure::new(self.each) };
        Ok(false)
    }

    fn report(&mut self, now: Instant) {
        self.frames.sort_unstable();
        let of = |percent: usize| self.frames[(self.frames.len() - 1) * percent / 100].as_secs_f64() * 1e3;
        println!(
            "{}: {} frames, median {:.2} ms, 95 % {:.2} ms, 99 % {:.2} ms, slowest {:.2} ms, {:.0} images/s",
            PHASES[self.phase],
            self.frames.len(),
            of(50),
            of(95),
            of(99),
            of(100),
            self.images as f64 / (now - self.began).as_secs_f64(),
        );
    }
}
