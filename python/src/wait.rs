//! Waiting without the GIL, but not longer than a moment without a look at Ctrl-C.

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
    // Callers do many short works in a row.
    py.check_signals()?;
    let (tell, told) = channel();
    let run = move || {
        // Nobody may be there any more.
        let _ = tell.send(catch_unwind(AssertUnwindSafe(work)));
    };
    thread::Builder::new().name("fsvae-aside".into()).spawn(run)?;
    let told = std::sync::Mutex::new(told);
    loop {
        let done = py.detach(|| {
            let told = told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            told.recv_timeout(MOMENT)
        });
        match done {
            Ok(Ok(output)) => return Ok(output),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => unreachable!("the thread tells before it ends"),
        }
    }
}
