//! Ended from inside: a driver that calls `abort`, memory that runs out, an address that leads nowhere. Whoever knows why
//! writes it to a standard error that is `/dev/null` (see [`standard_error`]), so one line is said instead; what was
//! measured until then goes to standard output, and files that are not finished are removed.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is to go to standard output, each with all that was in those before.
static LAST_WORDS: [OnceLock<Vec<u8>>; 256] = [const { OnceLock::new() }; 256];
static IS_SAID: AtomicBool = AtomicBool::new(false);
/// Whether graphics drivers were asked for anything.
static DRIVERS: AtomicBool = AtomicBool::new(false);

/// Drivers are about to be loaded: from here on they may be to blame.
pub(super) fn meets_drivers() {
    DRIVERS.store(true, Ordering::SeqCst);
}

/// Has this written to standard output should the program end from inside, instead of what was given before.
pub(super) fn set_last_words(words: Vec<u8>) {
    // They are kept for ever, for a handler may read them at any time. That is some results, not many.
    let _ = LAST_WORDS.iter().try_fold(words, |words, place| place.set(words).map_or_else(Ok, |()| Err(())));
}

/// They are said now, by whoever has them whole.
pub(super) fn forget_last_words() {
    IS_SAID.store(true, Ordering::SeqCst);
}

#[cfg(unix)]
fn last_words() -> Option<&'static [u8]> {
    if IS_SAID.load(Ordering::SeqCst) {
        return None;
    }
    LAST_WORDS.iter().map_while(OnceLock::get).last().map(Vec::as_slice)
}

/// Nothing is known of other systems.
#[cfg(not(unix))]
pub(super) fn listen() {}

#[cfg(unix)]
pub(super) use handler::listen;

#[cfg(unix)]
mod handler {
    use std::sync::OnceLock;
    use std::sync::atomic::Ordering;

    use rustix::event::Timespec;
    use signal_hook::consts::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV};
    use signal_hook::low_level::emulate_default_handler;

    use super::{DRIVERS, last_words};
    use crate::cli::output::unlink_temporaries;
    use crate::cli::{descriptor, standard_error};

    /// How long a reader of standard error may take.
    const PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

    /// What is said of each signal, without drivers and with them, made beforehand.
    static LINES: OnceLock<[(i32, [String; 2]); 5]> = OnceLock::new();

    /// Listens, where standard error is ours; elsewhere whoever ends the program is heard.
    pub(in crate::cli) fn listen() {
        if standard_error::kept().is_none() {
            return;
        }
        let line = |signal: i32| {
            let ended = format!("fsvae: the program was ended from inside (signal {signal})");
            let alone = if signal == SIGABRT {
                "no memory was left, most likely; a smaller --batch or fewer threads (RAYON_NUM_THREADS) take less"
            } else {
                "this is a bug of fsvae or damaged memory; no GPU was in use"
            };
            let driver = "a driver, or no memory; FSVAE_DRIVER_MESSAGES=1 shows what it said, --backend cpu does \
                          without GPUs";
            (signal, [alone, driver].map(|why| format!("{ended}: {why}\n")))
        };
        let signals = [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV];
        let _ = LINES.set(signals.map(line));
        signals.into_iter().for_each(handle);
    }

    #[expect(unsafe_code, reason = "no crate takes these signals safely")]
    fn handle(signal: i32) {
        // SAFETY: all fields of an action may be zero: no flags, an empty mask. Without SA_SIGINFO a handler has the type
        // of `on_signal`, and that only does what may be done in one. SA_ONSTACK: the stack may be what has run out.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_signal as extern "C" fn(i32) as *const () as usize;
            action.sa_flags = libc::SA_ONSTACK | libc::SA_RESETHAND | libc::SA_NODEFER;
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }

    /// Everything here is async-signal-safe: system calls, atomics, and memory that is there already. It takes no lock and
    /// asks for no memory.
    extern "C" fn on_signal(signal: i32) {
        let line = LINES.get().and_then(|lines| lines.iter().find(|(number, _)| *number == signal));
        if let (Some((_, lines)), Some(kept)) = (line, standard_error::kept())
            && let line = &lines[usize::from(DRIVERS.load(Ordering::SeqCst))]
            && descriptor::is_ready(kept, Some(&PATIENCE)) == Ok(true)
        {
            let _ = rustix::io::write(kept, line.as_bytes());
        }
        unlink_temporaries();
        if let Some(words) = last_words() {
            let _ = descriptor::write_all(rustix::stdio::stdout(), words);
        }
        let _ = emulate_default_handler(signal);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_the_last() {
        assert_eq!(last_words(), None);
        for words in ["one", "one, two"] {
            set_last_words(words.into());
            assert_eq!(last_words(), Some(words.as_bytes()));
        }
        forget_last_words();
        assert_eq!(last_words(), None);
    }
}
