//! `fsvae bench compare`.

use std::path::{Path, PathBuf};

use fsvae::bench::schema::{Measured, Outcome, Point, Report};
use fsvae::bench::{Summary, digits, median, si, time};

use super::plot::{Bar, Chart, Output};
use super::text::columns;
use crate::cli::Failure;
use crate::cli::input::{read_file, read_once};
use crate::cli::output::Files;
use crate::cli::report::print;
use crate::cli::say::one_line;

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

/// More backends than anybody looks at. As bars of a PNG they take half a gigabyte.
const MOST_ROWS: usize = 1000;

/// Reports of one model, each with the name of its file.
#[derive(Default)]
pub(in crate::cli) struct Comparison {
    reports: Vec<(String, Report)>,
}

/// A backend of a file.
struct Row {
    backend: String,
    file: String,
    outcome: Result<Speed, &'static str>,
}

/// How fast it is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Speed {
    images_per_second: f64,
    batch: usize,
    latency: f64,
    p99: f64,
    cold_start: f64,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut files = Files::new(arguments.files.iter().map(PathBuf::as_path));
    let output = arguments.plot.as_deref().map(|path| Output::new(&mut files, path)).transpose()?;
    let mut comparison = Comparison::default();
    for path in &arguments.files {
        comparison.add(path, &read_file(path)?)?;
    }
    print(&comparison.text())?;
    output.map_or(Ok(()), |output| output.write(&[comparison.chart()]))
}

impl Comparison {
    /// The next file, of the same model as the first.
    pub(in crate::cli) fn add(&mut self, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
        let shown = path.display();
        let report = Report::parse(bytes).map_err(|problem| Failure::Input(format!("{shown}: {problem}")))?;
        if let Some((name, first)) = self.reports.first()
            && first.model.sha256 != report.model.sha256
        {
            return Err(Failure::Input(format!(
                "{shown}: expected model {} (SHA-256 {}) as in {name}, found {} (SHA-256 {})",
                first.model.name, first.model.sha256, report.model.name, report.model.sha256
            )));
        }
        let before: usize = self.reports.iter().map(|(_, report)| report.results.len()).sum();
        let all = before + report.results.len();
        if all > MOST_ROWS {
            return Err(Failure::Input(format!(
                "{shown}: expected at most {MOST_ROWS} backends in all files, found {all} up to here"
            )));
        }
        self.reports.push((one_line(&shown.to_string()), report));
        Ok(())
    }

    fn model(&self) -> String {
        self.reports.first().map_or_else(String::new, |(_, report)| one_line(&report.model.name))
    }

    fn rows(&self) -> Vec<Row> {
        let rows = |(file, report): &(String, Report)| {
            report.results.iter().map(|result| Row::new(result, file)).collect::<Vec<_>>()
        };
        self.reports.iter().flat_map(rows).collect()
    }

    /// What it says on standard output.
    pub(in crate::cli) fn text(&self) -> String {
        let mut text = format!("model  {}\n\n{}", self.model(), table(&self.rows()));
        for (file, _) in self.reports.iter().filter(|(_, report)| report.options.quick) {
            text +=
                &format!("\n{file} was made with --quick: it shows that all works, not how fast it is.\n");
        }
        text
    }

    pub(in crate::cli) fn chart(&self) -> Chart {
        chart(&self.model(), &self.rows())
    }
}

impl Row {
    fn new(result: &Measured, file: &str) -> Self {
        let outcome = match &result.outcome {
            Outcome::Wrong { .. } => Err("WRONG"),
            Outcome::Failed { .. } => Err("failed"),
            Outcome::Interrupted(_) => Err("interrupted"),
            Outcome::Ok(scores) => {
                Point::best(&scores.throughput).ok_or("not measured").map(|(point, rate)| Speed {
                    images_per_second: rate,
                    batch: point.batch,
                    latency: median(&scores.latency_ns),
                    p99: Summary::of(&scores.latency_ns).map_or(0.0, |summary| summary.p99),
                    cold_start: scores.cold_start_ns as f64,
                })
            }
        };
        Row { backend: one_line(&result.backend), file: file.into(), outcome }
    }
}

/// Empty where there is nothing to divide by.
fn ratio(value: f64, base: f64) -> String {
    if base > 0.0 { digits(value / base) } else { String::new() }
}

/// What a row is held against: the same backend in the first file, or else the first row that has a speed.
fn baseline<'r>(rows: &'r [Row], row: &Row) -> Option<&'r Row> {
    let first = &rows.first()?.file;
    let with_speed = || rows.iter().filter(|row| row.outcome.is_ok());
    with_speed()
        .find(|other| other.file == *first && other.backend == row.backend)
        .or_else(|| with_speed().next())
}

/// How a row names what it is held against: by the file, if that is all that differs.
fn shown(base: &Row, row: &Row) -> String {
    if base.backend == row.backend { base.file.clone() } else { format!("{}, {}", base.backend, base.file) }
}

fn table(rows: &[Row]) -> String {
    let head = [
        "backend",
        "file",
        "images/s",
        "ratio",
        "batch",
        "latency",
        "ratio",
        "p99",
        "cold start",
        "ratio of",
    ];
    let mut cells = vec![head.map(String::from).to_vec()];
    for row in rows {
        let mut line = vec![row.backend.clone(), row.file.clone()];
        match (&row.outcome, baseline(rows, row)) {
            (Ok(speed), Some(against @ Row { outcome: Ok(base), .. })) => line.extend([
                si(speed.images_per_second),
                ratio(speed.images_per_second, base.images_per_second),
                speed.batch.to_string(),
                time(speed.latency),
                ratio(speed.latency, base.latency),
                time(speed.p99),
                time(speed.cold_start),
                shown(against, row),
            ]),
            (Err(why), _) => line.push((*why).into()),
            (Ok(_), _) => {}
        }
        cells.push(line);
    }
    columns(2, &cells)
}

fn chart(model: &str, rows: &[Row]) -> Chart {
    let bar = |row: &Row| {
        let label = format!("{}, {}", row.backend, row.file);
        match (&row.outcome, baseline(rows, row)) {
            (Ok(speed), Some(against @ Row { outcome: Ok(base), .. })) => {
                let ratio = speed.images_per_second / base.images_per_second;
                let label = format!("{label}, of {}", shown(against, row));
                Bar {
                    label,
                    parts: vec![ratio],
                    value: format!("{} ({})", digits(ratio), si(speed.images_per_second)),
                }
            }
            (outcome, _) => {
                let value = outcome.as_ref().err().copied().unwrap_or_default();
                Bar { label, parts: vec![0.0], value: value.into() }
            }
        }
    };
    Chart {
        title: format!("{model}: images a second, ratios"),
        legend: Vec::new(),
        bars: rows.iter().map(bar).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(backend: &str, file: &str, rate: f64) -> Row {
        let speed =
            Speed { images_per_second: rate, batch: 1, latency: 1e9 / rate, p99: 0.0, cold_start: 0.0 };
        Row { backend: backend.into(), file: file.into(), outcome: Ok(speed) }
    }

    #[test]
    fn ratios_are_of_the_same_backend_or_of_the_first_row() {
        let wrong = Row { backend: "B".into(), file: "1".into(), outcome: Err("WRONG") };
        let rows = [
            wrong,
            row("A", "1", 10.0),
            row("C", "1", 40.0),
            row("C", "2", 60.0),
            row("B", "2", 20.0),
            row("A", "2", 5.0),
        ];
        let base =
            |at: usize| baseline(&rows, &rows[at]).map(|row| (row.backend.as_str(), row.file.as_str()));
        let found: Vec<_> = (0..rows.len()).map(base).collect();
        let (a, c) = (Some(("A", "1")), Some(("C", "1")));
        // B is wrong in the first file, so B of the second is held against the first row that counts.
        assert_eq!(found, [a, a, c, c, a, a]);
        let text = table(&rows);
        let cells: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(cells[1], ["B", "1", "WRONG"]);
        assert_eq!(cells[4][..4], ["C", "2", "60.0", "1.50"]);
        assert_eq!(cells[5][2..4], ["20.0", "2.00"]);
        assert_eq!((cells[4].last(), &cells[5][cells[5].len() - 2..]), (Some(&"1"), &["A,", "1"][..]));
        assert_eq!(chart("m", &rows).bars[3].value, "1.50 (60.0)");
        assert_eq!(chart("m", &rows).bars[0].value, "WRONG");
        assert!(baseline(&rows[..1], &rows[0]).is_none());
    }
}
