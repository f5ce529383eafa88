//! Safetensors files of ours: the same contents are the same bytes.

use std::collections::{BTreeMap, HashMap};

use safetensors::SafeTensorError;
use safetensors::tensor::TensorView;
use serde_json::Value;

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
