//! `--model PATH|NAME`.

use std::path::Path;

use fsvae::{Checkpoint, Error, bundled};

use super::Failure;

/// Names of the bundled checkpoints, for help and errors.
fn names() -> String {
    bundled::MODELS.map(|(name, _)| name).join(", ")
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
            Failure::Input(format!("{}: no such file, nor a bundled model ({})", path.display(), names()))
        }
        other => other.into(),
    })
}
