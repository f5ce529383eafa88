//! Where images are made: the CPU, or an adapter.

use std::num::NonZeroUsize;

use clap::ValueEnum;
use fsvae::gpu::{self, Variant};
use fsvae::{Generator, Gpu, Network, wgpu};

use super::schema::Adapter;
use crate::cli::Failure;

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
    Gpu(wgpu::Adapter),
}

/// Those that were asked for. A name is of the adapters that contain it, and of them only.
pub(in crate::cli) fn places(backends: Backends, name: Option<&str>) -> Result<Vec<Place>, Failure> {
    let mut places = Vec::new();
    match (backends, name) {
        (Backends::Cpu, Some(_)) => {
            return Err(Failure::Input("--adapter names a GPU, so it does not go with --backend cpu".into()));
        }
        (Backends::Cpu, None) => return Ok(vec![Place::Cpu]),
        (Backends::All, None) => places.push(Place::Cpu),
        (Backends::All, Some(_)) | (Backends::Gpu, _) => {}
    }
    let adapters = pollster::block_on(gpu::adapters());
    let name = name.map(str::to_owned).or_else(gpu::adapter_name_from_env);
    match &name {
        Some(name) => drop(gpu::find_adapter(&adapters, name)?),
        None if backends == Backends::Gpu => drop(gpu::first_adapter(&adapters)?),
        None => {}
    }
    let wanted = name.unwrap_or_default().to_lowercase();
    let matches =
        |adapter: &wgpu::Adapter| gpu::describe(&adapter.get_info()).to_lowercase().contains(&wanted);
    places.extend(adapters.into_iter().filter(matches).map(Place::Gpu));
    Ok(places)
}

impl Place {
    pub(in crate::cli) fn name(&self) -> String {
        match self {
            Place::Cpu => "CPU".into(),
            Place::Gpu(adapter) => gpu::describe(&adapter.get_info()),
        }
    }

    pub(in crate::cli) fn adapter(&self) -> Option<Adapter> {
        let Place::Gpu(adapter) = self else { return None };
        let info = adapter.get_info();
        Some(Adapter {
            name: info.name.trim().into(),
            api: info.backend.to_string(),
            kind: format!("{:?}", info.device_type),
            driver: format!("{} {}", info.driver, info.driver_info).trim().into(),
        })
    }

    /// Opens the device, if it is one.
    pub(super) fn open(&self, network: &Network) -> fsvae::Result<Option<Gpu>> {
        match self {
            Place::Cpu => Ok(None),
            Place::Gpu(adapter) => {
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
