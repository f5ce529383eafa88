//! Environment variables. One that is empty is as good as not set.

use crate::cpu::vectors;
use crate::error::{Error, Result};

/// The text of a variable. What is no Unicode is replaced: no value that means something has any of it.
pub(crate) fn read(variable: &str) -> Option<String> {
    let value = std::env::var_os(variable)?.to_string_lossy().trim().to_owned();
    (!value.is_empty()).then_some(value)
}

/// What is wrong with a variable.
pub(crate) fn error(variable: &'static str, expected: String, found: &str) -> Error {
    Error::Environment { variable, expected, found: found.into() }
}

/// Looks at the environment variables of the CPU backend, which takes what it would without them where they mean
/// nothing. [`gpu::check_environment`](crate::gpu::check_environment) looks at those of GPUs.
///
/// # Errors
/// [`Error::Environment`] if `FSVAE_CPU` names no instruction set that this processor has.
pub fn check_environment() -> Result<()> {
    vectors::check_environment()?;
    crate::threads().map(|_| ())
}
