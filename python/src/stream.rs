//! Images as they come.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Mutex;

use fsvae::Task;
use futures_core::Stream as _;
use numpy::PyArray1;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::error::python;
use crate::owned::Owned;
use crate::wait::wait;

#[pyclass(frozen, module = "fsvae._fsvae")]
pub(crate) struct Stream(Mutex<Option<Owned<Task<'static>>>>);

/// The index of the first image, and flat pixels.
type Batch<'py> = (u64, Bound<'py, PyArray1<u8>>);

impl Stream {
    pub(crate) fn new(task: Owned<Task<'static>>) -> Self {
        Stream(Mutex::new(Some(task)))
    }

    fn lock(&self) -> PyResult<std::sync::MutexGuard<'_, Option<Owned<Task<'static>>>>> {
        self.0.try_lock().map_err(|_| PyRuntimeError::new_err("another thread waits for this stream already"))
    }
}

#[pymethods]
impl Stream {
    /// Waits for the next batch; `None` after the last. After Ctrl-C it may be called again, and nothing is lost.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<Option<Batch<'py>>> {
        let mut guard = self.lock()?;
        let Some(owned) = guard.as_mut() else { return Ok(None) };
        let task = owned.get_mut()?;
        let part = wait(py, poll_fn(|context| Pin::new(&mut *task).poll_next(context)))?;
        let Some(part) = part else { return Ok(None) };
        let part = part.map_err(python)?;
        let pixels = part.images.map(fsvae::Images::into_bytes).unwrap_or_default();
        Ok(Some((part.first, PyArray1::from_vec(py, pixels))))
    }

    /// Cancels what is in flight.
    fn close(&self) -> PyResult<()> {
        self.lock()?.take();
        Ok(())
    }
}
