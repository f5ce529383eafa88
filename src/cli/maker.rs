//! Which model made a file of latents, rates or a direction: its name, family and digests are in the metadata.
//! `model_integers_sha256` of the network's integers says whether it is the same model, whatever kind of file it is in;
//! `model_sha256` of the file was all that older files had.

use std::collections::HashMap;
use std::path::Path;

use super::Failure;
use super::model::Identity;
use super::say::say;

const INTEGERS: &str = "model_integers_sha256";
const FILE: &str = "model_sha256";

#[derive(Debug, Default, clap::Args)]
pub(super) struct AnyModel {
    /// Take latents, rates or a direction of another model, too, if its sizes are the same
    #[arg(long)]
    any_model: bool,
}

impl AnyModel {
    pub(super) fn maker<'a>(&self, identity: &'a Identity) -> Maker<'a> {
        Maker { identity, any: self.any_model }
    }
}

/// Whose files are taken.
pub(super) struct Maker<'a> {
    identity: &'a Identity,
    /// Others', too.
    any: bool,
}

impl Maker<'_> {
    /// `what` a file holds may be anybody's if it says nothing of a model.
    pub(super) fn check(
        &self,
        path: &Path,
        what: &str,
        metadata: &HashMap<String, String>,
    ) -> Result<(), Failure> {
        let found = metadata.get(INTEGERS).map(|digest| (digest, self.identity.integers()));
        let found = found.or_else(|| Some((metadata.get(FILE)?, self.identity.digest.clone())));
        let Some((theirs, ours)) = found.filter(|(theirs, ours)| **theirs != *ours) else { return Ok(()) };
        let short = |digest: &str| digest.chars().take(12).collect::<String>();
        let problem = format!(
            "{}: {what} of another model, {} ({}), not of {} ({})",
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

/// What a file says of its contents and of the model that made them.
pub(super) fn metadata(what: &str, model: &Identity) -> [(&'static str, String); 5] {
    [
        ("format", format!("fsvae {what}")),
        ("model", model.name.clone()),
        ("model_family", model.family().into()),
        (FILE, model.digest.clone()),
        (INTEGERS, model.integers()),
    ]
}
