//! Small services: PNG, and the way between latents.

use std::io::Cursor;

use fsvae::Latents;
use fsvae::image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::python;

/// A picture, flat u8 `[height, width, channels]`, as a PNG file.
#[pyfunction]
pub(crate) fn png<'py>(
    py: Python<'py>,
    pixels: PyReadonlyArray1<'py, u8>,
    width: u32,
    height: u32,
    channels: usize,
) -> PyResult<Bound<'py, PyBytes>> {
    let pixels = pixels.as_slice()?.to_vec();
    let picture = match channels {
        1 => GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8),
        3 => RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8),
        _ => None,
    };
    let picture = picture.ok_or_else(|| {
        PyValueError::new_err(format!("no picture of {width} x {height} pixels and {channels} channels"))
    })?;
    let file = py.detach(|| {
        let mut file = Cursor::new(Vec::new());
        picture.write_to(&mut file, ImageFormat::Png).map(|()| file.into_inner())
    });
    Ok(PyBytes::new(py, &file.map_err(|error| PyRuntimeError::new_err(error.to_string()))?))
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
) -> PyResult<Bound<'py, PyArray1<u8>>> {
    let read = |spikes: &PyReadonlyArray1<'_, u8>| {
        Latents::from_spikes(time_steps, channels, spikes.as_slice()?).map_err(python)
    };
    let (a, b) = (read(&a)?, read(&b)?);
    let mut way = Vec::new();
    for step in 0..steps {
        way.extend(Latents::interpolate(&a, &b, seed, step, steps).map_err(python)?.to_spikes());
    }
    Ok(PyArray1::from_vec(py, way))
}
