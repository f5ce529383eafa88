//! `--kernels`, and what calibrations found: a file in the cache directory for each adapter, driver and network's sizes.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use fsvae::gpu::{Calibration, Variant, calibrate, is_software};
use fsvae::{Architecture, Gpu, Network, wgpu};
use serde::{Deserialize, Serialize};

use super::kernel_cache::{directory, fingerprint, keep};

/// So many images are worth a calibration that was not made yet.
const WORTHWHILE: u64 = 1024;
/// Images of a batch that is timed: on a software adapter that takes seconds.
const BATCH: usize = 256;
const SOFTWARE_BATCH: usize = 16;

/// Which variant of the kernels is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Kernels {
    /// What a calibration found to be fastest; it is made for 1024 images and more, and remembered
    #[default]
    Auto,
    /// All inputs are computed with
    Dense,
    /// Silent inputs are jumped over
    Branches,
    /// Inputs that spike are found by their bits
    Events,
    /// The decoder goes step by step and adds spikes only
    Quads,
}

impl Kernels {
    /// The variant to run `count` images with. What cannot be calibrated or remembered costs time and nothing else.
    pub(super) fn variant(self, gpu: &Gpu, network: &Network, count: u64) -> Variant {
        match self {
            Kernels::Dense => Variant::Dense,
            Kernels::Branches => Variant::Branches,
            Kernels::Events => Variant::Events,
            Kernels::Quads => Variant::Quads,
            Kernels::Auto => {
                let found = found(gpu.info(), network.architecture());
                let worthwhile = count >= WORTHWHILE;
                let found = found.or_else(|| worthwhile.then(|| make(gpu, network).ok())?);
                found.map(|found| found.variant()).unwrap_or_default()
            }
        }
    }
}

/// A calibration as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Found {
    /// Name of the fastest variant.
    pub(super) best: String,
    /// Milliseconds of an image; null for a variant whose images were wrong.
    pub(super) milliseconds: Vec<(String, Option<f64>)>,
    /// Images of the batches that were timed.
    pub(super) batch: usize,
}

impl Found {
    pub(super) fn variant(&self) -> Variant {
        self.best.parse().unwrap_or_default()
    }

    fn new(calibration: &Calibration, batch: usize) -> Self {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        let times = calibration.times.iter();
        Found {
            best: calibration.best.to_string(),
            milliseconds: times
                .map(|&(variant, time)| (variant.to_string(), time.map(milliseconds)))
                .collect(),
            batch,
        }
    }
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (ms an image at batch {}:", self.best, self.batch)?;
        for (i, (variant, time)) in self.milliseconds.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            match time {
                Some(time) => write!(f, "{comma} {variant} {time:.2}")?,
                None => write!(f, "{comma} {variant} WRONG")?,
            }
        }
        f.write_str(")")
    }
}

/// Calibrates and remembers.
///
/// # Errors
/// As [`calibrate`].
pub(super) fn make(gpu: &Gpu, network: &Network) -> fsvae::Result<Found> {
    let found = measure(gpu, network, if is_software(gpu.info()) { SOFTWARE_BATCH } else { BATCH })?;
    if let (Some(path), Ok(text)) = (path(gpu.info(), network.architecture()), serde_json::to_vec(&found)) {
        keep(&path, &text);
    }
    Ok(found)
}

/// Calibrates with batches of `batch` images.
///
/// # Errors
/// As [`calibrate`].
pub(super) fn measure(gpu: &Gpu, network: &Network, batch: usize) -> fsvae::Result<Found> {
    let size = NonZeroUsize::new(batch).unwrap_or(NonZeroUsize::MIN);
    Ok(Found::new(&pollster::block_on(calibrate(gpu, network, size))?, batch))
}

/// What an earlier calibration of this adapter and driver found for networks of these sizes.
pub(super) fn found(info: &wgpu::AdapterInfo, architecture: &Architecture) -> Option<Found> {
    serde_json::from_slice(&std::fs::read(path(info, architecture)?).ok()?).ok()
}

fn path(info: &wgpu::AdapterInfo, architecture: &Architecture) -> Option<PathBuf> {
    let key = fingerprint(info, &format!("{architecture:?}"));
    Some(directory()?.join(format!("calibration_{key:016x}.json")))
}
