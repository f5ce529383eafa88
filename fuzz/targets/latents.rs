//! A latents file: an error of one line or latents of the network's T and C.
#![no_main]

use fsvae_fuzz::TINY;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fsvae::cli::fuzzing::latents(bytes, &TINY));
