//! The library's errors as Python's.

use std::io;

use pyo3::PyErr;
use pyo3::exceptions::{PyRuntimeError, PyValueError};

/// What the caller gave is a `ValueError`, a file that cannot be read an `OSError` of its kind, the rest a
/// `RuntimeError`.
pub(crate) fn python(error: fsvae::Error) -> PyErr {
    let text = error.to_string();
    match error {
        fsvae::Error::Read { source, .. } => io::Error::new(source.kind(), text).into(),
        _ if error.is_input() => PyValueError::new_err(text),
        _ => PyRuntimeError::new_err(text),
    }
}

/// A call's two errors in one: Ctrl-C, and what went wrong.
pub(crate) fn both<T>(result: Result<Result<T, fsvae::Error>, PyErr>) -> Result<T, PyErr> {
    result?.map_err(python)
}
