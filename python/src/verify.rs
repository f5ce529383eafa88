//! `verify()`.

use std::time::Instant;

use fsvae::Gpu;
use fsvae::gpu;
use fsvae::verify::{Options, Verification, required_limits};
use pollster::block_on;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::both;
use crate::wait::aside;

/// Verifies a GPU, or the CPU, for so many rounds: a dict.
#[pyfunction]
pub(crate) fn verify(
    py: Python<'_>,
    cpu: bool,
    adapter: Option<String>,
    rounds: u32,
) -> PyResult<Bound<'_, PyDict>> {
    let start = Instant::now();
    let begin = move || {
        if cpu {
            return Ok(Verification::cpu(Options::default()));
        }
        gpu::check_environment()?;
        let adapters = block_on(gpu::adapters());
        let adapter = gpu::choose_adapter(&adapters, adapter.as_deref())?;
        Ok(Verification::new(&block_on(Gpu::request(adapter, &required_limits()?))?, Options::default()))
    };
    let mut verification = both(aside(py, begin))?;
    while verification.report().rounds < rounds {
        let step = move || {
            let step = block_on(verification.next());
            step.map(|_| verification)
        };
        verification = both(aside(py, step))?;
    }
    let report = verification.report();
    let findings = report.findings.iter().map(|finding| {
        let entry = PyDict::new(py);
        entry.set_item("fault", finding.fault.name())?;
        entry.set_item("nature", finding.nature.to_string())?;
        entry.set_item("rounds", finding.rounds)?;
        Ok(entry)
    });
    let dict = PyDict::new(py);
    dict.set_item("right", report.is_right())?;
    dict.set_item("verdict", report.verdict(start.elapsed().as_secs_f64()))?;
    dict.set_item("name", &report.name)?;
    dict.set_item("operations", report.operations)?;
    dict.set_item("kernels", report.kernels)?;
    dict.set_item("models", report.models)?;
    dict.set_item("networks", report.networks)?;
    dict.set_item("rounds", report.rounds)?;
    dict.set_item("findings", findings.collect::<PyResult<Vec<_>>>()?)?;
    Ok(dict)
}
