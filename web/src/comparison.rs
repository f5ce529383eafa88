//! Measurements of one model, side by side.

use fsvae::bench::schema::Report;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::input;

#[wasm_bindgen]
#[derive(Default)]
pub struct Comparison(fsvae::bench::Comparison);

#[wasm_bindgen]
impl Comparison {
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next file of `bench`, of the same model as the first.
    pub fn add(&mut self, name: &str, json: &str) -> Result<(), JsValue> {
        let added = Report::parse(json.as_bytes()).and_then(|report| self.0.add(name, report));
        added.map_err(|problem| input(&format!("{name}: {problem}")))
    }

    /// What `fsvae bench compare` prints.
    pub fn text(&self) -> String {
        self.0.text()
    }
}
