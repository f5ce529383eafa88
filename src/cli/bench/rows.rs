//! Results as they are measured, a line each.

use fsvae::bench::schema::{Measured, Outcome, Partial};
use fsvae::bench::{Place, Row, Summary, median, si, time};

use super::table::{rate, spread};
use crate::cli::Failure;
use crate::cli::report::print_row;

/// Lines on standard output.
pub(super) struct Rows {
    wanted: bool,
    /// Characters of the longest name of a backend.
    width: usize,
    /// Why nothing more is printed.
    failure: Option<Failure>,
}

impl Rows {
    pub(super) fn new(wanted: bool, places: &[Place]) -> Self {
        let width = places.iter().map(|place| place.name().chars().count()).max().unwrap_or(0);
        Rows { wanted, width, failure: None }
    }

    pub(super) fn print(&mut self, text: &str) {
        if self.wanted && self.failure.is_none() {
            self.failure = print_row(text).err();
        }
    }

    fn line(&mut self, backend: &str, what: &str, result: &str) {
        let width = self.width;
        let line = format!("{backend:<width$}  {what:<11}  {result}");
        self.print(&format!("{}\n", line.trim_end()));
    }

    #[cfg_attr(fuzzing, allow(unreachable_patterns, reason = "of the library these are all"))]
    pub(super) fn add(&mut self, backend: &str, row: Row<'_>, so_far: &Partial) {
        match row {
            Row::FirstImage => {
                let right = so_far.verified.with_oracle + so_far.verified.with_cpu;
                let start = time(so_far.cold_start_ns as f64);
                self.line(backend, "cold start", &format!("{start}, {right} images compared and right"));
            }
            Row::Chosen(found) => self.line(backend, "kernels", &found.to_string()),
            Row::Latency(samples) => {
                let Some(Summary { median, p99, .. }) = Summary::of(samples) else { return };
                self.line(backend, "first image", &format!("{}, p99 {}", time(median), time(p99)));
            }
            Row::Throughput(point) => {
                let result = format!("{} images/s, {}", rate(point), spread(point));
                self.line(backend, &format!("batch {}", point.batch), &result);
            }
            Row::LeftOut(what) => self.line(backend, "left out", &format!("{what}: no time (--thorough)")),
            Row::Kernels(kernels) => {
                let batch: f64 = kernels.dispatches.iter().map(|dispatch| median(&dispatch.samples_ns)).sum();
                let image = time(batch / kernels.batch as f64);
                self.line(backend, "GPU time", &format!("{image} an image at batch {}", kernels.batch));
            }
            Row::Peaks(peaks) => {
                let result = format!("{} additions/s, {}B/s", si(peaks.additions), si(peaks.bytes));
                self.line(backend, "limits", &result);
            }
            _ => {}
        }
    }

    /// Says why there is nothing to say.
    pub(super) fn end(&mut self, measured: &Measured) {
        match &measured.outcome {
            Outcome::Wrong { .. } => self.line(&measured.backend, "WRONG", ""),
            Outcome::Failed { .. } => self.line(&measured.backend, "failed", ""),
            Outcome::Ok(_) | Outcome::Interrupted(_) => {}
        }
    }

    /// Whether to go on: nobody may be left to read.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        self.failure.take().map_or(Ok(()), Err)
    }
}
