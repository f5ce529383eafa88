//! `devices()`.

use fsvae::gpu;
use pollster::block_on;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::wait::aside;

/// The GPU adapters, the fastest first, software last: a dict each.
#[pyfunction]
pub(crate) fn devices(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    fsvae::check_environment().and_then(|()| gpu::check_environment()).map_err(crate::error::python)?;
    let infos = aside(py, || {
        let adapters = block_on(gpu::adapters());
        adapters.iter().map(|adapter| adapter.get_info()).collect::<Vec<_>>()
    })?;
    let device = |(number, info): (usize, &fsvae::wgpu::AdapterInfo)| {
        let device = PyDict::new(py);
        device.set_item("number", number)?;
        device.set_item("name", info.name.trim())?;
        device.set_item("backend", info.backend.to_string())?;
        device.set_item("kind", format!("{:?}", info.device_type))?;
        device.set_item("software", gpu::is_software(info))?;
        device.set_item("driver", format!("{} {}", info.driver, info.driver_info).trim())?;
        device.set_item("pci", gpu::pci(info))?;
        Ok(device)
    };
    infos.iter().enumerate().map(device).collect()
}
