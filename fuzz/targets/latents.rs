//! A latents file: latents of the model, which are written as they were read, or an error of one line.
#![no_main]

use fsvae_fuzz::{MODEL, check_line};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match MODEL.latents(bytes) {
        Ok(latents) => assert_eq!(MODEL.latents(&MODEL.latents_file(&latents)), Ok(latents)),
        Err(line) => check_line(&line),
    }
});
