//! Words to what a command begins with: nothing is computed, read or written.
#![no_main]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use fsvae_fuzz::{SEPARATOR, check_line, doors};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let words = bytes.split(|&byte| byte == SEPARATOR).map(|word| OsString::from_vec(word.into()));
    let words: Vec<OsString> = std::iter::once("fsvae".into()).chain(words).collect();
    if let Err(line) = doors::arguments(&words) {
        check_line(&line);
    }
});
