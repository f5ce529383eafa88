//! Errors as JavaScript has them.

use wasm_bindgen::JsValue;

use crate::object;

/// An `Error` with the library's one line, and in `code` what to do about it: `input` (give something else),
/// `device-lost` (`rebuild`) or `failed`.
pub(crate) fn js(error: fsvae::Error) -> JsValue {
    let code = match &error {
        fsvae::Error::DeviceLost { .. } => "device-lost",
        error if error.is_input() => "input",
        _ => "failed",
    };
    coded(&error.to_string(), code)
}

/// What the caller gave is unusable.
pub(crate) fn input(line: &str) -> JsValue {
    coded(line, "input")
}

fn coded(line: &str, code: &str) -> JsValue {
    let error = js_sys::Error::new(line).into();
    object::set(&error, "code", code);
    error
}
