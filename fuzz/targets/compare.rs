//! A file of `fsvae bench --json` in `fsvae bench compare`: refused in one line, or compared.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fsvae::cli::fuzzing::compare(bytes));
