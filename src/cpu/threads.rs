//! How many threads the CPU backend asks for.

use std::ffi::{OsStr, OsString};
use std::num::NonZeroUsize;

use crate::error::{Error, Result};

const VARIABLE: &str = "RAYON_NUM_THREADS";

/// So many threads may be asked for on any machine, and [`A_PROCESSOR`] for each processor on larger ones. More make
/// nothing faster, and where a system has no more room for their stacks it ends the program.
const ON_ANY: usize = 256;
const A_PROCESSOR: usize = 4;

/// Threads that the CPU backend asks for: one for each processor that this process may use, or as many as the
/// environment variable `RAYON_NUM_THREADS` says, where 0 is the former, too; 256 at most, or four for each processor if
/// that is more. It works with fewer where the system gives no more, or no addresses for them (`ulimit -v`). One without the feature `threads` and in browsers.
///
/// # Errors
/// [`Error::Environment`] if the variable is no such number. The CPU backend then takes one for each processor.
pub fn threads() -> Result<NonZeroUsize> {
    if !cfg!(feature = "threads") || cfg!(target_arch = "wasm32") {
        return Ok(NonZeroUsize::MIN);
    }
    let asked = std::env::var_os(VARIABLE).map_or(Ok(None), |value| parse(&value))?;
    let most = NonZeroUsize::new(most(processors().get()));
    Ok(asked.map_or_else(processors, |asked| most.map_or(asked, |most| asked.min(most))))
}

/// Processors that this process may use.
pub(super) fn processors() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// So many threads may be asked for.
fn most(processors: usize) -> usize {
    processors.saturating_mul(A_PROCESSOR).max(ON_ANY)
}

/// `None` for 0 and for nothing at all.
fn parse(value: &OsStr) -> Result<Option<NonZeroUsize>> {
    let number = value
        .to_str()
        .map(str::trim)
        .and_then(|text| if text.is_empty() { Some(0) } else { text.parse().ok() });
    let wrong = || Error::Environment {
        variable: VARIABLE,
        expected: "a number of threads, or 0 for one a processor".into(),
        found: OsString::from(value),
    };
    Ok(NonZeroUsize::new(number.ok_or_else(wrong)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_more_threads_than_are_of_use() {
        assert_eq!([1, 2, 64, 65, 384].map(most), [256, 256, 256, 260, 1536]);
        assert_eq!(most(usize::MAX), usize::MAX);
    }

    #[test]
    fn a_number_of_threads_is_read_and_all_else_is_named() {
        let threads = |text: &str| parse(OsStr::new(text)).map(|n| n.map(NonZeroUsize::get));
        assert_eq!(threads("3").expect("a number"), Some(3));
        assert_eq!(threads(" 12 ").expect("a number"), Some(12));
        assert_eq!(threads("0").expect("a number"), None);
        assert_eq!(threads("").expect("not set"), None);
        for text in ["all", "-1", "2.5", "99999999999999999999", "1\n2"] {
            let error = threads(text).expect_err(text);
            assert!(error.is_input(), "{error}");
            assert_eq!(
                error.to_string(),
                format!(
                    "RAYON_NUM_THREADS: expected a number of threads, or 0 for one a processor, found {text:?}"
                )
            );
        }
    }
}
