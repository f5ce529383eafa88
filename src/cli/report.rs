//! What all commands print: results, and progress while there are none.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

pub(super) use fsvae::bench::digest;

pub(super) use super::progress::progress;
use super::{Failure, say, standard_output};

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
        text
    })
}

/// Prints "INDEX SHA256" lines, a batch at a time, so that whoever reads the other end of the pipe sees
/// them as they come.
pub(super) fn print_digests<'a>(images: impl Iterator<Item = (u64, &'a [u8])>) -> Result<(), Failure> {
    let lines: String = images.map(|(index, pixels)| format!("{index} {}\n", digest(pixels))).collect();
    print(&lines)
}

/// Prints to standard output, where results go. Where that is a terminal, they are the progress to see from now on.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    if std::io::stdout().is_terminal() {
        say::end_bars();
    }
    standard_output::write(text.as_bytes())
}

/// The same with more to come: a bar is shown again below.
pub(super) fn print_row(text: &str) -> Result<(), Failure> {
    if std::io::stdout().is_terminal() {
        say::hide_bar();
    }
    standard_output::write(text.as_bytes())
}

/// A value as JSON.
pub(super) fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::stdout(error.into()))?;
    print(&(text + "\n"))
}

/// "1 image", "2 images".
pub(super) fn images(count: u64) -> String {
    format!("{count} image{}", if count == 1 { "" } else { "s" })
}
