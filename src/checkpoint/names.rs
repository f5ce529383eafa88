//! Which tensors of a file are the model's: a prefix that all names share, the key of a training checkpoint that
//! holds them, and tensors that do not matter.

use super::tensors::{Info, Tensors};
use crate::error::CheckpointError;

/// Tensors that every FSVAE has and that tell what stands before all names, the surest first.
const LANDMARKS: [&str; 3] = ["membrane_output_layer.coef", "before_latent_layer.weight", "encoder.0.weight"];

/// Keys that people give to the model in a training checkpoint, the most telling first.
const KEYS: [&str; 7] =
    ["state_dict", "model_state_dict", "model", "net_state_dict", "net", "network", "module"];

/// Whether a dictionary with these names holds an FSVAE.
pub(super) fn is_model<'n>(mut names: impl Iterator<Item = &'n str>) -> bool {
    names.any(|name| before(name, LANDMARKS[0]).is_some())
}

/// How likely the model lies under these keys: less is more.
pub(super) fn rank(keys: &[&str]) -> Vec<usize> {
    keys.iter().map(|key| KEYS.iter().position(|known| known == key).unwrap_or(KEYS.len())).collect()
}

/// Takes off what stands before every name, such as `module.` of `DataParallel` and `_orig_mod.` of
/// `torch.compile`. The prefix and the tensors by their plain names.
pub(super) fn take_prefix(tensors: Tensors) -> Result<(String, Tensors), CheckpointError> {
    let prefix = prefix(&tensors)?.to_owned();
    if prefix.is_empty() {
        return Ok((prefix, tensors));
    }
    let plain = |(name, info): (String, Info)| match name.strip_prefix(&prefix) {
        Some(plain) => Ok((plain.to_owned(), info)),
        None => Err(CheckpointError::Unknown(shown(&name))),
    };
    let tensors = tensors.into_iter().map(plain).collect::<Result<_, _>>()?;
    Ok((prefix, tensors))
}

fn prefix(tensors: &Tensors) -> Result<&str, CheckpointError> {
    for landmark in LANDMARKS {
        let mut found = tensors.keys().filter_map(|name| before(name, landmark));
        match (found.next(), found.next()) {
            (None, _) => {}
            // Names are sorted, but `a.` may come before a name without prefix.
            (Some(_), Some(_)) if tensors.contains_key(landmark) => return Ok(""),
            (Some(one), None) => return Ok(one),
            (Some(one), Some(other)) => {
                return Err(CheckpointError::Several(format!("`{}` and `{}`", shown(one), shown(other))));
            }
        }
    }
    Ok("")
}

fn before<'n>(name: &'n str, landmark: &str) -> Option<&'n str> {
    name.strip_suffix(landmark).filter(|before| before.is_empty() || before.ends_with('.'))
}

/// The layer whose batches a tensor counts. Inference needs no such counter, so that it may be missing or of any kind.
pub(super) fn counted_layer(name: &str) -> Option<&str> {
    name.strip_suffix(".num_batches_tracked")
}

/// Tensors that training does not change, and counters: no parameters.
pub(super) fn is_constant(name: &str) -> bool {
    counted_layer(name).is_some() || name.ends_with(".initial_input") || name == "membrane_output_layer.coef"
}

/// A text out of a file, fit for a line: control characters escaped, and cut where it is long.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut characters = text.chars();
    let mut line: String = characters.by_ref().take(LONGEST).flat_map(char::escape_debug).collect();
    if characters.next().is_some() {
        line.push_str("...");
    }
    line
}
