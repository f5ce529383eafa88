//! `--model PATH|NAME` and `--seed`, the same for all commands.

use std::path::{Path, PathBuf};

use fsvae::{Checkpoint, Error, Network, bundled};

use super::Failure;
use super::report::digest;

#[derive(Debug, clap::Args)]
pub(super) struct Model {
    #[arg(long, value_name = "PATH|NAME", help = what(), default_value = default())]
    model: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    model: Model,
    /// Any 64-bit number; another seed makes other draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) seed: u64,
}

/// What a latents file remembers of a model.
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) digest: String,
}

impl Model {
    /// What was asked for, or the first of the bundled models.
    fn path(&self) -> Result<&Path, Failure> {
        let none = || Failure::Input(format!("--model PATH is needed; bundled models: {}", bundled::names()));
        self.model.as_deref().ok_or_else(none)
    }

    pub(super) fn network(&self) -> Result<Network, Failure> {
        Ok(Network::new(&open(self.path()?)?)?)
    }
}

impl Arguments {
    pub(super) fn network(&self) -> Result<Network, Failure> {
        self.model.network()
    }

    pub(super) fn network_and_identity(&self) -> Result<(Network, Identity), Failure> {
        let path = self.model.path()?;
        let checkpoint = open(path)?;
        let name = path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Ok((Network::new(&checkpoint)?, Identity { name, digest: digest(checkpoint.as_bytes()) }))
    }
}

/// The help of an argument that takes a model.
pub(super) fn what() -> String {
    format!("A checkpoint file, or a bundled model ({})", bundled::names())
}

fn default() -> Option<&'static str> {
    bundled::MODELS.first().map(|(name, _)| *name)
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
            let names = bundled::names();
            Failure::Input(format!("{}: no such file, nor a bundled model ({names})", path.display()))
        }
        other => other.into(),
    })
}
