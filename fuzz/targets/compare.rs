//! Files of `fsvae bench --json`, one after the other: a table and a plot, or an error of one line.
#![no_main]

use fsvae_fuzz::{SEPARATOR, check_line, doors};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match doors::compare(bytes.split(|&byte| byte == SEPARATOR)) {
        Ok((text, plot)) => {
            // A file's words are no lines of the table, nor do they end a string of the plot.
            text.lines().filter(|line| !line.is_empty()).for_each(check_line);
            assert!(plot.starts_with("<svg") && plot.trim_end().ends_with("</svg>"), "{plot}");
        }
        Err(line) => check_line(&line),
    }
});
