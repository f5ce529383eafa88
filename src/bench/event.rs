//! What is told while a backend is measured.

use std::fmt;

use super::found::Found;
use super::schema::{Energy, Kernels, Partial, Peaks, Point};
use super::statistics::{Summary, median};
use super::text::{si, time};

/// News of a measurement.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// This begins.
    Begins(Step),
    /// This is known now.
    Measured {
        /// What is new.
        row: Row<'a>,
        /// And all until now, should the measurement not come to its end.
        so_far: &'a Partial,
    },
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The device is opened and makes its first image.
    Opening,
    /// Images are compared.
    Comparing,
    /// The variants of the kernels are timed.
    Choosing,
    /// One image after the other.
    Latency,
    /// Batches of so many images.
    Throughput(usize),
    /// The time of each kernel.
    Kernels,
    /// What the device can do a second.
    Limits,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Opening => f.write_str("opening"),
            Step::Comparing => f.write_str("comparing images"),
            Step::Choosing => f.write_str("choosing kernels"),
            Step::Latency => f.write_str("latency"),
            Step::Throughput(batch) => write!(f, "throughput at batch {batch}"),
            Step::Kernels => f.write_str("kernels"),
            Step::Limits => f.write_str("additions and bytes a second"),
        }
    }
}

/// A result.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Row<'a> {
    /// The images are right, and the first of them took what `so_far` says.
    FirstImage,
    /// The variants of the kernels that all else is measured with.
    Chosen(&'a Found),
    /// Nanoseconds of an image that is made alone.
    Latency(&'a [u64]),
    /// A batch.
    Throughput(&'a Point),
    /// There is no time for this.
    LeftOut(&'a str),
    /// The kernels of the best batch.
    Kernels(&'a Kernels),
    /// The device's limits.
    Peaks(&'a Peaks),
}

impl Row<'_> {
    /// What was measured and its result, for people. Nothing where there is no result.
    pub fn told(&self, so_far: &Partial) -> Option<(String, String)> {
        let (what, result) = match self {
            Row::FirstImage => {
                let right = so_far.verified.with_oracle + so_far.verified.with_cpu;
                let start = time(so_far.cold_start_ns as f64);
                ("cold start".into(), format!("{start}, {right} images compared and right"))
            }
            Row::Chosen(found) => ("kernels".into(), found.to_string()),
            Row::Latency(samples) => {
                let Summary { median, p99, .. } = Summary::of(samples)?;
                ("first image".into(), format!("{}, p99 {}", time(median), time(p99)))
            }
            Row::Throughput(point) => {
                (format!("batch {}", point.batch), format!("{} images/s, {}", point.rate(), point.spread()))
            }
            Row::LeftOut(what) => ("left out".into(), format!("{what}: no time")),
            Row::Kernels(kernels) => {
                let batch: f64 = kernels.dispatches.iter().map(|dispatch| median(&dispatch.samples_ns)).sum();
                let image = time(batch / kernels.batch as f64);
                ("GPU time".into(), format!("{image} an image at batch {}", kernels.batch))
            }
            Row::Peaks(peaks) => {
                ("limits".into(), format!("{} additions/s, {}B/s", si(peaks.additions), si(peaks.bytes)))
            }
        };
        Some((what, result))
    }
}

/// Counts energy. `()` counts none.
pub trait Meter {
    /// A point begins.
    fn start(&mut self);
    /// What was used since.
    fn used(&mut self) -> Vec<Energy>;
}

impl Meter for () {
    fn start(&mut self) {}

    fn used(&mut self) -> Vec<Energy> {
        Vec::new()
    }
}
