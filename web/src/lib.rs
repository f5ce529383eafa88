//! `fsvae` for browsers: what `module/fsvae.js` wraps into the API that applications see. Names and checks of arguments
//! are there; here is what has to be Rust.
//!
//! ```text
//! Network     bytes -> a network, and what is asked of it alone
//! Choice      which backend -> a device
//! Generator   jobs, each awaited
//! Stream      a job whose parts are taken one by one
//! draw        into a canvas or a texture, without a way through JavaScript
//! Verification  step by step: a module of its own, made with the feature `verify`
//! Measurement   how fast is it: a module of its own, made with the feature `bench`
//! Comparison    of such measurements: a module of its own, made with the feature `compare`
//! ```

#[cfg(feature = "compare")]
mod comparison;
#[cfg_attr(feature = "compare", allow(dead_code, reason = "it needs less of it"))]
mod error;
#[cfg(feature = "bench")]
mod measurement;
#[cfg_attr(any(feature = "bench", feature = "compare"), allow(dead_code, reason = "they need less of it"))]
mod object;
#[cfg(feature = "verify")]
mod verification;

#[cfg(not(feature = "compare"))]
mod choice;

#[cfg(not(any(feature = "verify", feature = "bench", feature = "compare")))]
mod canvas;
#[cfg(not(any(feature = "verify", feature = "bench", feature = "compare")))]
mod generator;
#[cfg(not(any(feature = "verify", feature = "bench", feature = "compare")))]
mod network;
#[cfg(not(any(feature = "verify", feature = "bench", feature = "compare")))]
mod stream;

use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(text: &str);
}

/// A panic, which is a bug, leaves its message on the console before the module stops.
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|panic| console_error(&format!("a bug in fsvae: {panic}"))));
}
