//! Told to end (Ctrl-C, `kill`, a terminal that is closed, a limit of time), the program removes what is not finished and
//! ends as the signal would have ended it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::output::remove_leftovers;
use super::say;

type Wish = Box<dyn FnOnce() + Send>;

/// What is done first.
static LAST_WISH: Mutex<Option<Wish>> = Mutex::new(None);

/// Set before anything is taken away.
static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// Waits for the end if the program was told to end. What fails meanwhile, because a folder is gone, is no news.
pub(super) fn park_if_ending() {
    while IS_ENDING.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// Has something done should the program be told to end, instead of what was asked for before.
pub(super) fn on_end(wish: impl FnOnce() + Send + 'static) {
    *LAST_WISH.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(wish));
}

/// Nothing more needs to be done.
pub(super) fn forget_wish() {
    LAST_WISH.lock().unwrap_or_else(PoisonError::into_inner).take();
}

/// Before the program ends.
fn tidy_up() {
    IS_ENDING.store(true, Ordering::SeqCst);
    let wish = LAST_WISH.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(wish) = wish {
        wish();
    }
    remove_leftovers();
    say::finish();
}

/// Waits for signals in a thread of its own. Without one (no thread can be had) a signal ends the program at once.
#[cfg(unix)]
pub(super) fn listen() {
    use signal_hook::consts::{
        SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ,
    };
    use signal_hook::iterator::Signals;
    use std::sync::Arc;
    // A file that grows past its limit (`ulimit -f`) is an error of writing, as a full disk is.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
    let (ready, is_ready) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::Builder::new().name("fsvae-signals".into()).spawn(move || {
        // What is ignored stays so, as `nohup` and shells want it of programs in the background.
        let all = [SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU];
        let wanted = all.into_iter().filter(|&signal| !is_ignored(signal));
        let Ok(mut signals) = Signals::new(wanted) else { return };
        drop(ready);
        if let Some(signal) = signals.forever().next() {
            tidy_up();
            let _ = signal_hook::low_level::emulate_default_handler(signal);
            std::process::exit(128 + signal);
        }
    });
    if thread.is_ok() {
        // An error is what is waited for: the thread has dropped its end.
        let _ = is_ready.recv();
    }
}

/// Whether the program was started with this signal ignored.
#[cfg(unix)]
#[allow(unsafe_code)]
fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action, sigaction only writes the present one to where the third argument points, a place of
    // its type; all of whose fields may be zero should it fail.
    let action = unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

/// Waits for Ctrl-C and for a console that is closed.
#[cfg(windows)]
pub(super) fn listen() {
    // STATUS_CONTROL_C_EXIT, as Windows ends programs.
    const CODE: i32 = 0xC000_013A_u32 as i32;
    let _ = ctrlc::set_handler(|| {
        tidy_up();
        std::process::exit(CODE);
    });
}
