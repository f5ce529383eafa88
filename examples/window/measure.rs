//! What frames cost while images are made on the same device: so long without, so long in batches that follow the budget,
//! so long in batches of the largest size.

use std::num::NonZeroUsize;
use std::task::Poll;
use std::time::{Duration, Instant};

use fsvae::{Generator, ImageStream, StreamOptions};

const PHASES: [&str; 3] = ["no images are made", "batches follow the budget", "batches of the largest size"];

/// Batches of a stream that may be done when a frame begins: what a frame gives them is one budget.
const IN_FLIGHT: NonZeroUsize = NonZeroUsize::MIN;

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
        if let Some(Poll::Ready(Some(images))) = self.stream.as_mut().map(ImageStream::try_next) {
            self.images += images?.len();
        }
        if now - self.began < self.each || self.frames.is_empty() {
            return Ok(false);
        }
        self.report(now);
        self.phase += 1;
        let batch = match self.phase {
            1 => None,
            2 => NonZeroUsize::new(generator.batch()),
            _ => return Ok(true),
        };
        let options = StreamOptions { batch, in_flight: IN_FLIGHT };
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
