//! `fsvae bench`.

mod check;
pub(super) mod compare;
mod energy;
mod index;
mod keep;
#[cfg(feature = "nvml")]
mod nvml;
pub(super) mod place;
pub(super) mod plot;
mod rows;
mod table;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use fsvae::bench::schema::{Machine, Model, Outcome, Report};
use fsvae::bench::{Bench, Event, Place, Plan, Step};

use super::backend::check_adapter;
use super::output::{Files, check_json, is_stdout};
use super::progress::parts;
use super::{Failure, model, tuning, usage};
use energy::Meters;
use keep::{Keeper, Places};
use place::Backends;
use rows::Rows;

const METHOD: &str = "\
Method:
  1. Images first. Each backend makes images whose digests are known (of the bundled models) and the first
     images of --seed, which must be the CPU's, bit for bit. Images of every batch that is timed are compared, too.
     A backend with one wrong bit is reported as WRONG and not scored; the exit code is then 1.
  2. Cold start: from opening the device to the first image on the host, once, in this process, without compiled
     kernels that fsvae kept. What the driver kept of earlier runs counts.
  3. Every variant of the kernels (see --kernels of the other commands) makes a few images, which are compared, then images
     alone and batches, which are timed, and so is each layer by the GPU's timestamps. The fastest for each layer and size of
     batches are measured from here on.
  4. Latency: one image after the other, from the call to the pixels on the host.
  5. Throughput at batches of 1, 4, 16, 64, ... images, until two steps in a row bring less than 3 % or there is no
     time for more. Two batches are in flight; a sample is the time of two batches.
  6. Time of each kernel at the best batch, by the GPU's timestamps: GPU time, where all else is wall time.
  7. The device's own limits: additions, multiply-adds and bytes a second of small kernels that do nothing else. The
     additions that the spikes of a layer cause are held against them.
  Before each point the backend runs until the median of the last 5 samples differs by less than 5 % from that of the 5
  before, for 0.5 s at most. A point takes at least 0.7 s and 100 samples, or 1.4 s. A backend takes some 20 s: of a slow
  one less is measured, which is said. Batches that are asked for are measured whatever they take.
  Numbers are medians; the spread is from the 25th to the 75th percentile. Wall time is the monotonic clock of the host.
  Energy is what RAPL (Linux, where its counters may be read) and NVML (feature nvml) count during a point, all that runs
  beside included.
  --thorough: for records. Warming up takes 10 s at most; a point takes at least 2 s and 100 samples, or 10 s; a backend
  takes what it takes, minutes.
  --quick: fewer images, 0.2 s a point and for warming up, batches of 1 and 16, one in flight. Its numbers only show
  that all works.
  The last lines, one a backend, are made to be pasted: images/s and half of the spread, the latency of an image, the
  additions that its spikes cause against those that could be made, and the images that were compared. What was not measured is -.

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
    #[arg(long, value_name = "N|TEXT", value_parser = usage::some_text)]
    adapter: Option<String>,
    /// Batches to measure, such as 1,64,256 [default: 1,4,16,... up to the best]
    #[arg(long, value_name = "B,B,...", value_delimiter = ',', value_parser = usage::positive)]
    batch: Option<Vec<NonZeroUsize>>,
    /// A few seconds: shows that all works, not how fast it is
    #[arg(long, conflicts_with = "thorough")]
    quick: bool,
    /// Minutes instead of some 20 seconds a backend: for records
    #[arg(long)]
    thorough: bool,
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
    /// Set files that --json wrote side by side
    Compare(compare::Arguments),
    /// Say whether files that --json wrote can be believed: their schema, digests and additions, and no rate above its own
    /// limit
    Check(check::Arguments),
    /// Make a page of the records in a folder, by vendor
    Index(index::Arguments),
}

impl Arguments {
    pub(super) fn check(&self) -> Result<(), Failure> {
        match &self.action {
            Some(Action::Compare(arguments)) => return arguments.check(),
            Some(Action::Check(arguments)) => return arguments.check(),
            Some(Action::Index(arguments)) => return arguments.check(),
            None => {}
        }
        check_adapter(self.backend == Backends::Cpu, self.adapter.as_deref())?;
        self.json.as_deref().map_or(Ok(()), check_json)?;
        self.plot.as_deref().map_or(Ok(()), plot::Output::check)
    }

    fn plan(&self) -> Plan {
        let seed = self.model.seed;
        let plan = match (self.quick, self.thorough) {
            (true, _) => Plan::quick(seed),
            (_, true) => Plan::thorough(seed),
            _ => Plan::short(seed),
        };
        match &self.batch {
            Some(batches) => plan.with_batches(batches.clone()),
            None => plan,
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.action {
        Some(Action::Compare(arguments)) => return compare::run(arguments),
        Some(Action::Check(arguments)) => return check::run(arguments),
        Some(Action::Index(arguments)) => return index::run(arguments),
        None => {}
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

    let progress = parts(PARTS * backends.len() as u64);
    progress.set_message("counting additions");
    let mut bench = Bench::new(&network, &identity.digest, arguments.plan());
    let model = Model { family: identity.family().into(), name: identity.name, sha256: identity.digest };
    let report = bench.report(model, machine())?;
    let mut rows = Rows::new(!json_on_stdout, &backends);
    rows.print(&table::head(&report));
    let keeper = Keeper::new(report, places);
    for (at, place) in backends.iter().enumerate() {
        keeper.begin(place);
        let name = place.name();
        let mut tell = |event: Event<'_>| {
            if let Event::Begins(step) = event {
                progress.set_position(PARTS * at as u64 + part(step));
                progress.set_message(format!("{name} ({} of {}): {step}", at + 1, backends.len()));
            } else if let Event::Measured { row, so_far } = event {
                keeper.so_far(so_far);
                rows.add(&name, row, so_far);
            }
        };
        let adapter = if let Place::Gpu(adapter, _) = place { Some(adapter) } else { None };
        let mut meters = Meters::new(adapter);
        let measured = pollster::block_on(bench.measure(place, &mut meters, &mut tell));
        let found = measured.scores().and_then(|scores| scores.calibration.as_ref());
        if let (Some(adapter), Some(found)) = (adapter, found) {
            let info = adapter.get_info();
            // Smaller batches say too little of what other commands make.
            if found.batch == fsvae::bench::Found::usual_batch(&info).get() {
                tuning::remember(&info, network.architecture(), found);
            }
        }
        rows.end(&measured);
        keeper.end(measured);
        // Files are wanted even if nobody is left to read the rows.
        if arguments.json.is_none() && arguments.plot.is_none() {
            rows.check()?;
        }
    }
    progress.finish_and_clear();
    verdict(&keeper.deliver()?)
}

/// Of a backend, for the bar.
const PARTS: u64 = 20;

/// How many of them are done when a step begins, about.
fn part(step: Step) -> u64 {
    match step {
        Step::Comparing => 1,
        Step::Choosing => 2,
        Step::Latency => 4,
        // Each is four times the one before.
        Step::Throughput(batch) => (6 + u64::from(batch.max(1).ilog2())).min(15),
        Step::Kernels => 16,
        Step::Limits => 18,
        _ => 0,
    }
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
    use fsvae::bench::schema::{self, Measured};

    use super::*;

    #[test]
    fn what_is_wrong_has_no_numbers() {
        let outcome = Outcome::Wrong { reason: "image 3 of seed 7 has SHA-256 12".into() };
        let result = Measured { backend: "CPU".into(), adapter: None, outcome };
        let report = Report {
            schema: schema::SCHEMA.into(),
            version: schema::VERSION,
            fsvae: "0.0.0".into(),
            model: Model { name: "mnist".into(), sha256: "12".into(), family: "fsvae".into() },
            machine: machine(),
            options: Plan::quick(3).options(),
            operations: schema::Operations { images: 0, layers: Vec::new() },
            results: vec![result],
        };
        let failure = verdict(&report).expect_err("an error");
        assert_eq!((failure.to_string().as_str(), failure.code()), ("CPU is WRONG", 1));
        let bar = &plot::charts(&report)[0].bars[0];
        assert_eq!((bar.value.as_str(), &bar.parts[..]), ("WRONG", &[0.0][..]));
        let table = table::table(&report);
        assert!(table.contains("CPU: WRONG, not scored: ") && !table.contains("images/s"), "{table}");
    }
}
