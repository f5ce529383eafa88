//! Results as they are measured, a line each.

use fsvae::bench::schema::{Measured, Outcome, Partial};
use fsvae::bench::{Place, Row};

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

    pub(super) fn add(&mut self, backend: &str, row: Row<'_>, so_far: &Partial) {
        let Some((what, result)) = row.told(so_far) else { return };
        let more = if matches!(row, Row::LeftOut(_)) { " (--thorough)" } else { "" };
        self.line(backend, &what, &(result + more));
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
