//! Safetensors files of ours: the same contents are the same bytes.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::path::Path;

use fsvae::recognize;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors};
use serde_json::Value;

use super::Failure;
use super::latents_file::is_safetensors;
use super::maker::metadata;
use super::model::Identity;
use super::output::Target;

/// A kind of file that holds one tensor of a model.
pub(super) struct Kind {
    pub(super) tensor: &'static str,
    pub(super) dtype: Dtype,
    /// What it is, in words.
    pub(super) what: &'static str,
}

/// What such a file holds.
pub(super) struct Held<'a> {
    pub(super) shape: Vec<usize>,
    pub(super) data: &'a [u8],
    pub(super) metadata: HashMap<String, String>,
}

impl Kind {
    /// The file of a tensor, with the model that made it.
    pub(super) fn bytes(
        &self,
        shape: Vec<usize>,
        data: &[u8],
        model: &Identity,
    ) -> Result<Vec<u8>, SafeTensorError> {
        let view = TensorView::new(self.dtype, shape, data)?;
        file([(self.tensor.into(), view)], &metadata(self.what, model))
    }

    /// Writes [`Kind::bytes`].
    pub(super) fn write(
        &self,
        target: Target,
        shape: Vec<usize>,
        data: &[u8],
        model: &Identity,
    ) -> Result<(), Failure> {
        let named = |error: SafeTensorError| Failure::Input(format!("{}: {error}", target.shown()));
        let bytes = self.bytes(shape, data, model).map_err(named)?;
        target.write(&bytes)
    }

    /// The tensor in the bytes of a file; its shape is still to be looked at.
    pub(super) fn parse<'a>(&self, path: &Path, bytes: &'a [u8]) -> Result<Held<'a>, Failure> {
        let Kind { tensor, dtype, what } = self;
        let of = if what.ends_with('s') { (*what).to_owned() } else { format!("a {what}") };
        let named = |problem: String| Failure::Input(format!("{}: {problem}", path.display()));
        let container = |error: SafeTensorError| match fsvae::image::guess_format(bytes) {
            Ok(format) => {
                let name =
                    format.extensions_str().first().map_or_else(String::new, |name| name.to_uppercase());
                named(format!("expected a safetensors file of {of}, found a picture ({name})"))
            }
            Err(_) => match recognize(bytes).filter(|_| !is_safetensors(bytes)) {
                Some(found) => named(format!("expected a safetensors file of {of}, found {found}")),
                None => named(format!("not a valid safetensors file: {error}")),
            },
        };
        let file = SafeTensors::deserialize(bytes).map_err(container)?;
        let view = file.tensor(tensor).map_err(|_| {
            named(format!("tensor `{tensor}` is missing: this holds no {what}{}", instead(&file, bytes)))
        })?;
        if view.dtype() != *dtype {
            let found = view.dtype();
            return Err(named(format!("tensor `{tensor}`: expected dtype {dtype:?}, found {found:?}")));
        }
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(container)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        Ok(Held { shape: view.shape().to_vec(), data: view.data(), metadata })
    }

    /// Another shape was expected.
    pub(super) fn shape(&self, path: &Path, expected: &str, found: &[usize]) -> Failure {
        self.value(path, &format_args!("expected shape {expected}, found {found:?}"))
    }

    /// Something is wrong with the numbers.
    pub(super) fn value(&self, path: &Path, problem: &dyn Display) -> Failure {
        Failure::Input(format!("{}: tensor `{}`: {problem}", path.display(), self.tensor))
    }
}

/// What `fsvae spikes` calls its files.
pub(super) const SPIKES: &str = "fsvae spikes";

/// Tensors of files that are easily taken for each other, what they are, and who takes them.
const KINDS: [(&str, &str); 4] = [
    ("z", "latents, which `fsvae decode` takes"),
    ("rates", "rates, which --rates takes"),
    ("direction", "a direction, which --along takes"),
    ("membrane_output_layer.coef", "a model, which --model takes"),
];

/// What a file holds instead, if that is known.
fn instead(file: &SafeTensors<'_>, bytes: &[u8]) -> String {
    if let Some((_, what)) = KINDS.iter().find(|(tensor, _)| file.tensor(tensor).is_ok()) {
        return format!(" but {what}");
    }
    // A file of ours says what it holds. All spikes are for other programs.
    let header = SafeTensors::read_metadata(bytes).ok();
    let format = header.and_then(|(_, header)| header.metadata().as_ref()?.get("format").cloned());
    if format.as_deref() == Some(SPIKES) {
        return " but spikes of a model's layers, which no command takes".into();
    }
    match file.names().first() {
        Some(first) => format!(" but `{first}`{}", if file.len() > 1 { " and others" } else { "" }),
        None => " and nothing else".into(),
    }
}

/// Whether bytes are a safetensors file with such a tensor.
pub(super) fn has(bytes: &[u8], tensor: &str) -> bool {
    SafeTensors::deserialize(bytes).is_ok_and(|file| file.tensor(tensor).is_ok())
}

/// A file of some tensors. (The crate takes metadata without an order and writes them in any.)
pub(super) fn file<'a>(
    tensors: impl IntoIterator<Item = (String, TensorView<'a>)>,
    metadata: &[(&str, String)],
) -> Result<Vec<u8>, SafeTensorError> {
    let metadata: HashMap<String, String> =
        metadata.iter().map(|(key, value)| ((*key).into(), value.clone())).collect();
    let mut bytes = safetensors::serialize(tensors, Some(metadata))?;
    let length = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length) as usize);
    let header = &mut bytes[8..8 + length];
    let entries: BTreeMap<String, BTreeMap<String, Value>> =
        serde_json::from_slice(header).map_err(SafeTensorError::InvalidHeaderDeserialization)?;
    let mut ordered = serde_json::to_vec(&entries).map_err(SafeTensorError::InvalidHeaderDeserialization)?;
    // The tensors' place stays the same: what is left is blank, as it was.
    ordered.resize(length, b' ');
    header.copy_from_slice(&ordered);
    Ok(bytes)
}
