//! What a child of `fork()` must not touch.

use std::mem;
use std::process;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// Something that belongs to the process that made it if it is on a GPU: drivers do not survive `fork()`. What is on the
/// CPU goes on in a child.
pub(crate) struct Owned<T> {
    value: Option<T>,
    /// Of a GPU's.
    process: Option<u32>,
}

impl<T> Owned<T> {
    pub(crate) fn new(value: T, on_gpu: bool) -> Self {
        Owned { value: Some(value), process: on_gpu.then(process::id) }
    }

    fn check(&self) -> PyResult<()> {
        if self.is_foreign() {
            return Err(PyRuntimeError::new_err(
                "this generator is on a GPU of the parent process, and GPU drivers do not survive fork(): start \
                 workers with multiprocessing.get_context(\"spawn\"), or use backend=\"cpu\"",
            ));
        }
        Ok(())
    }

    pub(crate) fn get(&self) -> PyResult<&T> {
        self.check()?;
        self.value.as_ref().ok_or_else(|| unreachable!("it is taken when it is dropped"))
    }

    pub(crate) fn get_mut(&mut self) -> PyResult<&mut T> {
        self.check()?;
        self.value.as_mut().ok_or_else(|| unreachable!("it is taken when it is dropped"))
    }

    fn is_foreign(&self) -> bool {
        self.process.is_some_and(|process| process != process::id())
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if self.is_foreign() {
            // A driver whose threads stayed behind would be waited for without end.
            mem::forget(self.value.take());
        }
    }
}
