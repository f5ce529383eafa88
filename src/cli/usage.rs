//! What clap has to say: help as it is, errors as one line like all others.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::num::NonZeroUsize;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches};

use super::model::number;
use super::say::{one_line, say, say_all};
use super::{Arguments, Failure, standard_output};

pub(super) fn refuse(error: clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            return print(&error).map_or_else(|failure| failure.tell(), |()| ExitCode::SUCCESS);
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            say_all(error.to_string());
        }
        _ => say(line(error)),
    }
    ExitCode::from(2)
}

/// Help. On a terminal it may have colours, which is for clap to know.
fn print(help: &clap::Error) -> Result<(), Failure> {
    if std::io::stdout().is_terminal() {
        return help.print().and_then(|()| std::io::stdout().flush()).map_err(Failure::stdout);
    }
    standard_output::write(help.to_string().as_bytes())
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
    let suggested = suggestion(&error).map(|text| format!("; did you mean {text}?")).unwrap_or_default();
    let text = error.to_string();
    let problem = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
    let lines = problem.lines().map(str::trim).collect::<Vec<_>>();
    format!("{}{suggested} (see --help)", lines.join(" "))
}

/// What is nearly that what was given.
fn suggestion(error: &clap::Error) -> Option<String> {
    let kinds = [ContextKind::SuggestedArg, ContextKind::SuggestedValue, ContextKind::SuggestedSubcommand];
    kinds.into_iter().find_map(|kind| match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) if !texts.is_empty() => Some(texts.join(" or ")),
        _ => None,
    })
}

/// A number that is not 0, as all numbers decimal or hexadecimal.
pub(super) fn positive(text: &str) -> Result<NonZeroUsize, String> {
    let number = number(text).ok().and_then(|number| usize::try_from(number).ok());
    number.and_then(NonZeroUsize::new).ok_or_else(|| format!("expected a number from 1 to {}", usize::MAX))
}

/// A number that is not too small.
pub(super) fn at_least<const LEAST: u64>(text: &str) -> Result<u64, String> {
    let found = number(text).ok().filter(|&number| number >= LEAST);
    found.ok_or_else(|| format!("expected a number from {LEAST} to {}", u64::MAX))
}

/// A text to look for: an empty one would be found everywhere.
pub(super) fn some_text(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("expected a number or a text".into()) } else { Ok(text.to_owned()) }
}

/// Reads a command line. A value may begin with a minus: that it is out of range is what there is to say of it.
pub(super) fn read(
    words: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<Arguments, clap::Error> {
    fn with_numbers(command: clap::Command) -> clap::Command {
        let option = |argument: clap::Arg| {
            let takes = argument.get_long().is_some() && argument.get_action().takes_values();
            argument.allow_negative_numbers(takes)
        };
        command.mut_args(option).mut_subcommands(with_numbers)
    }
    let mut command = with_numbers(Arguments::command());
    let mut found = command.try_get_matches_from_mut(words)?;
    Arguments::from_arg_matches_mut(&mut found).map_err(|error| error.format(&mut command))
}
