//! What has been measured until now, which is not lost when the program is told to end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fsvae::bench::Place;
use fsvae::bench::schema::{Adapter, Measured, Outcome, Partial, Report};

use super::{plot, table};
use crate::cli::output::Target;
use crate::cli::report::print;
use crate::cli::{Failure, crash, say, signals};

/// Where a report goes.
#[derive(Default)]
pub(super) struct Places {
    /// Whether as a table to standard output.
    pub(super) table: bool,
    pub(super) json: Option<Target>,
    pub(super) plot: Option<plot::Output>,
}

#[derive(Clone, Default)]
pub(super) struct Keeper {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Until it is delivered.
    report: Option<(Report, Places)>,
    /// The backend that is being measured.
    running: Option<Running>,
}

impl State {
    /// The report as it is now, if there is anything in it.
    fn known(&self) -> Option<Report> {
        let mut report = self.report.as_ref()?.0.clone();
        if let Some(Running { backend, adapter, partial: Some(partial) }) = &self.running
            && !(partial.latency_ns.is_empty() && partial.throughput.is_empty())
        {
            let outcome = Outcome::Interrupted(partial.clone());
            report.results.push(Measured { backend: backend.clone(), adapter: adapter.clone(), outcome });
        }
        (!report.results.is_empty()).then_some(report)
    }

    /// Has it written: a driver may end the program at any time.
    fn keep(&self) {
        let target = self.report.as_ref().and_then(|(_, places)| places.json.as_ref());
        if let (Some(target), Some(report)) = (target, self.known())
            && let Ok(json) = report.to_json()
        {
            target.keep(json);
        }
    }
}

struct Running {
    backend: String,
    adapter: Option<Adapter>,
    /// None until its images are compared: of a backend that may be wrong nothing counts.
    partial: Option<Partial>,
}

impl Keeper {
    /// Keeps a report that grows, and delivers it should the program be told to end.
    pub(super) fn new(report: Report, places: Places) -> Self {
        let state = State { report: Some((report, places)), running: None };
        let keeper = Keeper { state: Arc::new(Mutex::new(state)) };
        let kept = keeper.clone();
        signals::on_end(move || kept.deliver_interrupted());
        keeper
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A backend's turn.
    pub(super) fn begin(&self, place: &Place) {
        self.state().running =
            Some(Running { backend: place.name(), adapter: place.adapter(), partial: None });
    }

    /// Notes what is known of that backend.
    pub(super) fn so_far(&self, known: &Partial) {
        let mut state = self.state();
        if let Some(running) = &mut state.running {
            running.partial = Some(known.clone());
        }
        state.keep();
    }

    /// A backend is done.
    pub(super) fn end(&self, measured: Measured) {
        let mut state = self.state();
        state.running = None;
        if let Some((report, _)) = &mut state.report {
            report.results.push(measured);
        }
        state.keep();
    }

    /// Prints and writes the whole report.
    pub(super) fn deliver(&self) -> Result<Report, Failure> {
        signals::forget_wish();
        let Some((report, places)) = self.state().report.take() else {
            // Told to end just now: another thread has delivered it, and ends the program.
            signals::park_if_ending();
            return Err(Failure::Partial("interrupted".into()));
        };
        write(&report, places)?;
        Ok(report)
    }

    /// Prints and writes what there is, if that is anything.
    fn deliver_interrupted(&self) {
        let mut state = self.state();
        let known = state.known();
        let (Some(report), Some((_, places))) = (known, state.report.take()) else { return };
        match write(&report, places) {
            Ok(()) => say::say("interrupted: this is what was measured until now"),
            Err(failure) => say::say(failure.to_string()),
        }
    }
}

fn write(report: &Report, places: Places) -> Result<(), Failure> {
    crash::forget_last_words();
    if let Some(target) = places.json {
        target.write(&report.to_json().map_err(Failure::stdout)?)?;
    }
    if let Some(output) = places.plot {
        output.write(&plot::charts(report))?;
    }
    // Last: a reader that has gone away costs no file.
    if places.table {
        print(&format!("\n{}\n{}", table::table(report), table::lines(report)))?;
    }
    Ok(())
}
