//! `Network`.

use std::path::PathBuf;

use fsvae::{Checkpoint, bundled};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use safetensors::tensor::{Dtype, TensorView};

use crate::error::{both, python};
use crate::wait::aside;

/// A network that is ready to run: integer weights, rounded once.
#[pyclass(frozen, module = "fsvae._fsvae")]
pub(crate) struct Network {
    pub(crate) network: fsvae::Network,
    pub(crate) origin: String,
    /// SHA-256 of the file.
    pub(crate) sha256: String,
    parameters: usize,
}

/// The names of the models that are part of the package, the default first.
#[pyfunction]
pub(crate) fn models() -> Vec<&'static str> {
    bundled::MODELS.iter().map(|(name, _)| *name).collect()
}

/// The file of a model that is part of the package.
#[pyfunction]
pub(crate) fn bundled_checkpoint<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, bundled_model(name)?.as_bytes()))
}

fn bundled_model(name: &str) -> PyResult<Checkpoint<'static>> {
    let checkpoint = Checkpoint::bundled(name).ok_or_else(|| {
        PyValueError::new_err(format!("no bundled model is called {name:?} ({})", bundled::names()))
    })?;
    checkpoint.map_err(python)
}

const STATE_DICT: &str = "state_dict";

fn round(checkpoint: &Checkpoint<'_>, origin: &str) -> Result<Network, fsvae::Error> {
    let network = fsvae::Network::new(checkpoint)?;
    let sha256 = fsvae::bench::digest(checkpoint.as_bytes());
    Ok(Network { network, origin: origin.into(), sha256, parameters: checkpoint.parameters() })
}

#[pymethods]
impl Network {
    /// Opens a checkpoint file.
    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        both(aside(py, move || {
            let checkpoint = Checkpoint::open(&path)?;
            round(&checkpoint, checkpoint.origin())
        }))
    }

    /// Opens a model of the package.
    #[staticmethod]
    fn bundled(py: Python<'_>, name: String) -> PyResult<Self> {
        let checkpoint = bundled_model(&name)?;
        both(aside(py, move || round(&checkpoint, &name)))
    }

    /// Takes tensors: name, element type as safetensors calls it, shape, little-endian bytes.
    #[staticmethod]
    fn from_tensors(
        py: Python<'_>,
        tensors: Vec<(String, String, Vec<usize>, Bound<'_, PyBytes>)>,
    ) -> PyResult<Self> {
        let mut views = Vec::with_capacity(tensors.len());
        for (name, dtype, shape, bytes) in &tensors {
            let view = TensorView::new(element(name, dtype)?, shape.clone(), bytes.as_bytes())
                .map_err(|error| PyValueError::new_err(format!("tensor `{name}`: {error}")))?;
            views.push((name.as_str(), view));
        }
        let file =
            safetensors::serialize(views, None).map_err(|error| PyValueError::new_err(error.to_string()))?;
        both(aside(py, move || {
            let opened = Checkpoint::from_bytes(&file).and_then(|checkpoint| round(&checkpoint, STATE_DICT));
            opened.map_err(in_state_dict)
        }))
    }

    /// Everything there is to know about it.
    #[getter]
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let architecture = self.network.architecture();
        let layers = architecture.layers().into_iter().map(|layer| {
            let entry = PyDict::new(py);
            entry.set_item("name", layer.name)?;
            entry.set_item("side", layer.side)?;
            entry.set_item("channels", layer.channels)?;
            Ok(entry)
        });
        let info = PyDict::new(py);
        info.set_item("origin", &self.origin)?;
        info.set_item("sha256", &self.sha256)?;
        info.set_item("family", architecture.family.name())?;
        info.set_item("parameters", self.parameters)?;
        info.set_item("image_side", architecture.image_side())?;
        info.set_item("image_channels", architecture.image_channels)?;
        info.set_item("time_steps", architecture.time_steps)?;
        info.set_item("latent_channels", architecture.latent_channels)?;
        info.set_item("neurons_per_channel", architecture.family.neurons_per_channel())?;
        info.set_item("encoder_widths", &architecture.encoder_widths)?;
        info.set_item("decoder_widths", &architecture.decoder_widths)?;
        info.set_item("layers", layers.collect::<PyResult<Vec<_>>>()?)?;
        Ok(info)
    }
}

/// It is no file.
fn in_state_dict(error: fsvae::Error) -> fsvae::Error {
    match error {
        fsvae::Error::Checkpoint { problem, .. } => {
            fsvae::Error::Checkpoint { origin: STATE_DICT.into(), problem }
        }
        other => other,
    }
}

fn element(tensor: &str, dtype: &str) -> PyResult<Dtype> {
    Ok(match dtype {
        "F16" => Dtype::F16,
        "BF16" => Dtype::BF16,
        "F32" => Dtype::F32,
        "F64" => Dtype::F64,
        "U8" => Dtype::U8,
        "BOOL" => Dtype::BOOL,
        "I32" => Dtype::I32,
        "I64" => Dtype::I64,
        _ => {
            return Err(PyValueError::new_err(format!(
                "tensor `{tensor}`: expected elements of F16, BF16, F32, F64, U8, BOOL, I32 or I64, found {dtype}"
            )));
        }
    })
}
