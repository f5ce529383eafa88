//! Temporary files for the handler of a crash, which may neither wait for a lock nor ask for memory: their names stand in
//! places that are always there.

use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

/// More files are not open at once.
const FILES: usize = 16;
/// Bytes of a name and the zero behind it. A longer one is not noted, for the handler's stack is small.
const LONGEST: usize = 1024;

/// No name is there.
const FREE: u8 = 0;
/// One is written, or read for the last time.
const BUSY: u8 = 1;
/// One is there.
const READY: u8 = 2;

struct Slot {
    state: AtomicU8,
    name: [AtomicU8; LONGEST],
}

static SLOTS: [Slot; FILES] =
    [const { Slot { state: AtomicU8::new(FREE), name: [const { AtomicU8::new(0) }; LONGEST] } }; FILES];

/// The name of a file that is to vanish in a crash, as long as this lives.
pub(super) struct Doomed(Option<&'static Slot>);

impl Doomed {
    /// Nothing is noted where there is no room: the file is then left behind.
    pub(super) fn new(path: &Path) -> Self {
        let name = path.as_os_str().as_bytes();
        let take = |slot: &&Slot| {
            name.len() < LONGEST
                && slot.state.compare_exchange(FREE, BUSY, Ordering::Acquire, Ordering::Relaxed).is_ok()
        };
        let slot = SLOTS.iter().find(take);
        if let Some(slot) = slot {
            for (place, &byte) in slot.name.iter().zip(name.iter().chain(&[0])) {
                place.store(byte, Ordering::Relaxed);
            }
            slot.state.store(READY, Ordering::Release);
        }
        Doomed(slot)
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            // Not if the handler has it: then the program ends.
            let _ = slot.state.compare_exchange(READY, FREE, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

/// Removes the files. It is async-signal-safe.
pub(in crate::cli) fn unlink_temporaries() {
    for slot in &SLOTS {
        if slot.state.compare_exchange(READY, BUSY, Ordering::Acquire, Ordering::Relaxed).is_err() {
            continue;
        }
        let mut name = [0; LONGEST];
        for (byte, place) in name.iter_mut().zip(&slot.name) {
            *byte = place.load(Ordering::Relaxed);
        }
        if let Ok(name) = CStr::from_bytes_until_nul(&name) {
            let _ = rustix::fs::unlink(name);
        }
    }
}
