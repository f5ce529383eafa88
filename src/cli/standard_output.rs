//! Standard output: where results go. What cannot be written there is an error, unlike on standard error.

use std::sync::atomic::{AtomicBool, Ordering};

use super::Failure;
#[cfg(unix)]
use super::descriptor::write_all;

/// Whether the program was started without a standard output. Rust opens `/dev/null` in its place before `main`, and
/// results would be lost without a word. That one cannot be told from a `/dev/null` that was given on purpose, such as
/// Python's `subprocess.DEVNULL`, so it is looked at before Rust does anything.
static IS_CLOSED: AtomicBool = AtomicBool::new(false);

#[cfg(any(target_os = "linux", target_os = "macos"))]
mod before_main {
    #![expect(unsafe_code, reason = "no safe attribute has a function run before `main`")]

    use std::sync::atomic::Ordering;

    // SAFETY: the section holds functions of this type, which the loader calls once, when there is one thread. This one
    // needs nothing of Rust's runtime, which is not there yet: it makes a system call and writes to an atomic.
    #[used]
    #[cfg_attr(target_os = "linux", unsafe(link_section = ".init_array"))]
    #[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__mod_init_func"))]
    static LOOK: extern "C" fn() = look;

    extern "C" fn look() {
        let closed = rustix::io::fcntl_getfd(rustix::stdio::stdout()) == Err(rustix::io::Errno::BADF);
        super::IS_CLOSED.store(closed, Ordering::Relaxed);
    }
}

/// An error if there is none.
pub(super) fn check() -> Result<(), Failure> {
    if IS_CLOSED.load(Ordering::Relaxed) { Err(Failure::NoOutput) } else { Ok(()) }
}

/// Writes all of it at once: nothing is kept for later.
pub(super) fn write(bytes: &[u8]) -> Result<(), Failure> {
    check()?;
    write_all(std::io::stdout().lock(), bytes).map_err(Failure::stdout)
}

#[cfg(not(unix))]
fn write_all(mut stdout: std::io::StdoutLock<'_>, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    stdout.write_all(bytes).and_then(|()| stdout.flush())
}
