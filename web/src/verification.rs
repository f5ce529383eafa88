//! Does this browser's backend compute right? Step by step, so that a page can say how far it is.

use std::cell::RefCell;

use fsvae::verify::{Options, Step};
use js_sys::Array;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::choice::Choice;
use crate::error::{input, js};
use crate::object::{array, number, object};

#[wasm_bindgen]
pub struct Verification {
    /// Taken out while a step is awaited.
    verification: RefCell<Option<fsvae::verify::Verification>>,
}

#[wasm_bindgen]
impl Verification {
    /// Of the backend `webgpu`, on a device of its own, or `cpu`.
    pub async fn open(backend: &str, adapter: Option<String>) -> Result<Verification, JsValue> {
        let choice = Choice::new(backend, adapter.as_deref())?;
        let verification = if let Choice::Cpu = choice {
            fsvae::verify::Verification::cpu(Options::default())
        } else {
            let limits = fsvae::verify::required_limits().map_err(js)?;
            let gpu = choice.device(&limits).await.map_err(js)?;
            fsvae::verify::Verification::new(&gpu, Options::default())
        };
        Ok(Verification { verification: RefCell::new(Some(verification)) })
    }

    /// Compares one more thing: what it was, where it is in its round, and new faults, a line each.
    pub async fn next(&self) -> Result<JsValue, JsValue> {
        let verification = self.verification.borrow_mut().take();
        let mut verification = verification.ok_or_else(|| input("the last step is still awaited"))?;
        let step = verification.next().await;
        *self.verification.borrow_mut() = Some(verification);
        let Step { check, round, step, steps, faults, .. } = step.map_err(js)?;
        let faults = array(faults.iter().map(|finding| finding.fault.to_string().into()));
        Ok(object([
            ("check", check.into()),
            ("round", number(round as usize)),
            ("step", number(step)),
            ("steps", number(steps)),
            ("faults", faults.into()),
        ]))
    }

    /// What was found so far. `verdict` is the line to paste.
    pub fn report(&self, seconds: f64) -> Result<JsValue, JsValue> {
        let verification = self.verification.borrow();
        let report = verification.as_ref().ok_or_else(|| input("a step is awaited"))?.report();
        let faults: Array = array(report.findings.iter().map(|finding| finding.fault.to_string().into()));
        Ok(object([
            ("right", report.is_right().into()),
            ("rounds", number(report.rounds as usize)),
            ("verdict", report.verdict(seconds).into()),
            ("faults", faults.into()),
        ]))
    }
}
