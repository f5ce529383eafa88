//! Running the command line.

use std::path::Path;
use std::process::{Command, Output};

/// The command in an empty directory of its own, without the variables that choose what it runs on and
/// without the user's cache.
pub fn fsvae(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fsvae"));
    command.current_dir(directory).env_remove("WGPU_BACKEND").env_remove("WGPU_ADAPTER_NAME");
    command.env_remove("FSVAE_CPU").env_remove("RAYON_NUM_THREADS").env_remove("FSVAE_DRIVER_MESSAGES");
    command.env("FSVAE_CACHE_DIR", "");
    command
}

/// What it said on standard error. What graphics drivers say there is not heard.
pub fn messages(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().map(Into::into).collect()
}

/// Expects one line on standard error with all of `parts`, the exit code, silence on standard
/// output, and that `directory` holds nothing but `files`.
pub fn assert_refused(output: &Output, code: i32, parts: &[&str], directory: &Path, files: &[&str]) {
    let messages = messages(output);
    let [line] = &messages[..] else { panic!("expected one line, found {messages:#?}") };
    for part in parts {
        assert!(line.contains(part), "expected \"{part}\" in: {line}");
    }
    assert!(line.starts_with("fsvae: "), "{line}");
    assert_eq!(output.status.code(), Some(code), "{line}");
    assert!(output.stdout.is_empty(), "{line}");
    assert_eq!(entries(directory), files, "left behind after: {line}");
}

/// The names in a directory, sorted.
pub fn entries(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("the directory");
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<String> = entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}
