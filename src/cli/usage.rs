//! What clap has to say: help as it is, errors as one line like all others.

use std::io::Write;
use std::process::ExitCode;

use clap::error::{ContextValue, ErrorKind};

use super::Failure;
use super::say::{one_line, say, say_all};

pub(super) fn refuse(error: clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let printed = error.print().and_then(|()| std::io::stdout().flush()).map_err(Failure::stdout);
            return printed.map_or_else(|failure| failure.tell(), |()| ExitCode::SUCCESS);
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            say_all(error.to_string());
        }
        _ => say(line(error)),
    }
    ExitCode::from(2)
}

/// The first paragraph as one line. An argument may hold empty lines, too, so they are taken out of it before.
pub(super) fn line(mut error: clap::Error) -> String {
    let odd = |text: &String| one_line(text) != *text;
    let known: Vec<_> = error.context().map(|(kind, value)| (kind, value.clone())).collect();
    for (kind, value) in known {
        match value {
            ContextValue::String(text) if odd(&text) => {
                error.insert(kind, ContextValue::String(one_line(&text)));
            }
            ContextValue::Strings(texts) if texts.iter().any(odd) => {
                error.insert(kind, ContextValue::Strings(texts.iter().map(|text| one_line(text)).collect()));
            }
            _ => {}
        }
    }
    let text = error.to_string();
    let problem = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
    let lines = problem.lines().map(str::trim).collect::<Vec<_>>();
    format!("{} (see --help)", lines.join(" "))
}
