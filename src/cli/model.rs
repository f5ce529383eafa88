//! `--model PATH|NAME` and `--seed`, the same for all commands.

use std::path::{Path, PathBuf};

use fsvae::{Checkpoint, Error, Network, bundled};

use super::Failure;
use super::report::digest;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A checkpoint file, or a bundled model: mnist, fashion, cifar10
    #[arg(long, value_name = "PATH|NAME", default_value = "mnist")]
    model: PathBuf,
    /// Any 64-bit number; another seed makes other draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) seed: u64,
}

/// What a latents file remembers of a model.
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) digest: String,
}

impl Arguments {
    /// The checkpoint, if it is a file.
    pub(super) fn file(&self) -> Option<&Path> {
        Some(self.model.as_path()).filter(|model| model.to_str().and_then(Checkpoint::bundled).is_none())
    }

    pub(super) fn network(&self) -> Result<Network, Failure> {
        Ok(Network::new(&open(&self.model)?)?)
    }

    pub(super) fn network_and_identity(&self) -> Result<(Network, Identity), Failure> {
        let checkpoint = open(&self.model)?;
        let name =
            self.model.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Ok((Network::new(&checkpoint)?, Identity { name, digest: digest(checkpoint.as_bytes()) }))
    }
}

/// A bundled checkpoint by its name, any other by its path. `./mnist` is a file, `mnist` is not.
pub(super) fn open(model: &Path) -> Result<Checkpoint<'static>, Failure> {
    if let Some(bundled) = model.to_str().and_then(Checkpoint::bundled) {
        return Ok(bundled?);
    }
    Checkpoint::open(model).map_err(|error| match error {
        Error::Read { path, source }
            if source.kind() == std::io::ErrorKind::NotFound && path.extension().is_none() =>
        {
            let names = bundled::MODELS.map(|(name, _)| name).join(", ");
            Failure::Input(format!("{}: no such file, nor a bundled model ({names})", path.display()))
        }
        other => other.into(),
    })
}
