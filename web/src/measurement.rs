//! How fast is this browser's backend? The same plan, the same file and the same line as the command line's.

use fsvae::Checkpoint;
use fsvae::bench::schema::{Machine, Measured, Model, Outcome};
use fsvae::bench::{Bench, Event, Place, Plan, digest};
use js_sys::Function;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::choice::Choice;
use crate::error::{input, js};
use crate::object::object;

/// What is measured, and what JavaScript knows of the place.
#[wasm_bindgen]
pub struct Measurement {
    /// Of the checkpoint.
    name: String,
    /// The browser and its system.
    browser: String,
    /// What the browser calls the adapter, which wgpu does not get to know.
    label: String,
    threads: usize,
    seed: u64,
    quick: bool,
}

#[wasm_bindgen]
impl Measurement {
    #[wasm_bindgen(constructor)]
    pub fn new(name: String, browser: String, label: String, threads: usize, seed: u64, quick: bool) -> Self {
        Measurement { name, browser, label, threads, seed, quick }
    }

    /// Measures the backend `webgpu`, on a device of its own, or `cpu`, and tells each step and each row meanwhile.
    pub async fn run(
        self,
        bytes: Vec<u8>,
        backend: String,
        adapter: Option<String>,
        tell: Function,
    ) -> Result<JsValue, JsValue> {
        let Measurement { name, browser, label, threads, seed, quick } = self;
        let checkpoint = Checkpoint::from_bytes(&bytes).map_err(js)?;
        let (network, sha256) = (fsvae::Network::new(&checkpoint).map_err(js)?, digest(&bytes));
        drop(checkpoint);
        drop(bytes);
        let place = match Choice::new(&backend, adapter.as_deref())? {
            Choice::Cpu => Place::Cpu,
            choice => Place::Gpu(choice.adapter().await.map_err(js)?, format!("{label} (webgpu)")),
        };
        let plan = if quick { Plan::quick(seed) } else { Plan::short(seed) };
        let mut bench = Bench::new(&network, &sha256, plan);
        let model = Model { name, sha256, family: network.architecture().family.name().into() };
        // Browsers do not say which processor it is.
        let machine =
            Machine { os: browser.clone(), cpu: browser, physical_cores: None, logical_cores: threads };
        let mut report = bench.report(model, machine).map_err(js)?;
        let mut told = |event: Event<'_>| {
            let entries = match event {
                Event::Begins(step) => Some(object([("step", step.to_string().into())])),
                Event::Measured { row, so_far } => row
                    .told(so_far)
                    .map(|(what, result)| object([("what", what.into()), ("result", result.into())])),
                _ => None,
            };
            if let Some(entries) = entries {
                // What an application does with it is not a matter of the measurement.
                let _ = tell.call1(&JsValue::UNDEFINED, &entries);
            }
        };
        let mut measured = bench.measure(&place, &mut (), &mut told).await;
        name_adapter(&mut measured, label);
        let (line, right) = (report.line(&measured), matches!(measured.outcome, Outcome::Ok(_)));
        report.results.push(measured);
        let json = report.to_json().map_err(|error| input(&error.to_string()))?;
        let json = String::from_utf8(json).map_err(|error| input(&error.to_string()))?;
        Ok(object([("json", json.into()), ("line", line.into()), ("right", right.into())]))
    }
}

fn name_adapter(measured: &mut Measured, label: String) {
    if let Some(adapter) = measured.adapter.as_mut().filter(|adapter| adapter.name.is_empty()) {
        adapter.name = label;
    }
}
