//! Doors for `fuzz/`, which compiles the command line into the library (`--cfg fuzzing`). Nothing here reads or writes a
//! file, or runs a command.

use std::ffi::OsString;
use std::path::Path;

use clap::Parser;

use super::bench::{Report, compare_one};
use super::{Arguments, latents_file, one_line_of, output, say};
use crate::Network;

/// A command line without the program's name: parsed, or refused in one line.
pub fn arguments(words: Vec<OsString>) {
    if let Err(error) = Arguments::try_parse_from(std::iter::once("fsvae".into()).chain(words.iter().cloned())) {
        is_a_line(&one_line_of(&error));
    }
    // What a word means as the name of a file.
    for word in &words {
        if let Err(failure) = output::format(Path::new(word)) {
            is_a_line(&failure.to_string());
        }
    }
}

/// A latents file, held against a network.
pub fn latents(bytes: &[u8], network: &Network) {
    let _ = latents_file::parse(bytes, Path::new("fuzz"), network.architecture());
}

/// A file of `fsvae bench --json`, compared with itself.
pub fn compare(bytes: &[u8]) {
    if let Ok(report) = Report::parse(bytes) {
        let _ = compare_one(report);
    }
}

fn is_a_line(text: &str) {
    assert!(!say::one_line(text).contains(['\n', '\r']), "{text:?}");
}
