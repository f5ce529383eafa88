//! Doors for the programs of `fuzz/`: where strangers' bytes go, without files, devices and standard output. Each gives
//! the line that a person would read where the bytes are refused.

use std::ffi::OsString;
use std::path::Path;

use clap::CommandFactory;
use fsvae::{Checkpoint, Latents, Network};

use super::bench::compare::{add, chart};
use super::bench::plot::svg;
use super::formats::Format;
use super::latents_file::{bytes, parse};
use super::maker::AnyModel;
use super::model::Identity;
use super::output::{Pattern, Placeholder};
use super::say::message;
use super::{Arguments, Failure, usage};

fn line(failure: Failure) -> String {
    assert_eq!(failure.code(), 2, "{failure}");
    message(&failure.to_string())
}

/// The words of a command, its own name first, and all that is checked before a file is touched.
pub fn arguments(words: &[OsString]) -> Result<(), String> {
    let arguments = usage::read(words).map_err(|error| message(&usage::line(error)))?;
    for path in words.iter().map(Path::new) {
        let _ = Format::of_path(path).map(|format| format.check(path, u64::MAX, 1));
        if let Ok(pattern) = Pattern::new(path, Some(Placeholder::Index)) {
            assert_eq!(pattern.is_plain(), pattern.path(0) == pattern.path(u64::MAX));
            assert!(pattern.path(7).starts_with(pattern.directory()));
        }
    }
    arguments.command.check().map_err(line)
}

/// A command for every option that there is, with each value that it may have, or a number.
pub fn command_lines() -> Vec<Vec<String>> {
    let mut lines = Vec::new();
    add_lines(&Arguments::command(), &[], &mut lines);
    lines
}

fn add_lines(command: &clap::Command, above: &[String], lines: &mut Vec<Vec<String>>) {
    let here = [above, &[command.get_name().to_owned()]].concat();
    lines.push(here.clone());
    for argument in command.get_arguments() {
        let option = argument.get_long().map(|name| format!("--{name}"));
        let values = argument.get_possible_values();
        let values = values.iter().map(|value| value.get_name().to_owned()).chain(["1".into()]);
        lines.extend(values.map(|value| here.iter().cloned().chain(option.clone()).chain([value]).collect()));
    }
    command.get_subcommands().for_each(|below| add_lines(below, &here, lines));
}

/// Whose latents are read.
pub struct Model {
    network: Network,
    identity: Identity,
}

impl Model {
    pub fn new(checkpoint: &Checkpoint<'_>) -> fsvae::Result<Self> {
        let network = Network::new(checkpoint)?;
        Ok(Model { identity: Identity::new("tiny".into(), checkpoint, &network), network })
    }

    /// A latents file.
    pub fn latents(&self, file: &[u8]) -> Result<Latents, String> {
        let maker = AnyModel::default().maker(&self.identity);
        parse(Path::new("z"), file, self.network.architecture(), &maker).map_err(line)
    }

    /// The file of some latents.
    pub fn latents_file(&self, latents: &Latents) -> Vec<u8> {
        bytes(latents, &self.identity).expect("latents")
    }
}

/// Files of `fsvae bench --json`: what `fsvae bench compare` prints, and its plot.
pub fn compare<'a>(files: impl IntoIterator<Item = &'a [u8]>) -> Result<(String, String), String> {
    let mut comparison = fsvae::bench::Comparison::default();
    for (number, bytes) in files.into_iter().enumerate() {
        add(&mut comparison, Path::new(&number.to_string()), bytes).map_err(line)?;
    }
    Ok((comparison.text(), svg(&[chart(&comparison)]).expect("a plot")))
}
