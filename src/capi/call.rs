//! What every function of the interface does: no panic passes, a failure is remembered for its thread, and pointers are
//! looked at before they are used.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicBool, Ordering};

use super::FsvaeStatus;
use crate::error::{Error, panic_text};

thread_local! {
    /// Why the last call failed; `None` if it did not.
    pub(super) static LAST_ERROR: RefCell<Option<CString>> = const { RefCell::new(None) };
}

/// Why a call fails.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: FsvaeStatus,
    pub(super) text: String,
}

impl Failure {
    pub(super) fn input(text: &str) -> Self {
        Failure { status: FsvaeStatus::Input, text: text.into() }
    }

    pub(super) fn null(name: &str) -> Self {
        Failure { status: FsvaeStatus::Null, text: format!("{name} is NULL") }
    }

    pub(super) fn panic(payload: &(dyn Any + Send)) -> Self {
        Error::Panic(panic_text(payload).into()).into()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match error {
            Error::Panic(_) => FsvaeStatus::Panic,
            _ if error.is_input() => FsvaeStatus::Input,
            _ => FsvaeStatus::Machine,
        };
        Failure { status, text: error.to_string() }
    }
}

/// No panic passes.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| Err(Failure::panic(&*payload)))
}

/// Does work on a generator, unless an earlier one panicked; what that left half done makes no images.
pub(super) fn unless_broken<T>(
    broken: &AtomicBool,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    struct Unfinished<'a>(&'a AtomicBool);
    impl Drop for Unfinished<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }
    if broken.load(Ordering::Acquire) {
        let text = "this generator met a bug in fsvae in an earlier call: free it and make another";
        return Err(Failure { status: FsvaeStatus::Panic, text: text.into() });
    }
    let unfinished = Unfinished(broken);
    let result = work();
    std::mem::forget(unfinished);
    result
}

/// Does the work of a call: no panic passes, and why it failed is remembered for this thread.
pub(super) fn remembered<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, FsvaeStatus> {
    let result = caught(work);
    let text = result.as_ref().err().map(|failure| c_string(&failure.text));
    // While the thread's own variables are destroyed there is no place for it.
    let _ = LAST_ERROR.try_with(|place| place.replace(text));
    result.map_err(|failure| failure.status)
}

pub(super) fn status(work: impl FnOnce() -> Result<(), Failure>) -> FsvaeStatus {
    remembered(work).err().unwrap_or(FsvaeStatus::Ok)
}

/// Makes something that the caller frees, or puts NULL.
pub(super) unsafe fn make<T>(
    place: *mut *mut T,
    name: &str,
    work: impl FnOnce() -> Result<T, Failure>,
) -> FsvaeStatus {
    status(|| {
        let place = NonNull::new(place).ok_or_else(|| Failure::null(name))?;
        unsafe { place.write(ptr::null_mut()) };
        let made = Box::new(work()?);
        unsafe { place.write(Box::into_raw(made)) };
        Ok(())
    })
}

pub(super) unsafe fn free<T>(handle: *mut T) {
    if !handle.is_null() {
        // There is nobody to tell of a panic.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(handle) })));
    }
}

pub(super) unsafe fn handle<'a, T>(pointer: *const T, name: &str) -> Result<&'a T, Failure> {
    unsafe { pointer.as_ref() }.ok_or_else(|| Failure::null(name))
}

pub(super) unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a CStr, Failure> {
    if pointer.is_null() {
        return Err(Failure::null(name));
    }
    Ok(unsafe { CStr::from_ptr(pointer) })
}

pub(super) fn utf8<'a>(text: &'a CStr, name: &str) -> Result<&'a str, Failure> {
    text.to_str().map_err(|error| Failure::input(&format!("{name} is not UTF-8: {error}")))
}

pub(super) unsafe fn elements<'a>(
    pointer: *const u8,
    length: usize,
    name: &str,
) -> Result<&'a [u8], Failure> {
    if pointer.is_null() {
        return Err(Failure::null(name));
    }
    // No object is larger, and a slice must not be.
    if isize::try_from(length).is_err() {
        return Err(Failure::input(&format!("{name}: {length} bytes are more than a process can have")));
    }
    Ok(unsafe { slice::from_raw_parts(pointer, length) })
}

/// The last of `count` images from index `first` on, if there are any.
pub(super) fn check_count(first: u64, count: usize) -> Result<Option<u64>, Failure> {
    let Some(further) = count.checked_sub(1) else { return Ok(None) };
    let past_the_end = || Failure::input(&format!("{count} images from index {first} on pass {}", u64::MAX));
    first.checked_add(further as u64).ok_or_else(past_the_end).map(Some)
}

pub(super) fn check_room(needed: u128, buffer: *const u8, length: usize, name: &str) -> Result<(), Failure> {
    if buffer.is_null() {
        return Err(Failure::null(name));
    }
    if (length as u128) < needed {
        let text = format!("{name}: expected a buffer of {needed} bytes or more, found {length} bytes");
        return Err(Failure::input(&text));
    }
    Ok(())
}

/// Fills the start of a buffer that is large enough. It may never have been written to, so it is no slice.
pub(super) unsafe fn copy(images: &[u8], buffer: *mut u8) {
    unsafe { ptr::copy_nonoverlapping(images.as_ptr(), buffer, images.len()) };
}

pub(super) fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "?")).unwrap_or_default()
}
