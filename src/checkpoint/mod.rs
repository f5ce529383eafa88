//! A checkpoint: named tensors with every name, type, shape and value checked
//! (integer machine, section 1).
//!
//! `container`, `foreign` and `signatures` tell what a file is, `torch_zip` and `pickle` read PyTorch's, `names` says which
//! tensors are the model's.

mod checksum;
mod container;
mod foreign;
mod names;
mod objects;
mod opcodes;
mod pickle;
mod signatures;
mod tensors;
mod torch_zip;

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use container::Container;
#[cfg(feature = "cli")]
pub use foreign::not_a_picture;
pub use foreign::recognize;
use names::shown;
use safetensors::tensor::Dtype;
#[cfg(feature = "cli")]
pub use signatures::{PICTURE_HEAD, begins_as_picture};
pub(crate) use tensors::{Tensor, Tensors};

use crate::architecture::Architecture;
use crate::error::{CheckpointError, Error, Result};
use crate::floats::in_default_state;

/// No FSVAE is larger, and a device that never ends is not read for ever.
const LARGEST_FILE: u64 = 1 << 32;

/// A checked checkpoint of an FSVAE or ESVAE in the reference implementations' tensor names. Which of them it is, its
/// tensors tell.
///
/// It holds the file's bytes once, as they are (f32, f16 or bf16); elements are widened one at a
/// time where they are used.
pub struct Checkpoint<'a> {
    origin: String,
    bytes: Cow<'a, [u8]>,
    tensors: Tensors,
    architecture: Architecture,
    prefix: String,
    key: Option<String>,
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
    /// Reads and checks a file: safetensors, or a `.pth` as `torch.save(net.state_dict(), path)` writes it. Which of
    /// them is told by its bytes, not by its name.
    ///
    /// - A prefix that all names share, such as `module.` of `DataParallel` and `_orig_mod.` of `torch.compile`, is
    ///   taken off: [`Checkpoint::prefix`].
    /// - Tensors `prior.*` and `posterior.*` of an ESVAE, which nothing uses, are not looked at.
    /// - The counters `num_batches_tracked` may be missing, or of any type and shape.
    /// - A `.pth` may be a training checkpoint: the state_dict is found below its keys (`state_dict`, `model`, ...,
    ///   [`Checkpoint::key`]), an optimizer's state beside it is passed over. Tensors may be parameters, share
    ///   storages and be views in any order of their axes.
    /// - No code in a `.pth` runs: its pickle is read with a fixed list of opcodes and globals. Other objects beside the
    ///   state_dict (settings, paths, NumPy's numbers) are passed over, within it they are refused. A whole module, that is
    ///   `torch.save(net, path)`, TorchScript, the format before PyTorch 1.6 and big-endian files are refused with what
    ///   to do instead.
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
        let length = if kind.is_file() { kind.len() } else { u64::MAX };
        // The first bytes tell what it is and how long, so a damaged or foreign file of many gigabytes is refused
        // before it is read.
        let mut bytes = Vec::new();
        file.by_ref().take(container::HEAD as u64).read_to_end(&mut bytes).map_err(read)?;
        let checked = container::detect(&bytes, length).and_then(|_| match length {
            ..=LARGEST_FILE | u64::MAX => Ok(()),
            _ => Err(CheckpointError::Container(format!(
                "it has {length} bytes, more than any FSVAE (at most {LARGEST_FILE})"
            ))),
        });
        checked.map_err(|problem| Error::Checkpoint { origin: origin.clone(), problem })?;
        if kind.is_file() {
            bytes.reserve_exact(usize::try_from(length).unwrap_or(0).saturating_sub(bytes.len()));
        }
        file.take(LARGEST_FILE).read_to_end(&mut bytes).map_err(read)?;
        Checkpoint::parse(origin, Cow::Owned(bytes))
    }

    /// One of the checkpoints that are compiled in ([`MODELS`](crate::bundled::MODELS)): `"mnist"`, `"fashion"` or
    /// `"cifar10-esvae"` (or `"cifar10"`), `"thumbs-esvae"`, each with the feature of its name. `None` if there is none of that name.
    ///
    /// # Errors
    /// None for the checkpoints that are shipped.
    pub fn bundled(name: &str) -> Option<Result<Self>> {
        let (name, bytes) = crate::bundled::find(name)?;
        Some(Checkpoint::parse(name.into(), Cow::Borrowed(bytes)))
    }
}

impl<'a> Checkpoint<'a> {
    /// Checks a file that is already in memory, in any form that [`Checkpoint::open`] takes. Nothing is copied.
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

    /// What was taken off before the names of all tensors, `"module."` say; empty if nothing was.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key of a training checkpoint that the tensors lie under, with dots between the keys of nested ones.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// What was done to find the tensors, in a line for people, if anything was: the key and the prefix.
    pub fn note(&self) -> Option<String> {
        let key = self.key.as_ref().map(|key| format!("the tensors are those under the key `{key}`"));
        let prefix = (!self.prefix.is_empty())
            .then(|| format!("the prefix `{}` was taken off all tensors' names", shown(&self.prefix)));
        let parts: Vec<String> = key.into_iter().chain(prefix).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// Number of elements of all tensors, batch-norm counters, constants and what an ESVAE does not use apart.
    pub fn parameters(&self) -> usize {
        let counted = self.tensors.iter().filter(|(name, _)| !names::is_constant(name));
        counted.map(|(_, info)| info.elements()).sum()
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
        let problem = in_file(problem, &self.prefix);
        Error::Checkpoint { origin: self.origin.clone(), problem }
    }

    /// A tensor that [`Architecture::tensors`] lists; its presence was checked on load.
    pub(crate) fn tensor(&self, name: &str) -> Result<Tensor<'_>> {
        let info = self.tensors.get(name);
        let info = info.ok_or_else(|| self.error(CheckpointError::Missing(name.into())))?;
        Ok(info.view(&self.bytes))
    }

    fn parse(origin: String, bytes: Cow<'a, [u8]>) -> Result<Self> {
        trace!("fsvae.load");
        match find(&bytes) {
            Ok(Found { tensors, architecture, prefix, key }) => {
                Ok(Checkpoint { origin, bytes, tensors, architecture, prefix, key })
            }
            Err(problem) => Err(Error::Checkpoint { origin, problem }),
        }
    }
}

struct Found {
    tensors: Tensors,
    architecture: Architecture,
    prefix: String,
    key: Option<String>,
}

fn find(bytes: &[u8]) -> Result<Found, CheckpointError> {
    let head = &bytes[..bytes.len().min(container::HEAD)];
    let (tensors, key) = match container::detect(head, bytes.len() as u64)? {
        Container::Safetensors => (container::read_safetensors(bytes)?, None),
        Container::Zip => torch_zip::read(bytes)?,
    };
    let (prefix, mut tensors) = names::take_prefix(tensors)?;
    let architecture = Architecture::infer(&tensors).and_then(|architecture| {
        tensors.retain(|name, _| !architecture.family.is_unused(name));
        check(&architecture, &tensors, bytes)?;
        Ok(architecture)
    });
    let architecture = architecture.map_err(|problem| in_file(problem, &prefix))?;
    Ok(Found { tensors, architecture, prefix, key })
}

/// The problem with the tensor's name as it is in the file.
fn in_file(mut problem: CheckpointError, prefix: &str) -> CheckpointError {
    match &mut problem {
        CheckpointError::Missing(tensor)
        | CheckpointError::Unknown(tensor)
        | CheckpointError::Dtype { tensor, .. }
        | CheckpointError::Shape { tensor, .. }
        | CheckpointError::Size { tensor, .. }
        | CheckpointError::Value { tensor, .. }
        | CheckpointError::Range { tensor, .. } => *tensor = shown(&format!("{prefix}{tensor}")),
        _ => {}
    }
    problem
}

/// Names, types and shapes first, then values: a wrong shape explains more than a wrong value.
fn check(architecture: &Architecture, tensors: &Tensors, bytes: &[u8]) -> Result<(), CheckpointError> {
    let expected = architecture.tensors();
    for (name, shape) in &expected {
        let info = tensors.get(name).ok_or_else(|| CheckpointError::Missing(name.clone()))?;
        if info.shape != *shape {
            let (expected, found) = (format!("{shape:?}"), info.shape.clone());
            return Err(CheckpointError::Shape { tensor: name.clone(), expected, found });
        }
        if !matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            let (expected, found) = ("F32, F16 or BF16", info.dtype.to_string());
            return Err(CheckpointError::Dtype { tensor: name.clone(), expected, found });
        }
    }
    // Few are expected, and the first that is not among them ends it: there is no need to sort.
    let is_expected = |name: &str| expected.iter().any(|(known, _)| known == name);
    let is_known = |name: &str| match names::counted_layer(name) {
        Some(layer) => is_expected(&format!("{layer}.running_var")),
        None => is_expected(name),
    };
    if let Some(unknown) = tensors.keys().find(|name| !is_known(name)) {
        return Err(CheckpointError::Unknown(unknown.clone()));
    }
    expected.iter().try_for_each(|(name, _)| check_values(name, &tensors[name].view(bytes)))
}

fn check_values(name: &str, tensor: &Tensor) -> Result<(), CheckpointError> {
    let (allowed, expected): (fn(f64) -> bool, _) = if name.ends_with(".running_var") {
        (|value| value.is_finite() && value >= 0.0, "a finite number, not negative")
    } else if name.ends_with(".initial_input") {
        (|value| value == 0.0, "0")
    } else {
        (f64::is_finite, "a finite number")
    };
    let mut elements = (0..tensor.len()).map(|element| (element, tensor.get(element)));
    let wrong = in_default_state(|| elements.find(|&(_, value)| !allowed(value)));
    wrong.map_or(Ok(()), |(element, value)| {
        Err(CheckpointError::Value { tensor: name.into(), element, value, expected })
    })
}
