//! `fsvae bench check`: what comes from elsewhere is looked at before it is believed.

use std::path::PathBuf;

use fsvae::bench::schema::Report;

use crate::cli::Failure;
use crate::cli::input::read_file;
use crate::cli::report::print;
use crate::cli::say::one_line;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Files of `fsvae bench --json`, or - for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// What a file is.
enum Finding {
    Good(String),
    Implausible(String),
    Unreadable(String),
}

/// A line a file; the exit code says the worst that there was.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (mut implausible, mut unreadable) = (0, 0);
    for path in &arguments.files {
        let finding = match read_file(path).map(|bytes| Report::parse(&bytes)) {
            Err(failure) => Finding::Unreadable(failure.to_string()),
            Ok(Err(problem)) => Finding::Unreadable(format!("{}: {problem}", path.display())),
            Ok(Ok(report)) => judge(&path.display().to_string(), &report)?,
        };
        let line = match finding {
            Finding::Good(line) => line,
            Finding::Implausible(line) => {
                implausible += 1;
                line
            }
            Finding::Unreadable(line) => {
                unreadable += 1;
                line
            }
        };
        print(&(one_line(&line) + "\n"))?;
    }
    let all = arguments.files.len();
    match (unreadable, implausible) {
        (0, 0) => Ok(()),
        (0, bad) => Err(Failure::Partial(format!("{bad} of {all} files cannot be believed"))),
        (bad, _) => Err(Failure::Input(format!("{bad} of {all} files are no files of `fsvae bench --json`"))),
    }
}

fn judge(file: &str, report: &Report) -> Result<Finding, Failure> {
    let problems = report.problems()?;
    if !problems.is_empty() {
        return Ok(Finding::Implausible(format!("{file}: IMPLAUSIBLE: {}", problems.join("; "))));
    }
    let scored = report.results.iter().filter(|result| result.scores().is_some()).count();
    let quick = if report.options.quick { "; made with --quick, which is no record" } else { "" };
    let (model, all) = (&report.model.name, report.results.len());
    Ok(Finding::Good(format!("{file}: good: {model}, {scored} of {all} backends measured{quick}")))
}
