//! Latents as a safetensors file: `z`, u8 `[n, T, C]` of 0 and 1, with the model's name, family and digests in the metadata:
//! `model_integers_sha256` of the network's integers, which says whether it is the same model, whatever kind of file it
//! is in, and `model_sha256` of the file, which was all that older files had.

use std::collections::HashMap;
use std::path::Path;

use fsvae::{Architecture, Latents};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors};

use super::input::read_file;
use super::model::Identity;
use super::output::Target;
use super::say::say;
use super::{Failure, tensors};

const NAME: &str = "z";
const INTEGERS: &str = "model_integers_sha256";
const FILE: &str = "model_sha256";

#[derive(Debug, Default, clap::Args)]
pub(super) struct AnyModel {
    /// Take latents that another model made, too, if its T and C are the same
    #[arg(long)]
    any_model: bool,
}

impl AnyModel {
    pub(super) fn maker<'a>(&self, identity: &'a Identity) -> Maker<'a> {
        Maker { identity, any: self.any_model }
    }
}

/// Whose latents are taken.
pub(super) struct Maker<'a> {
    identity: &'a Identity,
    /// Others', too.
    any: bool,
}

impl Maker<'_> {
    /// Latents that say nothing of a model may be anybody's.
    fn check(&self, path: &Path, metadata: &HashMap<String, String>) -> Result<(), Failure> {
        let found = metadata.get(INTEGERS).map(|digest| (digest, self.identity.integers()));
        let found = found.or_else(|| Some((metadata.get(FILE)?, self.identity.digest.clone())));
        let Some((theirs, ours)) = found.filter(|(theirs, ours)| **theirs != *ours) else { return Ok(()) };
        let short = |digest: &str| digest.chars().take(12).collect::<String>();
        let problem = format!(
            "{}: latents of another model, {} ({}), not of {} ({})",
            path.display(),
            metadata.get("model").map_or("without a name", String::as_str),
            short(theirs),
            self.identity.name,
            short(&ours)
        );
        if !self.any {
            return Err(Failure::Input(format!("{problem}; --any-model takes them nevertheless")));
        }
        say(problem);
        Ok(())
    }
}

pub(super) fn write(target: Target, latents: &Latents, model: &Identity) -> Result<(), Failure> {
    let bytes =
        bytes(latents, model).map_err(|error| Failure::Input(format!("{}: {error}", target.shown())))?;
    target.write(&bytes)
}

/// The file of some latents.
pub(super) fn bytes(latents: &Latents, model: &Identity) -> Result<Vec<u8>, SafeTensorError> {
    let spikes = latents.to_spikes();
    let shape = vec![latents.len(), latents.time_steps(), latents.channels()];
    let metadata = [
        ("format", "fsvae latents".into()),
        ("model", model.name.clone()),
        ("model_family", model.family().into()),
        (FILE, model.digest.clone()),
        (INTEGERS, model.integers()),
    ];
    let view = TensorView::new(Dtype::U8, shape, &spikes)?;
    tensors::file([(NAME.into(), view)], &metadata)
}

/// Reads latents of the network's T and C.
pub(super) fn read(path: &Path, architecture: &Architecture, maker: &Maker<'_>) -> Result<Latents, Failure> {
    parse(path, &read_file(path)?, architecture, maker)
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
    maker: &Maker<'_>,
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
    maker.check(path, &metadata)?;
    Ok(latents)
}
