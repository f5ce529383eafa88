//! Latents as a safetensors file: `z`, u8 `[n, T, C]` of 0 and 1, with the model's name and digest in
//! the metadata.

use std::collections::HashMap;
use std::path::Path;

use fsvae::{Architecture, Latents};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors};

use super::Failure;
use super::input::read_file;
use super::model::Identity;
use super::output::Target;
use super::say::say;

const NAME: &str = "z";

pub(super) fn write(target: Target, latents: &Latents, model: &Identity) -> Result<(), Failure> {
    let spikes = latents.to_spikes();
    let shape = vec![latents.len(), latents.time_steps(), latents.channels()];
    let metadata = HashMap::from([
        ("format".into(), "fsvae latents".into()),
        ("model".into(), model.name.clone()),
        ("model_sha256".into(), model.digest.clone()),
    ]);
    let bytes = TensorView::new(Dtype::U8, shape, &spikes)
        .and_then(|view| safetensors::serialize([(NAME, view)], Some(metadata)))
        .map_err(|error| Failure::Input(format!("{}: {error}", target.shown())))?;
    target.write(&bytes)
}

/// Reads latents of the network's T and C. If another model made them, a line says so.
pub(super) fn read(path: &Path, architecture: &Architecture, model: &Identity) -> Result<Latents, Failure> {
    parse(path, &read_file(path)?, architecture, model)
}

/// Whether bytes are a safetensors file rather than a picture: a length of 64 bits, then JSON.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    let (length, header) = bytes.split_at(bytes.len().min(8));
    let length = length.try_into().map_or(u64::MAX, u64::from_le_bytes);
    length <= header.len() as u64 && header.starts_with(b"{")
}

/// [`read`] of the bytes of a file.
pub(super) fn parse(
    path: &Path,
    bytes: &[u8],
    architecture: &Architecture,
    model: &Identity,
) -> Result<Latents, Failure> {
    let named = |problem: String| Failure::Input(format!("{}: {problem}", path.display()));
    let container = |error: SafeTensorError| named(format!("not a valid safetensors file: {error}"));
    let file = SafeTensors::deserialize(bytes).map_err(container)?;
    let z =
        file.tensor(NAME).map_err(|_| named(format!("tensor `{NAME}` is missing: this holds no latents")))?;
    if z.dtype() != Dtype::U8 {
        return Err(named(format!("tensor `{NAME}`: expected dtype U8, found {:?}", z.dtype())));
    }
    let (steps, channels) = (architecture.time_steps, architecture.latent_channels);
    match *z.shape() {
        [_, found_steps, found_channels] if (found_steps, found_channels) == (steps, channels) => {}
        ref found => {
            let expected = format!("[n, {steps}, {channels}], the model's T and C");
            return Err(named(format!("tensor `{NAME}`: expected shape {expected}, found {found:?}")));
        }
    }
    if z.data().is_empty() {
        return Err(named(format!("tensor `{NAME}` holds no latents")));
    }
    let latents = Latents::from_spikes(steps, channels, z.data())
        .map_err(|error| named(format!("tensor `{NAME}`: {error}")))?;

    let (_, header) = SafeTensors::read_metadata(bytes).map_err(container)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    if let Some(other) = metadata.get("model_sha256").filter(|digest| **digest != model.digest) {
        let name = metadata.get("model").map_or("?", String::as_str);
        say(format!("{}: made with another model, {name} ({other})", path.display()));
    }
    Ok(latents)
}
