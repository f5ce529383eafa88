//! `--kernels`, and what calibrations found: a file in the cache directory for each adapter, driver and network's sizes.

use std::path::PathBuf;

use clap::ValueEnum;
use fsvae::bench::Found;
use fsvae::gpu::{Variant, Variants};
use fsvae::{Architecture, Gpu, Network, wgpu};

use super::kernel_cache::{directory, fingerprint, keep};

/// So many images are worth a calibration that was not made yet.
const WORTHWHILE: u64 = 1024;

/// Which variant of the kernels is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Kernels {
    /// The fastest for each layer, as a calibration found; from 1024 images on one is made, and remembered
    #[default]
    Auto,
    /// All inputs are computed, spike or none
    Dense,
    /// Inputs without a spike are jumped over
    Branches,
    /// Inputs with a spike are found by their bits
    Events,
    /// The decoder goes one time step after the other, and adds for spikes only
    Quads,
    /// As events, with loops that the kernels count: for a driver that makes something wrong of the others
    Checked,
    /// As events, with products of weights and spikes: for GPUs that multiply beside they add
    Products,
    /// As products, several invocations for an output: for a few images at a time
    Shared,
}

impl Kernels {
    /// The variants to run `count` images with. What cannot be calibrated or remembered costs time and nothing else.
    pub(super) fn variants(self, gpu: &Gpu, network: &Network, count: u64) -> Variants {
        match self {
            Kernels::Dense => Variant::Dense.into(),
            Kernels::Branches => Variant::Branches.into(),
            Kernels::Events => Variant::Events.into(),
            Kernels::Quads => Variant::Quads.into(),
            Kernels::Checked => Variant::Checked.into(),
            Kernels::Products => Variant::Products.into(),
            Kernels::Shared => Variant::Shared.into(),
            Kernels::Auto => {
                let found = found(gpu.info(), network.architecture());
                let worthwhile = count >= WORTHWHILE;
                let found = found.or_else(|| worthwhile.then(|| make(gpu, network).ok())?);
                found.map(|found| found.variants()).unwrap_or_default()
            }
        }
    }
}

/// Calibrates and remembers.
///
/// # Errors
/// As [`fsvae::gpu::calibrate`].
pub(super) fn make(gpu: &Gpu, network: &Network) -> fsvae::Result<Found> {
    let batch = Found::usual_batch(gpu.info());
    let found = pollster::block_on(Found::calibrate(gpu, network, batch))?;
    remember(gpu.info(), network.architecture(), &found);
    Ok(found)
}

/// For networks of these sizes on this adapter and driver.
pub(super) fn remember(info: &wgpu::AdapterInfo, architecture: &Architecture, found: &Found) {
    if let (Some(path), Ok(text)) = (path(info, architecture), serde_json::to_vec(found)) {
        keep(&path, &text);
    }
}

/// What an earlier calibration of this adapter and driver found for networks of these sizes.
pub(super) fn found(info: &wgpu::AdapterInfo, architecture: &Architecture) -> Option<Found> {
    serde_json::from_slice(&std::fs::read(path(info, architecture)?).ok()?).ok()
}

fn path(info: &wgpu::AdapterInfo, architecture: &Architecture) -> Option<PathBuf> {
    // 3: for each layer and the sampler, with products and shared inputs.
    let key = fingerprint(info, &format!("3 {architecture:?}"));
    Some(directory()?.join(format!("calibration_{key:016x}.json")))
}
