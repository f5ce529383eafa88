//! A checkpoint: named tensors with every name, type, shape and value checked
//! (integer machine, section 1).

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use safetensors::{SafeTensorError, SafeTensors};

use crate::architecture::Architecture;
use crate::error::{CheckpointError, Error, Result};
use crate::floats::in_default_state;

/// No FSVAE is larger, and a device that never ends is not read for ever.
const LARGEST_FILE: u64 = 1 << 32;

/// A checked FSVAE checkpoint in the reference implementation's tensor names.
///
/// It holds the file's bytes once, as they are (f32, f16 or bf16); elements are widened one at a
/// time where they are used.
pub struct Checkpoint<'a> {
    origin: String,
    bytes: Cow<'a, [u8]>,
    data_start: usize,
    metadata: Metadata,
    architecture: Architecture,
}

impl std::fmt::Debug for Checkpoint<'_> {
    /// Without the megabytes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Checkpoint { origin, architecture, .. } = self;
        f.debug_struct("Checkpoint")
            .field("origin", origin)
            .field("architecture", architecture)
            .finish_non_exhaustive()
    }
}

impl Checkpoint<'static> {
    /// Reads and checks a safetensors file.
    ///
    /// # Errors
    /// [`Error::Read`] if the file cannot be read, [`Error::Checkpoint`] if it is not an FSVAE.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let origin = path.display().to_string();
        let read = |source| Error::Read { path: path.into(), source };
        let mut file = File::open(path).map_err(read)?;
        let kind = file.metadata().map_err(read)?;
        if kind.is_dir() {
            return Err(read(std::io::ErrorKind::IsADirectory.into()));
        }
        // The header tells the file's whole length, so a damaged or foreign file of many gigabytes
        // is refused after its first eight bytes.
        let mut bytes = Vec::new();
        file.by_ref().take(8).read_to_end(&mut bytes).map_err(read)?;
        let checked = check_start(&bytes).and_then(|()| match header_length(&bytes) {
            0 => Err(CheckpointError::Container("its header is empty".into())),
            length if kind.is_file() && length.saturating_add(8) > kind.len() => {
                Err(header_too_long(length, kind.len()))
            }
            _ => Ok(()),
        });
        checked.map_err(|problem| Error::Checkpoint { origin: origin.clone(), problem })?;
        if kind.is_file() {
            bytes.reserve_exact(usize::try_from(kind.len()).unwrap_or(0).saturating_sub(8));
        }
        file.take(LARGEST_FILE).read_to_end(&mut bytes).map_err(read)?;
        Checkpoint::parse(origin, Cow::Owned(bytes))
    }

    /// One of the checkpoints of `assets/` that are compiled in: `"mnist"`, `"fashion"` or `"cifar10"`.
    /// `None` if there is none of that name.
    ///
    /// # Errors
    /// None for the checkpoints that are shipped.
    #[cfg(feature = "bundled")]
    pub fn bundled(name: &str) -> Option<Result<Self>> {
        let (_, bytes) = crate::bundled::MODELS.iter().find(|(known, _)| *known == name)?;
        Some(Checkpoint::parse(name.into(), Cow::Borrowed(bytes)))
    }
}

impl<'a> Checkpoint<'a> {
    /// Checks a safetensors file that is already in memory. Nothing is copied.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the bytes are not an FSVAE.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self> {
        Checkpoint::parse("checkpoint".into(), Cow::Borrowed(bytes))
    }

    /// The sizes of the network.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Where the bytes came from, as error messages name it.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Number of elements of all tensors, batch-norm counters and constants apart.
    pub fn parameters(&self) -> usize {
        let counted = |name: &str| {
            !name.ends_with(".num_batches_tracked")
                && !name.ends_with(".initial_input")
                && name != "membrane_output_layer.coef"
        };
        let tensors = self.metadata.tensors();
        let sizes = tensors.iter().filter(|(name, _)| counted(name));
        sizes.map(|(_, info)| info.shape.iter().product::<usize>()).sum()
    }

    /// Length of the file in bytes.
    pub fn file_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The whole file, for digests.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn error(&self, problem: CheckpointError) -> Error {
        Error::Checkpoint { origin: self.origin.clone(), problem }
    }

    /// A tensor that [`Architecture::tensors`] lists; its presence was checked on load.
    pub(crate) fn tensor(&self, name: &str) -> Result<Tensor<'_>> {
        let missing = || self.error(CheckpointError::Missing(name.into()));
        let info = self.metadata.info(name).ok_or_else(missing)?;
        Ok(self.view(info))
    }

    fn view(&self, info: &TensorInfo) -> Tensor<'_> {
        let (start, end) = info.data_offsets;
        let bytes = &self.bytes[self.data_start + start..self.data_start + end];
        Tensor { dtype: info.dtype, bytes }
    }

    fn parse(origin: String, bytes: Cow<'a, [u8]>) -> Result<Self> {
        trace!("fsvae.load");
        let parsed = check_start(&bytes).and_then(|()| {
            let (header, metadata) =
                SafeTensors::read_metadata(&bytes).map_err(|error| container_problem(&error, &bytes))?;
            Ok((header + 8, Architecture::infer(&metadata)?, metadata))
        });
        match parsed {
            Ok((data_start, architecture, metadata)) => {
                let checkpoint = Checkpoint { origin, bytes, data_start, metadata, architecture };
                checkpoint.check().map_err(|problem| checkpoint.error(problem))?;
                Ok(checkpoint)
            }
            Err(problem) => Err(Error::Checkpoint { origin, problem }),
        }
    }

    /// Names, types and shapes first, then values: a wrong shape explains more than a wrong value.
    fn check(&self) -> Result<(), CheckpointError> {
        let expected = self.architecture.tensors();
        for (name, shape) in &expected {
            self.check_kind(name, shape, "F32, F16 or BF16", &[Dtype::F32, Dtype::F16, Dtype::BF16])?;
        }
        let mut known: Vec<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
        let counters: Vec<String> = known
            .iter()
            .filter_map(|name| Some(format!("{}.num_batches_tracked", name.strip_suffix(".running_var")?)))
            .collect();
        for name in &counters {
            self.check_kind(name, &[], "I64", &[Dtype::I64])?;
        }
        known.extend(counters.iter().map(String::as_str));
        known.sort_unstable();
        let mut present = self.metadata.offset_keys();
        present.sort_unstable();
        if let Some(unknown) = present.iter().find(|name| known.binary_search(&name.as_str()).is_err()) {
            return Err(CheckpointError::Unknown(unknown.clone()));
        }
        for (name, _) in &expected {
            self.check_values(name)?;
        }
        Ok(())
    }

    fn check_kind(
        &self,
        name: &str,
        shape: &[usize],
        dtypes: &'static str,
        allowed: &[Dtype],
    ) -> Result<(), CheckpointError> {
        let missing = || CheckpointError::Missing(name.into());
        let info = self.metadata.info(name).ok_or_else(missing)?;
        if info.shape != shape {
            return Err(CheckpointError::Shape {
                tensor: name.into(),
                expected: format!("{shape:?}"),
                found: info.shape.clone(),
            });
        }
        if !allowed.contains(&info.dtype) {
            return Err(CheckpointError::Dtype {
                tensor: name.into(),
                expected: dtypes,
                found: format!("{:?}", info.dtype),
            });
        }
        Ok(())
    }

    fn check_values(&self, name: &str) -> Result<(), CheckpointError> {
        let (allowed, expected): (fn(f64) -> bool, _) = if name.ends_with(".running_var") {
            (|value| value.is_finite() && value >= 0.0, "a finite number, not negative")
        } else if name.ends_with(".initial_input") {
            (|value| value == 0.0, "0")
        } else {
            (f64::is_finite, "a finite number")
        };
        let info = self.metadata.info(name).ok_or_else(|| CheckpointError::Missing(name.into()))?;
        let tensor = self.view(info);
        let mut elements = (0..tensor.len()).map(|element| (element, tensor.get(element)));
        let wrong = in_default_state(|| elements.find(|&(_, value)| !allowed(value)));
        wrong.map_or(Ok(()), |(element, value)| {
            Err(CheckpointError::Value { tensor: name.into(), element, value, expected })
        })
    }
}

/// A view of one floating-point tensor's elements in the file's order.
#[derive(Clone, Copy)]
pub(crate) struct Tensor<'a> {
    dtype: Dtype,
    bytes: &'a [u8],
}

impl Tensor<'_> {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() / self.width()
    }

    fn width(&self) -> usize {
        if self.dtype == Dtype::F32 { 4 } else { 2 }
    }

    /// The element widened exactly to double precision.
    pub(crate) fn get(&self, element: usize) -> f64 {
        let at = element * self.width();
        let pair = |at: usize| [self.bytes[at], self.bytes[at + 1]];
        match self.dtype {
            Dtype::F16 => f16::from_le_bytes(pair(at)).to_f64(),
            Dtype::BF16 => bf16::from_le_bytes(pair(at)).to_f64(),
            _ => {
                let ([a, b], [c, d]) = (pair(at), pair(at + 2));
                f64::from(f32::from_le_bytes([a, b, c, d]))
            }
        }
    }
}

/// What the first bytes can already tell.
fn check_start(bytes: &[u8]) -> Result<(), CheckpointError> {
    // torch.save writes a zip archive since PyTorch 1.6, a bare pickle (protocol 2) before.
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(&[0x80, 2]) {
        return Err(CheckpointError::Pickle);
    }
    if bytes.len() < 8 {
        let found =
            if bytes.is_empty() { "the file is empty".into() } else { format!("only {} bytes", bytes.len()) };
        return Err(CheckpointError::Container(format!("expected a header length of 8 bytes, {found}")));
    }
    Ok(())
}

fn header_length(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length))
}

fn header_too_long(header: u64, file: u64) -> CheckpointError {
    CheckpointError::Container(format!("its header claims {header} bytes, the file has {file}"))
}

fn container_problem(error: &SafeTensorError, bytes: &[u8]) -> CheckpointError {
    let (length, header) = (bytes.len() as u64, header_length(bytes));
    match error {
        SafeTensorError::InvalidHeaderLength | SafeTensorError::HeaderTooLarge => {
            header_too_long(header, length)
        }
        SafeTensorError::MetadataIncompleteBuffer => CheckpointError::Container(format!(
            "the tensors its header lists do not end where the file ends, at {length} bytes \
             (truncated, or with bytes appended)"
        )),
        SafeTensorError::InvalidOffset(name) => CheckpointError::Container(format!(
            "the data of tensor `{name}` overlaps the one before it or leaves a gap"
        )),
        SafeTensorError::TensorInvalidInfo => {
            CheckpointError::Container("a tensor's data offsets do not fit its dtype and shape".into())
        }
        other => CheckpointError::Container(other.to_string().replace('\n', " ")),
    }
}
