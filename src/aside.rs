//! Work aside: on a thread of its own where one can be had, awaited.

use std::future::Future;
#[cfg(not(target_arch = "wasm32"))]
use std::panic::{AssertUnwindSafe, catch_unwind};
#[cfg(not(target_arch = "wasm32"))]
use std::sync::{Arc, Mutex, PoisonError};
#[cfg(not(target_arch = "wasm32"))]
use std::task::{Poll, Waker};

use crate::error::Result;
#[cfg(not(target_arch = "wasm32"))]
use crate::error::{Error, panic_text};

/// What a thread and the task that waits for it have in common.
#[cfg(not(target_arch = "wasm32"))]
struct Shared<T> {
    done: Option<Result<T>>,
    waker: Option<Waker>,
}

/// Starts `work` at once, on a thread; in place where no thread can be had, and in browsers. A panic is its error.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Result<T>> {
    let shared = Arc::new(Mutex::new(Shared { done: None, waker: None }));
    let work = Arc::new(Mutex::new(Some(work)));
    let (told, taken) = (shared.clone(), work.clone());
    let run = move || tell(&told, lock(&taken).take());
    if std::thread::Builder::new().name("fsvae-aside".into()).spawn(run).is_err() {
        tell(&shared, lock(&work).take());
    }
    std::future::poll_fn(move |context| {
        let mut shared = lock(&shared);
        match shared.done.take() {
            Some(done) => Poll::Ready(done),
            None => {
                shared.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    })
}

#[cfg(not(target_arch = "wasm32"))]
fn tell<T>(shared: &Mutex<Shared<T>>, work: Option<impl FnOnce() -> T>) {
    let Some(work) = work else { return };
    let done = catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Error::Panic(panic_text(&*panic).into()));
    let mut shared = lock(shared);
    shared.done = Some(done);
    let waker = shared.waker.take();
    drop(shared);
    waker.into_iter().for_each(Waker::wake);
}

#[cfg(not(target_arch = "wasm32"))]
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A browser has one thread; its driver compiles on others.
#[cfg(target_arch = "wasm32")]
pub(crate) fn aside<T>(work: impl FnOnce() -> T) -> impl Future<Output = Result<T>> {
    std::future::ready(Ok(work()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_comes_and_so_does_a_panic() {
        assert_eq!(pollster::block_on(aside(|| 7)).expect("a number"), 7);
        let error = pollster::block_on(aside(|| panic!("in a test"))).map(|()| 0).expect_err("a panic");
        assert!(error.to_string().contains("in a test"), "{error}");
    }

    #[test]
    fn it_is_not_the_callers_thread() {
        let own = std::thread::current().id();
        assert_ne!(pollster::block_on(aside(|| std::thread::current().id())).expect("a thread"), own);
    }
}
