//! Standard error is ours: messages go to it through [`say`](super::say), and what libraries of drivers write there goes
//! nowhere, from complaints about `XDG_RUNTIME_DIR` to warnings of Mesa, which tell a user nothing. A driver cannot stop
//! the work, either, by writing to a pipe that nobody empties.
//!
//! On Unix, file descriptor 2 is `/dev/null` from the first line of `main` on, and a copy of what it was is kept. That is
//! a matter of two system calls before there is a second thread: no environment variable is set behind the back of one,
//! and it holds for every driver, whatever it writes and when. What it costs: the last words of a driver that ends the
//! whole process are not seen; [`crash`](super::crash) says that it did. `FSVAE_DRIVER_MESSAGES=1` shows everything, and so do the variables with which drivers
//! are debugged.

use std::io::IsTerminal;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};

#[cfg(unix)]
use super::descriptor::write_all;

/// What a person sets who wants to read a driver's messages.
const DEBUGGING: [&str; 6] =
    ["FSVAE_DRIVER_MESSAGES", "VK_LOADER_DEBUG", "LIBGL_DEBUG", "EGL_LOG_LEVEL", "MESA_DEBUG", "NIR_DEBUG"];

/// Columns of a terminal that does not tell.
const COLUMNS: u16 = 80;

#[cfg(unix)]
mod kept {
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::sync::OnceLock;

    /// What standard error was.
    pub(super) static KEPT: OnceLock<File> = OnceLock::new();

    pub(super) fn take() -> std::io::Result<()> {
        let nowhere = File::options().write(true).open("/dev/null")?;
        let ours = std::io::stderr().as_fd().try_clone_to_owned()?;
        rustix::stdio::dup2_stderr(&nowhere)?;
        let _ = KEPT.set(ours.into());
        Ok(())
    }
}

/// Takes standard error away from drivers. Called once, before anything else.
pub(super) fn take() {
    let set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    if DEBUGGING.iter().any(set) {
        return;
    }
    // Without it, drivers are heard, and all else is as it was.
    #[cfg(unix)]
    let _ = kept::take();
}

/// What standard error was, where it was taken away. It is async-signal-safe.
#[cfg(unix)]
pub(super) fn kept() -> Option<BorrowedFd<'static>> {
    kept::KEPT.get().map(AsFd::as_fd)
}

/// Writes all of it.
#[cfg(unix)]
pub(super) fn write(bytes: &[u8]) -> std::io::Result<()> {
    match kept() {
        Some(kept) => write_all(kept, bytes),
        None => write_all(std::io::stderr().lock(), bytes),
    }
}

/// Writes all of it.
#[cfg(not(unix))]
pub(super) fn write(bytes: &[u8]) -> std::io::Result<()> {
    std::io::Write::write_all(&mut std::io::stderr(), bytes)
}

/// True where a bar can be drawn.
pub(super) fn is_terminal() -> bool {
    if std::env::var_os("TERM").is_some_and(|kind| kind == "dumb") {
        return false;
    }
    #[cfg(unix)]
    if let Some(kept) = kept::KEPT.get() {
        return kept.is_terminal();
    }
    std::io::stderr().is_terminal()
}

/// Columns of the terminal.
pub(super) fn width() -> usize {
    let size = || {
        #[cfg(unix)]
        if let Some(kept) = kept::KEPT.get() {
            return terminal_size::terminal_size_of(kept);
        }
        terminal_size::terminal_size_of(std::io::stderr())
    };
    size().map_or(COLUMNS, |(width, _)| width.0).into()
}
