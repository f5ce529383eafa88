//! Reports of one model, side by side.

use super::schema::{Measured, Outcome, Point, Report};
use super::statistics::{Summary, median};
use super::text::{columns, digits, one_line, si, time};

/// More backends than anybody looks at. As bars of a PNG they take half a gigabyte.
const MOST_ROWS: usize = 1000;

/// Reports of one model, each with its name; the first is what the others are held against.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    reports: Vec<(String, Report)>,
}

/// A backend of a report.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Compared {
    /// Its name.
    pub backend: String,
    /// Name of the report.
    pub report: String,
    /// How fast it is, or in a word why that is not known.
    pub speed: Result<Speed, &'static str>,
}

/// How fast a backend is. Times are in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Speed {
    /// At the best batch.
    pub images_per_second: f64,
    /// The best batch.
    pub batch: usize,
    /// Median of an image that is made alone.
    pub latency: f64,
    /// Its 99th percentile.
    pub p99: f64,
    /// From opening the device to the first image.
    pub cold_start: f64,
}

impl Comparison {
    /// The next report, of the same model as the first.
    ///
    /// # Errors
    /// What was expected and what was found, in one line, if it is of another model, or there are too many backends.
    pub fn add(&mut self, name: &str, report: Report) -> Result<(), String> {
        if let Some((first_name, first)) = self.reports.first()
            && first.model.sha256 != report.model.sha256
        {
            return Err(format!(
                "expected model {} (SHA-256 {}) as in {first_name}, found {} (SHA-256 {})",
                first.model.name, first.model.sha256, report.model.name, report.model.sha256
            ));
        }
        let before: usize = self.reports.iter().map(|(_, report)| report.results.len()).sum();
        let all = before + report.results.len();
        if all > MOST_ROWS {
            return Err(format!(
                "expected at most {MOST_ROWS} backends in all files, found {all} up to here"
            ));
        }
        self.reports.push((one_line(name), report));
        Ok(())
    }

    /// The model's name; empty without reports.
    pub fn model(&self) -> String {
        self.reports.first().map_or_else(String::new, |(_, report)| one_line(&report.model.name))
    }

    /// All backends of all reports.
    pub fn rows(&self) -> Vec<Compared> {
        let rows = |(name, report): &(String, Report)| {
            report.results.iter().map(|result| Compared::new(result, name)).collect::<Vec<_>>()
        };
        self.reports.iter().flat_map(rows).collect()
    }

    /// A table, with ratios.
    pub fn text(&self) -> String {
        let mut text = format!("model  {}\n\n{}", self.model(), table(&self.rows()));
        for (file, _) in self.reports.iter().filter(|(_, report)| report.options.quick) {
            text +=
                &format!("\n{file} was made with --quick: it shows that all works, not how fast it is.\n");
        }
        text
    }
}

impl Compared {
    fn new(result: &Measured, report: &str) -> Self {
        let speed = match &result.outcome {
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
        Compared { backend: one_line(&result.backend), report: report.into(), speed }
    }

    /// What it is held against, and that one's speed: the same backend in the first report of `rows`, or else the first that
    /// has a speed.
    pub fn against<'r>(&self, rows: &'r [Compared]) -> Option<(&'r Compared, Speed)> {
        let first = &rows.first()?.report;
        let with_speed = || rows.iter().filter_map(|row| Some((row, row.speed.ok()?)));
        with_speed()
            .find(|(other, _)| other.report == *first && other.backend == self.backend)
            .or_else(|| with_speed().next())
    }

    /// How it names what it is held against: by the report, if that is all that differs.
    pub fn naming(&self, base: &Compared) -> String {
        if base.backend == self.backend {
            base.report.clone()
        } else {
            format!("{}, {}", base.backend, base.report)
        }
    }
}

/// Empty where there is nothing to divide by.
fn ratio(value: f64, base: f64) -> String {
    if base > 0.0 { digits(value / base) } else { String::new() }
}

fn table(rows: &[Compared]) -> String {
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
        let mut line = vec![row.backend.clone(), row.report.clone()];
        match (row.speed, row.against(rows)) {
            (Ok(speed), Some((against, base))) => line.extend([
                si(speed.images_per_second),
                ratio(speed.images_per_second, base.images_per_second),
                speed.batch.to_string(),
                time(speed.latency),
                ratio(speed.latency, base.latency),
                time(speed.p99),
                time(speed.cold_start),
                row.naming(against),
            ]),
            (Err(why), _) => line.push(why.into()),
            (Ok(_), None) => {}
        }
        cells.push(line);
    }
    columns(2, &cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(backend: &str, report: &str, rate: f64) -> Compared {
        let speed =
            Speed { images_per_second: rate, batch: 1, latency: 1e9 / rate, p99: 0.0, cold_start: 0.0 };
        Compared { backend: backend.into(), report: report.into(), speed: Ok(speed) }
    }

    #[test]
    fn ratios_are_of_the_same_backend_or_of_the_first_row() {
        let wrong = Compared { backend: "B".into(), report: "1".into(), speed: Err("WRONG") };
        let rows = [
            wrong,
            row("A", "1", 10.0),
            row("C", "1", 40.0),
            row("C", "2", 60.0),
            row("B", "2", 20.0),
            row("A", "2", 5.0),
        ];
        let base = |at: usize| {
            rows[at].against(&rows).map(|(base, _)| (base.backend.as_str(), base.report.as_str()))
        };
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
        assert!(rows[0].against(&rows[..1]).is_none());
    }
}
