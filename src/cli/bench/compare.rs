//! `fsvae bench compare`.

use std::path::PathBuf;

use super::measure::{best, images_per_second};
use super::plot::{Bar, Chart, Output};
use super::schema::{Measured, Outcome, Report};
use super::statistics::{Summary, median};
use super::text::{columns, digits, si, time};
use crate::cli::Failure;
use crate::cli::output::Files;
use crate::cli::report::print;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Files of `fsvae bench --json`, all of one model; the first is what the others are held against
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Also draw the ratios into this file, .svg or .png
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// A backend of a file.
struct Row<'a> {
    backend: &'a str,
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
    let mut reports: Vec<Report> = Vec::new();
    for path in &arguments.files {
        let report = Report::read(path)?;
        if let (Some(first), Some(name)) = (reports.first(), arguments.files.first())
            && first.model.sha256 != report.model.sha256
        {
            return Err(Failure::Input(format!(
                "{}: expected model {} (SHA-256 {}) as in {}, found {} (SHA-256 {})",
                path.display(),
                first.model.name,
                first.model.sha256,
                name.display(),
                report.model.name,
                report.model.sha256
            )));
        }
        reports.push(report);
    }
    let files: Vec<String> = arguments.files.iter().map(|path| path.display().to_string()).collect();
    let rows: Vec<Row<'_>> = (reports.iter().zip(&files))
        .flat_map(|(report, file)| report.results.iter().map(|result| Row::new(result, file)))
        .collect();
    let model = reports.first().map_or("", |report| report.model.name.as_str());
    let mut text = format!("model  {model}\n\n{}", table(&rows));
    for (report, file) in reports.iter().zip(&files) {
        if report.options.quick {
            text +=
                &format!("\n{file} was made with --quick: it shows that all works, not how fast it is.\n");
        }
    }
    print(&text)?;
    output.map_or(Ok(()), |output| output.write(&[chart(model, &rows)]))
}

impl<'a> Row<'a> {
    fn new(result: &'a Measured, file: &str) -> Self {
        let outcome = match &result.outcome {
            Outcome::Wrong { .. } => Err("WRONG"),
            Outcome::Failed { .. } => Err("failed"),
            Outcome::Interrupted(_) => Err("interrupted"),
            Outcome::Ok(scores) => best(&scores.throughput).ok_or("not measured").map(|point| Speed {
                images_per_second: images_per_second(point),
                batch: point.batch,
                latency: median(&scores.latency_ns),
                p99: Summary::of(&scores.latency_ns).map_or(0.0, |summary| summary.p99),
                cold_start: scores.cold_start_ns as f64,
            }),
        };
        Row { backend: &result.backend, file: file.into(), outcome }
    }
}

/// What a row is held against: the same backend in the first file, or else the first row that has a speed.
fn baseline<'r>(rows: &'r [Row<'_>], row: &Row<'_>) -> Option<&'r Row<'r>> {
    let first = &rows.first()?.file;
    let with_speed = || rows.iter().filter(|row| row.outcome.is_ok());
    with_speed()
        .find(|other| other.file == *first && other.backend == row.backend)
        .or_else(|| with_speed().next())
}

/// How a row names what it is held against: by the file, if that is all that differs.
fn shown(base: &Row<'_>, row: &Row<'_>) -> String {
    if base.backend == row.backend { base.file.clone() } else { format!("{}, {}", base.backend, base.file) }
}

fn table(rows: &[Row<'_>]) -> String {
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
        let mut line = vec![row.backend.to_owned(), row.file.clone()];
        match (&row.outcome, baseline(rows, row)) {
            (Ok(speed), Some(against @ Row { outcome: Ok(base), .. })) => line.extend([
                si(speed.images_per_second),
                digits(speed.images_per_second / base.images_per_second),
                speed.batch.to_string(),
                time(speed.latency),
                digits(speed.latency / base.latency),
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

fn chart(model: &str, rows: &[Row<'_>]) -> Chart {
    let bar = |row: &Row<'_>| {
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

    fn row(backend: &'static str, file: &str, rate: f64) -> Row<'static> {
        let speed =
            Speed { images_per_second: rate, batch: 1, latency: 1e9 / rate, p99: 0.0, cold_start: 0.0 };
        Row { backend, file: file.into(), outcome: Ok(speed) }
    }

    #[test]
    fn ratios_are_of_the_same_backend_or_of_the_first_row() {
        let wrong = Row { backend: "B", file: "1".into(), outcome: Err("WRONG") };
        let rows = [
            wrong,
            row("A", "1", 10.0),
            row("C", "1", 40.0),
            row("C", "2", 60.0),
            row("B", "2", 20.0),
            row("A", "2", 5.0),
        ];
        let base = |at: usize| baseline(&rows, &rows[at]).map(|row| (row.backend, row.file.as_str()));
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
