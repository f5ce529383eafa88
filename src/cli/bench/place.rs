//! Where images are made: the CPU, or an adapter.

use std::num::NonZeroUsize;

use clap::ValueEnum;
use fsvae::gpu::{self, Variant};
use fsvae::{Generator, Gpu, Network, wgpu};

use super::schema::Adapter;
use crate::cli::Failure;
use crate::cli::say::say;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Backends {
    /// The CPU and every adapter
    All,
    /// Every adapter, software adapters too; an error if there is none
    Gpu,
    /// The CPU
    Cpu,
}

/// One backend, not opened yet.
pub(in crate::cli) enum Place {
    Cpu,
    /// And its label.
    Gpu(wgpu::Adapter, String),
}

/// Those that were asked for: the adapter of this number, or those whose names contain a text, and no others.
pub(in crate::cli) fn places(backends: Backends, name: Option<&str>) -> Result<Vec<Place>, Failure> {
    let mut places = Vec::new();
    if backends != Backends::Gpu {
        // It would be of another instruction set than the user thinks.
        fsvae::check_environment()?;
    }
    match (backends, name) {
        (Backends::Cpu, _) => return Ok(vec![Place::Cpu]),
        (Backends::All, None) => places.push(Place::Cpu),
        (Backends::All, Some(_)) | (Backends::Gpu, _) => {}
    }
    let adapters = pollster::block_on(gpu::adapters());
    match gpu::check_environment() {
        Err(error) if backends == Backends::All && name.is_none() => say(error.to_string()),
        checked => checked?,
    }
    let labels = gpu::labels(&adapters);
    let chosen = match name.map(str::to_owned).or_else(gpu::adapter_name_from_env) {
        Some(text) => {
            // For its error, which says what the name came from.
            gpu::choose_adapter(&adapters, name)?;
            gpu::matching_adapters(&adapters, &text)?
        }
        None => {
            if backends == Backends::Gpu {
                gpu::first_adapter(&adapters)?;
            }
            (0..adapters.len()).collect()
        }
    };
    let adapters = adapters.into_iter().zip(labels).enumerate();
    let chosen = adapters.filter(|(number, _)| chosen.contains(number));
    places.extend(chosen.map(|(_, (adapter, label))| Place::Gpu(adapter, label)));
    Ok(places)
}

impl Place {
    pub(in crate::cli) fn name(&self) -> String {
        match self {
            Place::Cpu => "CPU".into(),
            Place::Gpu(_, label) => label.clone(),
        }
    }

    pub(in crate::cli) fn adapter(&self) -> Option<Adapter> {
        let Place::Gpu(adapter, _) = self else { return None };
        let info = adapter.get_info();
        Some(Adapter {
            name: info.name.trim().into(),
            api: info.backend.to_string(),
            kind: format!("{:?}", info.device_type),
            driver: format!("{} {}", info.driver, info.driver_info).trim().into(),
            pci: Some(gpu::pci(&info)),
        })
    }

    /// Opens the device, if it is one.
    pub(super) fn open(&self, network: &Network) -> fsvae::Result<Option<Gpu>> {
        match self {
            Place::Cpu => Ok(None),
            Place::Gpu(adapter, _) => {
                pollster::block_on(Gpu::request(adapter, &gpu::required_limits(network))).map(Some)
            }
        }
    }
}

/// A generator that makes `batch` images at once, or as many as the device can.
pub(super) fn generator(
    gpu: Option<&Gpu>,
    network: &Network,
    batch: NonZeroUsize,
    variant: Variant,
) -> fsvae::Result<Generator> {
    let builder = Generator::builder(network).batch(batch).variant(variant);
    match gpu {
        None => Ok(builder.cpu()),
        Some(gpu) => pollster::block_on(builder.gpu(gpu)),
    }
}
