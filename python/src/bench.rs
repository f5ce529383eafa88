//! `bench()`.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use fsvae::Choice;
use fsvae::bench::schema::{self, Machine, Model, Report};
use fsvae::bench::{Bench, Event, Plan, places};
use pollster::block_on;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use sysinfo::{CpuRefreshKind, RefreshKind, System};

use crate::error::both;
use crate::network::Network;
use crate::wait::aside_telling;

/// Measures a network: what `fsvae bench --json` writes. `progress` is called with the backend and what begins there.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "Python's own")]
pub(crate) fn bench(
    py: Python<'_>,
    network: &Network,
    backend: String,
    adapter: Option<String>,
    plan: &str,
    batches: Option<Vec<usize>>,
    seed: u64,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<String> {
    let plan = match plan {
        "quick" => Plan::quick(seed),
        "short" => Plan::short(seed),
        "thorough" => Plan::thorough(seed),
        other => {
            let text = format!("plan: expected \"quick\", \"short\" or \"thorough\", found {other:?}");
            return Err(PyValueError::new_err(text));
        }
    };
    let sizes = batches.map(|sizes| sizes.into_iter().map(NonZeroUsize::new).collect::<Option<Vec<_>>>());
    let plan = match sizes {
        None => plan,
        Some(Some(sizes)) if !sizes.is_empty() => plan.with_batches(sizes),
        Some(_) => return Err(PyValueError::new_err("batches: expected some numbers, each 1 or more")),
    };
    let (model, of) = (model(network), network.network.clone());
    let work = move |tell: &mut dyn FnMut((String, String))| {
        let choice = match (&*backend, adapter.as_deref()) {
            ("cpu", _) => Some(Choice::Cpu),
            ("gpu", name) => Some(Choice::Gpu(name)),
            (_, name) => name.map(|name| Choice::Gpu(Some(name))),
        };
        let places = block_on(places(choice))?;
        let mut bench = Bench::new(&of, &model.sha256, plan);
        let mut report = Report {
            schema: schema::SCHEMA.into(),
            version: schema::VERSION,
            fsvae: env!("CARGO_PKG_VERSION").into(),
            model,
            machine: machine(),
            options: bench.plan().options(),
            operations: bench.operations()?,
            results: Vec::new(),
        };
        for place in &places {
            let name = place.name();
            let mut news = |event: Event<'_>| {
                if let Event::Begins(step) = event {
                    tell((name.clone(), step.to_string()));
                }
            };
            report.results.push(block_on(bench.measure(place, &mut (), &mut news)));
        }
        Ok(report)
    };
    let hear = |(backend, step): (String, String)| match &progress {
        Some(progress) => progress.call1((backend, step)).map(drop),
        None => Ok(()),
    };
    let json = both(aside_telling(py, work, hear))?.to_json()?;
    String::from_utf8(json).map_err(|error| PyRuntimeError::new_err(error.to_string()))
}

fn model(network: &Network) -> Model {
    Model {
        name: network.origin.clone(),
        sha256: network.sha256.clone(),
        family: network.network.architecture().family.name().into(),
    }
}

fn machine() -> Machine {
    let system = System::new_with_specifics(RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()));
    let unknown = || "unknown".to_owned();
    Machine {
        os: System::long_os_version().unwrap_or_else(unknown),
        cpu: system.cpus().first().map_or_else(unknown, |cpu| cpu.brand().trim().to_owned()),
        physical_cores: System::physical_core_count(),
        logical_cores: available_parallelism().map_or(1, NonZeroUsize::get),
    }
}
