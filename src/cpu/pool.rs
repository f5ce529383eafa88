//! The threads of the CPU backend: one pool a process, made when it is first needed.
//!
//! It is not rayon's global pool. That one belongs to the application, which may block its threads (on a stream of
//! ours, say), and it cannot be made with fewer threads than were asked for.

use std::io;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread;

use rayon::{ThreadBuilder, ThreadPool, ThreadPoolBuilder};

use super::room::threads_that_fit;
use super::threads::threads;
use crate::floats::in_default_state;

/// Bytes of a thread's stack. The kernels do with 16 KiB, as measured with the bundled models; rayon needs some of its own,
/// and so does each [`Place`].
const STACK: usize = 1 << 20;

/// Callers who are in the pool at once.
///
/// While one of its threads waits for a part of its work, rayon has it take up another caller's, on the same stack. With
/// hundreds of callers that was too much for a stack, now and then.
const PLACES: usize = 4;

/// Places that are taken.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// A caller's place in the pool.
pub(super) struct Place<'a>(&'a AtomicUsize);

impl Place<'static> {
    /// `None` where all are taken.
    pub(super) fn take() -> Option<Self> {
        Place::of(&TAKEN)
    }
}

impl<'a> Place<'a> {
    fn of(taken: &'a AtomicUsize) -> Option<Self> {
        let more = |taken| Some(taken + 1).filter(|&taken| taken <= PLACES);
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Place(taken))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();

/// The process that has the threads, 0 before there are any.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// The pool; `None` where one thread is all there is.
///
/// A child of `fork` inherits the pool without its threads, and perhaps a lock whose holder stayed behind. It works
/// on the thread that it has.
pub(super) fn get() -> Option<&'static ThreadPool> {
    let process = std::process::id();
    match OWNER.compare_exchange(0, process, Ordering::Relaxed, Ordering::Relaxed) {
        Err(owner) if owner != process => None,
        _ => POOL
            .get_or_init(|| start(threads().unwrap_or_else(|_| super::threads::processors()).get()))
            .as_ref(),
    }
}

/// True on a thread of the pool.
pub(super) fn inside() -> bool {
    POOL.get().is_some_and(|pool| pool.as_ref().is_some_and(|pool| pool.current_thread_index().is_some()))
}

/// A pool of `wanted` threads or as many as can be had. The threads come first and the pool is made to measure: rayon
/// gives up when one of its threads cannot start, and those before it take a while to end.
fn start(wanted: usize) -> Option<ThreadPool> {
    let wanted = threads_that_fit(wanted.min(rayon::max_num_threads()));
    if wanted < 2 {
        return None;
    }
    let (offer, offers) = mpsc::channel::<ThreadBuilder>();
    let offers = Arc::new(Mutex::new(offers));
    let (arrive, arrivals) = mpsc::channel();
    for n in 0..wanted {
        let (offers, arrive) = (offers.clone(), arrive.clone());
        let run = move || {
            let _ = arrive.send(());
            drop(arrive);
            let place = offers.lock().unwrap_or_else(PoisonError::into_inner).recv();
            // A thread inherits the state of the one that starts it.
            if let Ok(place) = place {
                in_default_state(|| place.run());
            }
        };
        if thread::Builder::new().name(format!("fsvae-{n}")).stack_size(STACK).spawn(run).is_err() {
            break;
        }
    }
    drop(arrive);
    let present = arrivals.iter().count();
    if present < 2 {
        // The pool would only be woken up and waited for by the caller, who is a thread, too.
        return None;
    }
    let place = |place| offer.send(place).map_err(|_| io::ErrorKind::BrokenPipe.into());
    ThreadPoolBuilder::new().num_threads(present).spawn_handler(place).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_places_and_no_more() {
        let count = AtomicUsize::new(0);
        let taken: Vec<Place<'_>> = std::iter::from_fn(|| Place::of(&count)).collect();
        assert_eq!(taken.len(), PLACES);
        drop(taken);
        let panicked = std::panic::catch_unwind(|| {
            let _place = Place::of(&count);
            panic!("a caller's");
        });
        assert!(panicked.is_err());
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_pool_has_the_threads_that_were_asked_for() {
        for wanted in [2, 3, 8] {
            let pool = start(wanted).expect("threads");
            assert_eq!(pool.current_num_threads(), wanted);
            // All of them work: each waits for the others.
            let barrier = std::sync::Barrier::new(wanted);
            pool.broadcast(|_| barrier.wait());
        }
        assert!(start(1).is_none() && start(0).is_none());
    }

    #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), feature = "bundled"))]
    #[test]
    fn its_threads_round_to_nearest_whoever_starts_them() {
        use std::hint::black_box;

        use crate::floats::tests::{DEFAULT, UP, with_state};

        let third = || black_box(1.0_f64) / black_box(3.0);
        let pool = with_state(DEFAULT | UP, || {
            assert!(third() > 1.0 / 3.0);
            start(2).expect("threads")
        });
        assert_eq!(pool.broadcast(|_| third()), [1.0 / 3.0; 2]);
    }
}
