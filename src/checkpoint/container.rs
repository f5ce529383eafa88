//! What kind of file some bytes are, and the tensors of a safetensors file.

use safetensors::{SafeTensorError, SafeTensors};

use super::foreign;
use super::tensors::{Info, Tensors};
use crate::error::CheckpointError;

/// So many bytes of a file tell what it is.
pub(super) const HEAD: usize = 4096;
/// safetensors' own limit of the header.
const LONGEST_HEADER: u64 = 100_000_000;

/// The kinds of files that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Safetensors,
    /// A zip archive; whether PyTorch's is still to be seen.
    Zip,
}

/// What the first [`HEAD`] bytes of a file of `length` bytes tell. Where the length is not known, it is `u64::MAX`.
pub(super) fn detect(head: &[u8], length: u64) -> Result<Container, CheckpointError> {
    let header = head.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
    let plausible = head.get(8) == Some(&b'{') && header <= LONGEST_HEADER;
    if !plausible {
        if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
            return Ok(Container::Zip);
        }
        if let Some((what, advice)) = foreign::identify(head) {
            return Err(CheckpointError::Foreign { what, advice });
        }
    }
    let container = |problem: String| Err(CheckpointError::Container(problem));
    if head.is_empty() {
        return container("the file is empty".into());
    }
    if head.len() < 8 {
        return container(format!("expected a header length of 8 bytes, only {} bytes", head.len()));
    }
    if header == 0 {
        return container("its header is empty".into());
    }
    if header > length.saturating_sub(8) || header > LONGEST_HEADER {
        return Err(header_too_long(header, length));
    }
    Ok(Container::Safetensors)
}

fn header_too_long(header: u64, file: u64) -> CheckpointError {
    let has = if file == u64::MAX { String::new() } else { format!(", the file has {file}") };
    CheckpointError::Container(format!("its header claims {header} bytes{has}"))
}

pub(super) fn read_safetensors(bytes: &[u8]) -> Result<Tensors, CheckpointError> {
    let (header, metadata) =
        SafeTensors::read_metadata(bytes).map_err(|error| safetensors_problem(&error, bytes))?;
    let start = header + 8;
    let tensors = metadata.tensors().into_iter().map(|(name, info)| {
        let bytes = start + info.data_offsets.0..start + info.data_offsets.1;
        (name, Info { dtype: info.dtype, shape: info.shape.clone(), strides: None, bytes })
    });
    Ok(tensors.collect())
}

fn safetensors_problem(error: &SafeTensorError, bytes: &[u8]) -> CheckpointError {
    let length = bytes.len() as u64;
    match error {
        SafeTensorError::InvalidHeaderLength | SafeTensorError::HeaderTooLarge => {
            let header = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
            header_too_long(header, length)
        }
        SafeTensorError::MetadataIncompleteBuffer => CheckpointError::Container(format!(
            "the tensors its header lists do not end where the file ends, at {length} bytes \
             (truncated, or with bytes appended)"
        )),
        SafeTensorError::InvalidOffset(name) => CheckpointError::Container(format!(
            "the data of tensor `{}` overlaps the one before it or leaves a gap",
            super::names::shown(name)
        )),
        SafeTensorError::TensorInvalidInfo => {
            CheckpointError::Container("a tensor's data offsets do not fit its dtype and shape".into())
        }
        other => CheckpointError::Container(other.to_string().replace('\n', " ")),
    }
}
