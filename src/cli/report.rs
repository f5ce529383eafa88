//! What all commands print: digests and progress.

use std::fmt::Write as _;
use std::io::Write as _;

use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use super::Failure;

/// SHA-256 in hexadecimal.
pub(super) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
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

/// Prints to standard output, where results go.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::stdout)
}

/// A value as JSON.
pub(super) fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::stdout(error.into()))?;
    print(&(text + "\n"))
}

/// A bar on standard error; indicatif draws none where that is not a terminal.
pub(super) fn progress(count: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} images, {per_sec}, {eta} left");
    let bar = ProgressBar::new(count);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// "1 image", "2 images".
pub(super) fn images(count: u64) -> String {
    format!("{count} image{}", if count == 1 { "" } else { "s" })
}
