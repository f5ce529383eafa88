//! Work over all cores where the `threads` feature is on, in place elsewhere (browsers).
//!
//! Nothing of an application runs on the threads of the pool, and no job there waits for anything but other jobs.

#[cfg(all(feature = "threads", not(target_arch = "wasm32")))]
use super::pool;

/// Calls `work(i, chunk)` for the i-th `size` elements of `data`, in any order: over all cores inside of [`in_pool`].
pub(crate) fn for_each_chunk<T: Send>(data: &mut [T], size: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    #[cfg(all(feature = "threads", not(target_arch = "wasm32")))]
    if pool::inside() {
        use rayon::prelude::*;
        return data.par_chunks_mut(size).enumerate().for_each(|(i, chunk)| work(i, chunk));
    }
    data.chunks_mut(size).enumerate().for_each(|(i, chunk)| work(i, chunk));
}

/// Threads over which [`for_each_chunk`] spreads its work, here.
pub(crate) fn threads_here() -> usize {
    #[cfg(all(feature = "threads", not(target_arch = "wasm32")))]
    if pool::inside() {
        return rayon::current_num_threads();
    }
    1
}

/// Does `work` where [`for_each_chunk`] has all cores, and waits for it. Where many do so at once, those that come last do
/// it on the threads they have: there are enough of them.
#[cfg(all(feature = "threads", not(target_arch = "wasm32")))]
pub(crate) fn in_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let Some(pool) = pool::get().filter(|_| !pool::inside()) else { return work() };
    let Some(_place) = pool::Place::take() else { return work() };
    match rayon::current_thread_index() {
        None => pool.install(work),
        Some(_) => beside_another_pool(pool, work),
    }
}

#[cfg(not(all(feature = "threads", not(target_arch = "wasm32"))))]
pub(crate) fn in_pool<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// `install` for a thread of an application's pool. While such a thread waits, rayon has it take up other jobs of its
/// own pool. One of them may want a lock that the caller holds, and would wait for ever. So a plain thread waits for
/// our pool, and the caller for that thread.
#[cfg(all(feature = "threads", not(target_arch = "wasm32")))]
fn beside_another_pool<R: Send>(pool: &rayon::ThreadPool, work: impl FnOnce() -> R + Send) -> R {
    let mut work = Some(work);
    let mut result = None;
    std::thread::scope(|scope| {
        let run = || result = work.take().map(|work| pool.install(work));
        // Without another thread it is done in place, below.
        if let Ok(thread) = std::thread::Builder::new().name("fsvae-caller".into()).spawn_scoped(scope, run) {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
    match (result, work) {
        (Some(result), _) => result,
        (None, Some(work)) => work(),
        (None, None) => unreachable!("work that was taken up has a result, or its panic went on"),
    }
}

/// Calls `work` with 0 to `count` - 1, each on a thread of its own, or in place where no more can be had.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn on_threads<R: Send>(count: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let work = &work;
    std::thread::scope(|scope| {
        let start = |n| std::thread::Builder::new().spawn_scoped(scope, move || work(n));
        let threads: Vec<_> = (0..count).map(start).collect();
        let end = |(n, thread): (usize, std::io::Result<std::thread::ScopedJoinHandle<'_, R>>)| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => work(n),
        };
        threads.into_iter().enumerate().map(end).collect()
    })
}
