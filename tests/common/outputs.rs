//! A folder with two small models, and the program run in it.

use std::path::Path;
use std::process::{Command, Output};

use fsvae::{Checkpoint, Generator, Images, Network};

use crate::common::command::{assert_refused, entries, fsvae, messages};
use crate::common::{RandomModel, TINY};

/// RGB like TINY.
pub(crate) const RGB: RandomModel = RandomModel { channels: 3, ..TINY };
pub(crate) const MODELS: [&str; 2] = ["rgb.safetensors", "tiny.safetensors"];

/// A directory with two small models, a grey one and one in colour.
pub(crate) fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("tiny.safetensors"), TINY.bytes()).expect("written");
    std::fs::write(directory.path().join("rgb.safetensors"), RGB.bytes()).expect("written");
    directory
}

pub(crate) fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = fsvae(directory);
    command.args(arguments);
    if !arguments.contains(&"--model") {
        command.args(["--model", "tiny.safetensors"]);
    }
    command.args(["--backend", "cpu"]);
    command
}

pub(crate) fn run(directory: &Path, arguments: &[&str]) -> Output {
    command(directory, arguments).output().expect("it runs")
}

/// What it wrote to standard output, where it must succeed.
pub(crate) fn stdout(output: &Output) -> Vec<u8> {
    assert!(output.status.success(), "{:?}", messages(output));
    output.stdout.clone()
}

pub(crate) fn images(model: &RandomModel, count: u64) -> Images {
    let bytes = model.bytes();
    let network = Network::new(&Checkpoint::from_bytes(&bytes).expect("a checkpoint")).expect("valid");
    Generator::builder(&network).cpu().generate(0, 0..count).expect("images")
}

/// The entries of a directory but for the models.
pub(crate) fn listing(directory: &Path) -> Vec<String> {
    let mut names = entries(directory);
    names.retain(|name| !MODELS.contains(&name.as_str()));
    names
}

/// Refused before anything is made, with a line that has all of `parts`.
pub(crate) fn refused(directory: &Path, arguments: &[&str], parts: &[&str]) {
    let before = listing(directory);
    let mut files: Vec<&str> = MODELS.into_iter().chain(before.iter().map(String::as_str)).collect();
    files.sort_unstable();
    assert_refused(&run(directory, arguments), 2, parts, directory, &files);
}
