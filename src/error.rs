//! The one error type of the library.

use std::any::Any;
use std::path::PathBuf;

/// What can go wrong, with the cause kept as `source` where there is one.
///
/// The text is one line that names the file or argument, the thing in it, what was expected and
/// what was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read at all.
    #[error("{}: cannot read it: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The bytes are not a checkpoint this crate can run.
    #[error("{origin}: {problem}")]
    Checkpoint {
        /// The file's path, or a name for bytes that came from elsewhere.
        origin: String,
        /// What is wrong with it.
        #[source]
        problem: CheckpointError,
    },
    /// A range of indices that ends past `u64::MAX`, or is too large to hold in memory.
    #[error("{0}")]
    Range(String),
    /// Pixels that are not whole images of the model's size.
    #[error("expected images of {expected} bytes (u8 [{side}, {side}, {channels}]), found {found} bytes")]
    Pixels {
        /// Bytes of one image.
        expected: usize,
        /// Height and width.
        side: usize,
        /// Channels of the image.
        channels: usize,
        /// Bytes there are.
        found: usize,
    },
    /// Latents of another network.
    #[error(
        "expected latents of T = {} time steps and C = {} channels, found T = {} and C = {}",
        expected.0, expected.1, found.0, found.1
    )]
    Latents {
        /// T and C of the network, or of the other latents.
        expected: (usize, usize),
        /// T and C of the latents.
        found: (usize, usize),
    },
    /// Rates or a direction of another network.
    #[error("expected rates of C = {expected} channels, found C = {found}")]
    Rates {
        /// C of the network, or of the other rates.
        expected: usize,
        /// C of the rates.
        found: usize,
    },
    /// A backend that there is not, or an adapter that does not go with it.
    #[error("{0}")]
    Choice(String),
    /// No GPU adapter is present at all.
    #[error("no GPU adapter found (backends looked at: {backends})")]
    NoAdapter {
        /// The graphics interfaces that were searched.
        backends: String,
    },
    /// No adapter's name contains the text asked for.
    #[error("no GPU adapter matches \"{wanted}\"; present: {present}")]
    AdapterNotFound {
        /// The text.
        wanted: String,
        /// The adapters that are there.
        present: String,
    },
    /// There are fewer adapters than this number says, which counts from 0.
    #[error("there is no GPU adapter {wanted}; present: {present}")]
    AdapterNumber {
        /// The number.
        wanted: String,
        /// The adapters that are there.
        present: String,
    },
    /// No variant of the kernels has this name.
    #[error(
        "expected a variant of the kernels (dense, branches, events, quads, checked, products or shared), found \"{found}\""
    )]
    Variant {
        /// The name.
        found: String,
    },
    /// The model needs more than this adapter offers.
    #[error("{adapter}: the model needs {limit} of {needed}, the adapter offers {available}")]
    DeviceLimit {
        /// The adapter.
        adapter: String,
        /// WebGPU's name of the limit.
        limit: &'static str,
        /// What the model needs, in the limit's unit.
        needed: u64,
        /// What there is.
        available: u64,
    },
    /// The adapter did not give a device.
    #[error("{adapter}: no device: {source}")]
    Device {
        /// The adapter.
        adapter: String,
        /// What wgpu said.
        source: wgpu::RequestDeviceError,
    },
    /// The GPU is out of memory, or refused an operation.
    #[error("{adapter}: {message}")]
    Gpu {
        /// The adapter.
        adapter: String,
        /// What wgpu said, as one line.
        message: String,
    },
    /// A buffer or texture that recorded images do not fit into, or a generator that cannot record.
    #[error("the target of recorded images: {0}")]
    Target(String),
    /// A layer that the network does not have, or that a job does not come by.
    #[error("no layer {name:?} there: expected {known}")]
    Layer {
        /// What was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// An environment variable with a value that means nothing.
    #[error("{variable}: expected {expected}, found {found:?}")]
    Environment {
        /// Its name.
        variable: &'static str,
        /// The values that have a meaning.
        expected: String,
        /// The value it has.
        found: std::ffi::OsString,
    },
    /// A bug: a thread that works ahead for a [`Task`](crate::Task) panicked, with this message.
    #[error("a bug in fsvae: {0}")]
    Panic(String),
    /// The device was lost (driver reset, unplugged, destroyed). The network is still there: `rebuild` goes on.
    #[error("{adapter}: the device was lost")]
    DeviceLost {
        /// The adapter.
        adapter: String,
    },
}

/// What is wrong with a checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Not a safetensors container, or a damaged one.
    #[error("not a valid safetensors file: {0}")]
    Container(String),
    /// A `.pth` file of PyTorch that is damaged, or holds more than a dictionary of tensors and plain data.
    #[error("cannot be read as a PyTorch file: {0}")]
    Torch(String),
    /// Another kind of file.
    #[error("this is {what}; {advice}")]
    Foreign {
        /// What it is.
        what: String,
        /// What to do.
        advice: &'static str,
    },
    /// More than one model, and nothing that says which is meant.
    #[error("holds several models, {0}; save the one you mean in a file of its own")]
    Several(String),
    /// A tensor that must be there is not.
    #[error("tensor `{0}` is missing")]
    Missing(String),
    /// A tensor that does not belong to a model of its family.
    #[error("tensor `{0}` is unknown: a model of this family and depth has no such tensor")]
    Unknown(String),
    /// A tensor of the wrong element type.
    #[error("tensor `{tensor}`: expected dtype {expected}, found {found}")]
    Dtype {
        /// Its name.
        tensor: String,
        /// The types that would do.
        expected: &'static str,
        /// The type it has.
        found: String,
    },
    /// A tensor of the wrong shape.
    #[error("tensor `{tensor}`: expected shape {expected}, found {found:?}")]
    Shape {
        /// Its name.
        tensor: String,
        /// The shape it should have.
        expected: String,
        /// The shape it has.
        found: Vec<usize>,
    },
    /// A size of the network that is outside what the integer machine defines.
    #[error("{what} is {found} (from tensor `{tensor}`), expected {expected}")]
    Size {
        /// The size's name and symbol.
        what: &'static str,
        /// The tensor it was read off.
        tensor: String,
        /// The values allowed.
        expected: &'static str,
        /// The value there.
        found: usize,
    },
    /// An element with a value that is not allowed in this tensor.
    #[error("tensor `{tensor}`: element {element} is {value}, expected {expected}")]
    Value {
        /// Its name.
        tensor: String,
        /// The flat index of the first such element.
        element: usize,
        /// The value there.
        value: f64,
        /// What is allowed.
        expected: &'static str,
    },
    /// Weights that cannot be rounded to integers within the bounds of the contract.
    #[error("tensor `{tensor}`: the weights of output channel {channel} are out of range: {bound}")]
    Range {
        /// Name of the weights.
        tensor: String,
        /// The output channel.
        channel: usize,
        /// The bound that does not hold.
        bound: &'static str,
    },
}

impl Error {
    /// True where the caller gave something unusable (a file, an argument, a range), false where
    /// the machine failed. The command line exits with 2 for the former and 1 for the latter.
    pub fn is_input(&self) -> bool {
        match self {
            Error::Read { .. }
            | Error::Checkpoint { .. }
            | Error::Range(_)
            | Error::Pixels { .. }
            | Error::Latents { .. }
            | Error::Rates { .. }
            | Error::Choice(_)
            | Error::AdapterNotFound { .. }
            | Error::Target(_)
            | Error::Variant { .. }
            | Error::Layer { .. }
            | Error::Environment { .. }
            | Error::AdapterNumber { .. }
            | Error::DeviceLimit { .. } => true,
            Error::NoAdapter { .. }
            | Error::Device { .. }
            | Error::Gpu { .. }
            | Error::Panic(_)
            | Error::DeviceLost { .. } => false,
        }
    }
}

/// What a panic said.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let said = payload.downcast_ref::<&str>().copied();
    said.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic")
}

/// `Result` with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
