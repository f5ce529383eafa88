//! A command line, one word a line: parsed, or refused in one line. Nothing is run.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fsvae::cli::fuzzing::arguments(fsvae_fuzz::words(bytes)));
