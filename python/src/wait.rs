//! Waiting without the GIL, but not longer than a moment without a look at Ctrl-C.

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// How long a signal waits at most.
const MOMENT: Duration = Duration::from_millis(40);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future. After Ctrl-C it is dropped, which cancels what it was about.
pub(crate) fn wait<T: Send>(py: Python<'_>, future: impl Future<Output = T> + Send) -> PyResult<T> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        let ready = py.detach(|| {
            let end = Instant::now() + MOMENT;
            loop {
                if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return Some(output);
                }
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return None;
                }
                thread::park_timeout(left);
            }
        });
        match ready {
            Some(output) => return Ok(output),
            None => py.check_signals()?,
        }
    }
}

/// Does work that cannot be interrupted on a thread of its own. After Ctrl-C nobody waits for it.
pub(crate) fn aside<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> T + Send + 'static,
) -> PyResult<T> {
    aside_telling(py, |_: &mut dyn FnMut(Infallible)| work(), |news| match news {})
}

enum Said<N, T> {
    News(N),
    Done(thread::Result<T>),
}

/// The same of work that tells how it gets on. Once nobody waits for it, it ends with what it tells next.
pub(crate) fn aside_telling<N: Send + 'static, T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce(&mut dyn FnMut(N)) -> T + Send + 'static,
    mut hear: impl FnMut(N) -> PyResult<()>,
) -> PyResult<T> {
    // Callers do many short works in a row.
    py.check_signals()?;
    let (say, said) = channel();
    let run = move || {
        let mut tell = |news| {
            if say.send(Said::News(news)).is_err() {
                // No panic: nothing is printed, and the thread ends.
                resume_unwind(Box::new("nobody waits"));
            }
        };
        let done = catch_unwind(AssertUnwindSafe(|| work(&mut tell)));
        // Nobody may be there any more.
        let _ = say.send(Said::Done(done));
    };
    thread::Builder::new().name("fsvae-aside".into()).spawn(run)?;
    let said = std::sync::Mutex::new(said);
    loop {
        let heard = py.detach(|| {
            let said = said.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            said.recv_timeout(MOMENT)
        });
        match heard {
            Ok(Said::News(news)) => hear(news)?,
            Ok(Said::Done(Ok(output))) => return Ok(output),
            Ok(Said::Done(Err(panic))) => resume_unwind(panic),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => unreachable!("the thread tells before it ends"),
        }
    }
}
