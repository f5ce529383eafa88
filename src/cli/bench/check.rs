//! `fsvae bench check`: what comes from elsewhere is looked at before it is believed.

use std::path::PathBuf;

use fsvae::bench::schema::Report;

use crate::cli::Failure;
use crate::cli::input::{read_file, read_once};
use crate::cli::report::print;
use crate::cli::say::one_line;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Files of `fsvae bench --json`, or - for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

impl Arguments {
    pub(super) fn check(&self) -> Result<(), Failure> {
        read_once(self.files.iter().map(PathBuf::as_path))
    }
}

/// A line a file; the exit code says the worst that there was.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (mut good, mut implausible, mut unreadable) = (0, 0, 0);
    for path in &arguments.files {
        let (line, count) = match read_file(path).map(|bytes| Report::parse(&bytes)) {
            Err(failure) => (failure.to_string(), &mut unreadable),
            Ok(Err(problem)) => (format!("{}: {problem}", path.display()), &mut unreadable),
            Ok(Ok(report)) => {
                let problems = report.problems()?;
                let count = if problems.is_empty() { &mut good } else { &mut implausible };
                (format!("{}: {}", path.display(), judge(&report, &problems)), count)
            }
        };
        *count += 1;
        print(&(one_line(&line) + "\n"))?;
    }
    let all = good + implausible + unreadable;
    match (unreadable, implausible) {
        (0, 0) => Ok(()),
        (0, bad) => Err(Failure::Partial(format!("{bad} of {all} files cannot be believed"))),
        (bad, _) => Err(Failure::Input(format!(
            "{bad} of {all} files cannot be read as those of `fsvae bench --json`"
        ))),
    }
}

fn judge(report: &Report, problems: &[String]) -> String {
    if !problems.is_empty() {
        return format!("IMPLAUSIBLE: {}", problems.join("; "));
    }
    let scored = report.results.iter().filter(|result| result.scores().is_some()).count();
    let quick = if report.options.quick { "; made with --quick, which is no record" } else { "" };
    let (model, all) = (&report.model.name, report.results.len());
    format!("good: {model}, {scored} of {all} backends measured{quick}")
}
