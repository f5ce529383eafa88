//! PNG.

use std::io::Cursor;

use fsvae::image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use numpy::PyReadonlyArray1;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

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
