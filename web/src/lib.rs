//! `fsvae` for browsers: what `module/fsvae.js` wraps into the API that applications see. Names and checks of arguments
//! are there; here is what has to be Rust.
//!
//! ```text
//! Network     bytes -> a network, and what is asked of it alone
//! Choice      which backend -> a device
//! Generator   jobs, each awaited
//! Stream      a job whose parts are taken one by one
//! draw        into a canvas, without a way through JavaScript
//! Verification  step by step: a module of its own, made with the feature `verify`
//! ```

mod choice;
mod error;
mod object;
#[cfg(feature = "verify")]
mod verification;

#[cfg(not(feature = "verify"))]
mod canvas;
#[cfg(not(feature = "verify"))]
mod generator;
#[cfg(not(feature = "verify"))]
mod network;
#[cfg(not(feature = "verify"))]
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
