//! Between latents, between rates, and along directions.

use fsvae::{Direction, Latents, Rates};
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use crate::error::{both, python};
use crate::wait::aside;

type Bytes<'py> = Bound<'py, PyArray1<u8>>;
type Numbers<'py> = Bound<'py, PyArray1<u16>>;

/// Latents, flat `[n, T, C]`.
pub(crate) fn latents(
    time_steps: usize,
    channels: usize,
    spikes: &PyReadonlyArray1<'_, u8>,
) -> PyResult<Latents> {
    Latents::from_spikes(time_steps, channels, spikes.as_slice()?).map_err(python)
}

/// Rates, flat `[n, C]`.
pub(crate) fn rates(channels: usize, numbers: &PyReadonlyArray1<'_, u16>) -> PyResult<Rates> {
    Rates::new(channels, numbers.as_slice()?.to_vec()).map_err(python)
}

/// Latents on the way from `a` to `b`, flat `[steps, n, T, C]`.
#[pyfunction]
pub(crate) fn interpolate<'py>(
    py: Python<'py>,
    a: PyReadonlyArray1<'py, u8>,
    b: PyReadonlyArray1<'py, u8>,
    time_steps: usize,
    channels: usize,
    steps: usize,
    seed: u64,
) -> PyResult<Bytes<'py>> {
    let (a, b) = (latents(time_steps, channels, &a)?, latents(time_steps, channels, &b)?);
    let way = both(aside(py, move || {
        let mut way = Vec::new();
        for step in 0..steps {
            way.extend(Latents::interpolate(&a, &b, seed, step, steps)?.to_spikes());
        }
        Ok(way)
    }))?;
    Ok(PyArray1::from_vec(py, way))
}

/// Rates on the way from `a` to `b`, flat `[steps, n, C]`.
#[pyfunction]
pub(crate) fn interpolate_rates<'py>(
    py: Python<'py>,
    a: PyReadonlyArray1<'py, u16>,
    b: PyReadonlyArray1<'py, u16>,
    channels: usize,
    steps: usize,
) -> PyResult<Numbers<'py>> {
    let (a, b) = (rates(channels, &a)?, rates(channels, &b)?);
    let way = both(aside(py, move || {
        let mut way = Vec::new();
        for step in 0..steps {
            way.extend_from_slice(Rates::interpolate(&a, &b, step, steps)?.as_slice());
        }
        Ok(way)
    }))?;
    Ok(PyArray1::from_vec(py, way))
}

/// The rates of latents, flat `[n, C]`.
#[pyfunction]
pub(crate) fn rates_of<'py>(
    py: Python<'py>,
    spikes: PyReadonlyArray1<'py, u8>,
    time_steps: usize,
    channels: usize,
) -> PyResult<Numbers<'py>> {
    let latents = latents(time_steps, channels, &spikes)?;
    let rates = both(aside(py, move || Rates::of(&latents)))?;
    Ok(PyArray1::from_slice(py, rates.as_slice()))
}

/// The mean of rates, `[C]`.
#[pyfunction]
pub(crate) fn mean_rates<'py>(
    py: Python<'py>,
    numbers: PyReadonlyArray1<'py, u16>,
    channels: usize,
) -> PyResult<Numbers<'py>> {
    Ok(PyArray1::from_slice(py, rates(channels, &numbers)?.mean().as_slice()))
}

/// From the mean of some rates to the mean of others, `[C]`.
#[pyfunction]
pub(crate) fn direction<'py>(
    py: Python<'py>,
    with_: PyReadonlyArray1<'py, u16>,
    without: PyReadonlyArray1<'py, u16>,
    channels: usize,
) -> PyResult<Bound<'py, PyArray1<i32>>> {
    let direction = Direction::between(&rates(channels, &with_)?, &rates(channels, &without)?);
    Ok(PyArray1::from_slice(py, direction.map_err(python)?.as_slice()))
}

/// Latents, moved: flat `[n, T, C]`.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "Python's own")]
pub(crate) fn along<'py>(
    py: Python<'py>,
    spikes: PyReadonlyArray1<'py, u8>,
    time_steps: usize,
    channels: usize,
    direction: PyReadonlyArray1<'py, i32>,
    amount: f64,
    seed: u64,
    first: u64,
) -> PyResult<Bytes<'py>> {
    let latents = latents(time_steps, channels, &spikes)?;
    let direction = Direction::new(direction.as_slice()?.to_vec()).map_err(python)?;
    let moved = both(aside(py, move || Ok(latents.along(&direction, amount, seed, first)?.to_spikes())))?;
    Ok(PyArray1::from_vec(py, moved))
}
