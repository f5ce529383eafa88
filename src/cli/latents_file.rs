//! Latents as a safetensors file: `z`, u8 `[n, T, C]` of 0 and 1.

use std::path::Path;

use fsvae::{Architecture, Latents};
#[cfg(fuzzing)]
use safetensors::SafeTensorError;
use safetensors::tensor::Dtype;

use super::Failure;
use super::input::read_file;
use super::maker::Maker;
use super::model::Identity;
use super::output::Target;
use super::tensors::Kind;

const LATENTS: Kind = Kind { tensor: "z", dtype: Dtype::U8, what: "latents" };

pub(super) fn write(target: Target, latents: &Latents, model: &Identity) -> Result<(), Failure> {
    LATENTS.write(target, shape(latents), &latents.to_spikes(), model)
}

fn shape(latents: &Latents) -> Vec<usize> {
    vec![latents.len(), latents.time_steps(), latents.channels()]
}

/// The file of some latents.
#[cfg(fuzzing)]
pub(super) fn bytes(latents: &Latents, model: &Identity) -> Result<Vec<u8>, SafeTensorError> {
    LATENTS.bytes(shape(latents), &latents.to_spikes(), model)
}

/// Reads latents of the network's T and C.
pub(super) fn read(path: &Path, architecture: &Architecture, maker: &Maker<'_>) -> Result<Latents, Failure> {
    parse(path, &read_file(path)?, architecture, maker)
}

/// Whether bytes are a safetensors file rather than a picture: a length of 64 bits, then JSON.
pub(super) fn is_safetensors(bytes: &[u8]) -> bool {
    let (length, header) = bytes.split_at(bytes.len().min(8));
    let length = length.try_into().map_or(u64::MAX, u64::from_le_bytes);
    length <= header.len() as u64 && header.starts_with(b"{")
}

/// [`read`] of the bytes of a file.
pub(super) fn parse(
    path: &Path,
    bytes: &[u8],
    architecture: &Architecture,
    maker: &Maker<'_>,
) -> Result<Latents, Failure> {
    let (steps, channels) = (architecture.time_steps, architecture.latent_channels);
    let file = LATENTS.parse(path, bytes)?;
    if !matches!(file.shape[..], [_, t, c] if (t, c) == (steps, channels)) {
        let expected = format!("[n, {steps}, {channels}], the model's T and C");
        return Err(LATENTS.shape(path, &expected, &file.shape));
    }
    if file.data.is_empty() {
        return Err(Failure::Input(format!("{}: tensor `z` holds no latents", path.display())));
    }
    let latents = Latents::from_spikes(steps, channels, file.data);
    let latents = latents.map_err(|error| LATENTS.value(path, &error))?;
    maker.check(path, "latents", &file.metadata)?;
    Ok(latents)
}
