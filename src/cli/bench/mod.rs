//! `fsvae bench`.

pub(super) mod compare;
mod energy;
mod keep;
mod measure;
#[cfg(feature = "nvml")]
mod nvml;
pub(super) mod place;
pub(super) mod plot;
mod sampling;
pub(super) mod schema;
mod statistics;
mod table;
mod text;
mod verify;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use fsvae::operations;

use super::backend::check_adapter;
use super::output::{Files, Pattern, is_stdout};
use super::progress::spinner;
use super::{Failure, model};
use keep::{Keeper, Places};
use measure::{Effort, measure};
use place::Backends;
use schema::{Layer, Machine, Measured, Model, Operations, Options, Outcome, Report};
use verify::Reference;

const METHOD: &str = "\
Method:
  1. Images first. Each backend makes images that are known from the oracle (of the bundled models) and the first
     images of --seed, which must be the CPU's, bit for bit. Images of every batch that is timed are compared, too.
     A backend with one wrong bit is reported as WRONG and not scored; the exit code is then 1.
  2. Cold start: from opening the device to the first image on the host, once, in this process, without compiled
     kernels that fsvae kept. What the driver kept of earlier runs counts.
  3. Every variant of the kernels (see --kernels of the other commands) makes a few images, which are compared, and some
     batches, which are timed; the fastest is measured from here on.
  4. Latency: one image after the other, from the call to the pixels on the host.
  5. Throughput at batches of 1, 4, 16, 64, ... images, until two steps in a row bring less than 3 %. Two batches are
     in flight; a sample is the time of two batches.
  6. Time of each kernel at the best batch, by the GPU's timestamps: GPU time, where all else is wall time.
  7. The device's own limits: additions, multiply-adds and bytes a second of small kernels that do nothing else. The
     additions that the spikes of a layer cause are held against them.
  Before each point the backend runs until the median of the last 5 samples differs by less than 5 % from that of the 5
  before, for 10 s at most. A point takes at least 2 s and 100 samples, or 10 s. Numbers are medians; the spread is from
  the 25th to the 75th percentile. Wall time is the monotonic clock of the host. Energy is what RAPL (Linux, where its
  counters may be read) and NVML (feature nvml) count during a point, all that runs beside included.
  --quick: fewer images, 0.2 s a point and for warming up, batches of 1 and 16, one in flight. Its numbers only show
  that all works.

benches/README.md has more, and the format of --json.";

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, after_long_help = METHOD)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    model: model::Arguments,
    /// What to measure
    #[arg(long, value_enum, default_value_t = Backends::All)]
    backend: Backends,
    /// Only this adapter, by its number in `fsvae devices`, or those whose name or PCI address contains this text
    #[arg(long, value_name = "N|TEXT")]
    adapter: Option<String>,
    /// Batches to measure, such as 1,64,256 [default: 1,4,16,... up to the best]
    #[arg(long, value_name = "B,B,...", value_delimiter = ',')]
    batch: Option<Vec<NonZeroUsize>>,
    /// Seconds instead of minutes: does it work, not how fast it is
    #[arg(long)]
    quick: bool,
    /// Also write everything that was measured, all samples, into this file; with - it goes to standard output instead
    /// of the table. Ctrl-C ends the measurement and keeps what there is
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also draw throughput and kernel times into this file, .svg or .png
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Set files of --json side by side
    Compare(compare::Arguments),
}

/// Batches grow by four up to this.
const LARGEST_BATCH: usize = 1 << 16;

impl Arguments {
    pub(super) fn check(&self) -> Result<(), Failure> {
        if let Some(Action::Compare(arguments)) = &self.action {
            return arguments.check();
        }
        check_adapter(self.backend == Backends::Cpu, self.adapter.as_deref())?;
        self.json.as_ref().map_or(Ok(()), |path| Pattern::check(path, None))?;
        self.plot.as_deref().map_or(Ok(()), plot::Output::check)
    }

    fn effort(&self) -> Effort {
        let chosen: Vec<NonZeroUsize> = if self.quick {
            [1, 16].into_iter().filter_map(NonZeroUsize::new).collect()
        } else {
            std::iter::successors(NonZeroUsize::new(1), |batch| batch.checked_mul(NonZeroUsize::new(4)?))
                .take_while(|batch| batch.get() <= LARGEST_BATCH)
                .collect()
        };
        let milliseconds = |quick, full| Duration::from_millis(if self.quick { quick } else { full });
        Effort {
            seed: self.model.seed,
            until_best: self.batch.is_none(),
            batches: self.batch.clone().unwrap_or(chosen),
            point: milliseconds(200, 2_000),
            warm_up: milliseconds(200, 10_000),
            // What is in flight when a point is done is computed for nothing.
            in_flight: NonZeroUsize::MIN.saturating_add(usize::from(!self.quick)),
            calibration: self.quick.then_some(4),
            roofline: milliseconds(10, 50),
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(Action::Compare(arguments)) = &arguments.action {
        return compare::run(arguments);
    }
    let mut files = Files::new(arguments.model.file());
    let json_on_stdout = arguments.json.as_deref().is_some_and(is_stdout);
    let places = Places {
        table: !json_on_stdout,
        json: arguments.json.as_deref().map(|path| files.text_target(path)).transpose()?,
        plot: arguments.plot.as_deref().map(|path| plot::Output::new(&mut files, path)).transpose()?,
    };
    let (network, identity) = arguments.model.network_and_identity()?;
    let backends = place::places(arguments.backend, arguments.adapter.as_deref())?;
    let effort = arguments.effort();

    let progress = spinner();
    progress.set_message("counting additions");
    let images = if arguments.quick { 2 } else { 16 };
    let layers = operations::generation(&network, effort.seed, 0..images)?;
    let layers = layers.into_iter().map(|layer| Layer {
        name: layer.name,
        additions: layer.additions,
        dense_multiply_adds: layer.dense,
    });
    let operations = Operations { images, layers: layers.collect() };
    let mut reference = Reference::new(&network, &identity.digest, effort.seed, images);
    let report = Report {
        schema: schema::SCHEMA.into(),
        version: schema::VERSION,
        fsvae: env!("CARGO_PKG_VERSION").into(),
        model: Model { family: identity.family().into(), name: identity.name, sha256: identity.digest },
        machine: machine(),
        options: Options {
            quick: arguments.quick,
            seed: effort.seed,
            batches: arguments.batch.as_ref().map(|list| list.iter().map(|batch| batch.get()).collect()),
            point_seconds: effort.point.as_secs_f64(),
            warm_up_seconds: effort.warm_up.as_secs_f64(),
        },
        operations,
        results: Vec::new(),
    };
    let keeper = Keeper::new(report, places);
    for place in &backends {
        let outcome = measure(place, &network, &effort, &mut reference, &progress, &keeper);
        if matches!(place, place::Place::Cpu) && matches!(outcome, Outcome::Wrong { .. }) {
            reference.distrust_cpu();
        }
        keeper.end(Measured { backend: place.name(), adapter: place.adapter(), outcome });
    }
    progress.finish_and_clear();
    verdict(&keeper.deliver()?)
}

/// An error if a backend is not scored.
fn verdict(report: &Report) -> Result<(), Failure> {
    let unfit: Vec<String> = (report.results.iter())
        .filter_map(|result| match &result.outcome {
            Outcome::Ok(_) => None,
            Outcome::Wrong { .. } => Some(format!("{} is WRONG", result.backend)),
            Outcome::Failed { .. } => Some(format!("{} failed", result.backend)),
            Outcome::Interrupted(_) => Some(format!("{} was interrupted", result.backend)),
        })
        .collect();
    if unfit.is_empty() { Ok(()) } else { Err(Failure::Partial(unfit.join(", "))) }
}

fn machine() -> Machine {
    use sysinfo::{CpuRefreshKind, RefreshKind, System};
    let system = System::new_with_specifics(RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()));
    let unknown = || "unknown".to_owned();
    Machine {
        os: System::long_os_version().unwrap_or_else(unknown),
        cpu: system.cpus().first().map_or_else(unknown, |cpu| cpu.brand().trim().to_owned()),
        physical_cores: System::physical_core_count(),
        logical_cores: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
    }
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressBar;

    use super::*;

    /// The report of one backend that is measured in no time.
    fn report(reference: impl FnOnce(Reference) -> Reference) -> Report {
        let checkpoint = fsvae::Checkpoint::bundled("mnist").expect("bundled").expect("valid");
        let network = fsvae::Network::new(&checkpoint).expect("a network");
        let effort = Effort {
            seed: 3,
            batches: vec![NonZeroUsize::MIN],
            until_best: true,
            point: Duration::ZERO,
            warm_up: Duration::ZERO,
            in_flight: NonZeroUsize::MIN,
            calibration: Some(2),
            roofline: Duration::from_micros(10),
        };
        let sha256 = crate::cli::report::digest(checkpoint.as_bytes());
        let mut reference = reference(Reference::new(&network, &sha256, 3, 1));
        let progress = ProgressBar::hidden();
        let keeper = Keeper::default();
        let outcome = measure(&place::Place::Cpu, &network, &effort, &mut reference, &progress, &keeper);
        Report {
            schema: schema::SCHEMA.into(),
            version: schema::VERSION,
            fsvae: "0.0.0".into(),
            model: Model { name: "mnist".into(), sha256, family: "fsvae".into() },
            machine: machine(),
            options: Options {
                quick: true,
                seed: 3,
                batches: None,
                point_seconds: 0.0,
                warm_up_seconds: 0.0,
            },
            operations: Operations { images: 0, layers: Vec::new() },
            results: vec![Measured { backend: "CPU".into(), adapter: None, outcome }],
        }
    }

    #[test]
    fn a_backend_that_is_right_is_scored() {
        let report = report(|reference| reference);
        assert!(report.results[0].scores().is_some_and(|scores| scores.verified.with_oracle == 7));
        assert!(verdict(&report).is_ok());
        assert_eq!(plot::charts(&report)[0].bars[0].parts.len(), 1);
        assert!(!table::table(&report).contains("WRONG"));
    }

    #[test]
    fn a_backend_that_is_wrong_is_never_scored() {
        let report = report(Reference::tampered);
        let json = String::from_utf8(report.to_json().expect("JSON")).expect("text");
        let Outcome::Wrong { reason } = &report.results[0].outcome else { panic!("scored: {json}") };
        assert!(reason.contains("has SHA-256"), "{reason}");
        assert!(json.contains("\"wrong\"") && !json.contains("_ns"), "{json}");
        let failure = verdict(&report).expect_err("an error");
        assert_eq!((failure.to_string().as_str(), failure.code()), ("CPU is WRONG", 1));
        let bar = &plot::charts(&report)[0].bars[0];
        assert_eq!((bar.value.as_str(), &bar.parts[..]), ("WRONG", &[0.0][..]));
        let table = table::table(&report);
        assert!(table.contains("CPU: WRONG, not scored: ") && !table.contains("images/s"), "{table}");
    }
}
