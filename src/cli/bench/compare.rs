//! `fsvae bench compare`.

use std::path::{Path, PathBuf};

use fsvae::bench::schema::Report;
use fsvae::bench::{Comparison, digits, si};

use super::plot::{Bar, Chart, Output};
use crate::cli::Failure;
use crate::cli::input::{read_file, read_once};
use crate::cli::output::Files;
use crate::cli::report::print;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Files of `fsvae bench --json`, all of one model, or - for standard input; the first is what the others are held
    /// against
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Also draw the ratios into this file, .svg or .png
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

impl Arguments {
    pub(super) fn check(&self) -> Result<(), Failure> {
        read_once(self.files.iter().map(PathBuf::as_path))?;
        self.plot.as_deref().map_or(Ok(()), Output::check)
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut files = Files::new(arguments.files.iter().map(PathBuf::as_path));
    let output = arguments.plot.as_deref().map(|path| Output::new(&mut files, path)).transpose()?;
    let mut comparison = Comparison::default();
    for path in &arguments.files {
        add(&mut comparison, path, &read_file(path)?)?;
    }
    print(&comparison.text())?;
    output.map_or(Ok(()), |output| output.write(&[chart(&comparison)]))
}

/// The next file.
pub(in crate::cli) fn add(comparison: &mut Comparison, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let shown = path.display();
    let added = Report::parse(bytes).and_then(|report| comparison.add(&shown.to_string(), report));
    added.map_err(|problem| Failure::Input(format!("{shown}: {problem}")))
}

pub(in crate::cli) fn chart(comparison: &Comparison) -> Chart {
    let rows = comparison.rows();
    let bars = rows.iter().map(|row| {
        let label = format!("{}, {}", row.backend, row.report);
        match (row.speed, row.against(&rows)) {
            (Ok(speed), Some((against, base))) => {
                let ratio = speed.images_per_second / base.images_per_second;
                Bar {
                    label: format!("{label}, of {}", row.naming(against)),
                    parts: vec![ratio],
                    value: format!("{} ({})", digits(ratio), si(speed.images_per_second)),
                }
            }
            (outcome, _) => Bar { label, parts: vec![0.0], value: outcome.err().unwrap_or_default().into() },
        }
    });
    Chart {
        title: format!("{}: images a second, ratios", comparison.model()),
        legend: Vec::new(),
        bars: bars.collect(),
    }
}
