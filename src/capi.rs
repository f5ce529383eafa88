//! The C interface: what `include/fsvae.h` declares. Rust programs use [`Generator`].
//!
//! cbindgen makes the header from this file and `cbindgen.toml`: the comments on public items are written for C
//! programmers, and the rules for all functions are at the top of the header. `tests/capi.rs` holds the two together.

#![expect(unsafe_code, reason = "pointers of C callers, and names that the linker sees")]
#![expect(
    clippy::missing_safety_doc,
    reason = "the rules for pointers are the same for all, in the header's head"
)]

mod call;
mod later;

use std::ffi::{CString, c_char};
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::ptr::{self, NonNull};

use call::{
    Failure, LAST_ERROR, c_string, check_count, check_room, copy, elements, free, handle, make, remembered,
    status, text, unless_broken, utf8,
};
use later::Calls;
pub use later::{FsvaeDone, fsvae_cancel, fsvae_generate_async, fsvae_reconstruct_async};

use crate::builder::Choice;
use crate::checkpoint::Checkpoint;
use crate::generator::Generator;
use crate::network::Network;

/// Version of this interface. It is raised when a program that was compiled against an older header could break;
/// compare it with fsvae_abi_version().
pub const FSVAE_ABI_VERSION: u32 = 1;

/// What became of a call. Later versions may add values: take any but FSVAE_STATUS_OK for a failure.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsvaeStatus {
    /// It is done.
    Ok = 0,
    /// The machine failed: no GPU, no memory on it, a device that was lost.
    Machine = 1,
    /// An argument is unusable: a file, a number, a name, a buffer that is too small.
    Input = 2,
    /// A pointer that must not be NULL is.
    Null = 3,
    /// A bug in the library. Free the generator that was in use; it refuses all work.
    Panic = 4,
    /// It was called off before it was done. Callbacks alone hear this.
    Cancelled = 5,
}

/// Where to compute. The images are the same.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsvaeBackend {
    /// The fastest GPU, or the CPU where there is none or only an emulated one.
    Auto = 0,
    /// The CPU, on all cores.
    Cpu = 1,
    /// A GPU, even an emulated one; an error if there is none.
    Gpu = 2,
}

/// A network that is ready to run. Any number of threads may use it at the same time.
#[derive(Debug)]
pub struct FsvaeNetwork(Network);

/// Makes images, on one backend. Any number of threads may use it at the same time.
#[derive(Debug)]
pub struct FsvaeGenerator {
    calls: Calls,
    /// What a panic left half done makes no images: no call passes `calls.broken`.
    generator: AssertUnwindSafe<Generator>,
    backend: CString,
    fallback: Option<CString>,
}

/// The sizes of a network.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FsvaeSizes {
    /// Height and width of an image in pixels.
    pub side: usize,
    /// Channels of an image: 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// Time steps of the spiking network.
    pub time_steps: usize,
    /// Channels of the latent spike trains.
    pub latent_channels: usize,
    /// Bytes of an image: side * side * channels.
    pub image_bytes: usize,
}

/// The FSVAE_ABI_VERSION that the library was built with.
#[unsafe(no_mangle)]
pub extern "C" fn fsvae_abi_version() -> u32 {
    FSVAE_ABI_VERSION
}

/// Why the last call on this thread failed: one line of UTF-8, "" if it did not fail. Never NULL. The text lives until
/// the next call on this thread; this function, fsvae_abi_version() and freeing leave it as it is.
#[unsafe(no_mangle)]
pub extern "C" fn fsvae_last_error() -> *const c_char {
    // Nothing here panics. The text is gone while the thread's own variables are destroyed.
    let text = LAST_ERROR.try_with(|text| text.borrow().as_ref().map(|text| text.as_ptr()));
    text.ok().flatten().unwrap_or(c"".as_ptr())
}

/// Opens a checkpoint, safetensors or PyTorch's .pth: reads, checks and rounds it, which takes a part of a second.
///
/// `path` is in the system's encoding, on Windows in UTF-8. `*network` is the new network, or NULL on failure; free it
/// with fsvae_network_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsvae_network_open(
    path: *const c_char,
    network: *mut *mut FsvaeNetwork,
) -> FsvaeStatus {
    let open = || {
        let path = unsafe { text(path, "path") }?;
        #[cfg(unix)]
        let path = Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(path.to_bytes()));
        #[cfg(not(unix))]
        let path = Path::new(utf8(path, "path")?);
        Ok(FsvaeNetwork(Network::open(path)?))
    };
    unsafe { make(network, "network", open) }
}

/// Opens a checkpoint that is in memory: `bytes` are those of the file. They are not used after the call.
///
/// `*network` as by fsvae_network_open().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsvae_network_from_bytes(
    bytes: *const u8,
    bytes_len: usize,
    network: *mut *mut FsvaeNetwork,
) -> FsvaeStatus {
    let open = || {
        let bytes = unsafe { elements(bytes, bytes_len, "bytes") }?;
        Ok(FsvaeNetwork(Network::new(&Checkpoint::from_bytes(bytes)?)?))
    };
    unsafe { make(network, "network", open) }
}

/// Opens a model that is part of the library, such as "mnist". A library that was built without the features of models
/// has none.
///
/// `*network` as by fsvae_network_open().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsvae_network_bundled(
    name: *const c_char,
    network: *mut *mut FsvaeNetwork,
) -> FsvaeStatus {
    let open = || bundled(utf8(unsafe { text(name, "name") }?, "name")?).map(FsvaeNetwork);
    unsafe { make(network, "network", open) }
}

/// Frees a network. Generators that were made from it go on. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsvae_network_free(network: *mut FsvaeNetwork) {
    unsafe { free(network) };
}

/// Tells the sizes of a network.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsvae_network_sizes(
    network: *const FsvaeNetwork,
    sizes: *mut FsvaeSizes,
) -> FsvaeStatus {
    status(|| {
        let architecture = unsafe { handle(network, "network") }?.0.architecture();
        let found = FsvaeSizes {
            side: architecture.image_side(),
            channels: architecture.image_channels,
            time_steps: architecture.time_steps,
            latent_channels: architecture.latent_channels,
            image_bytes: architecture.image_bytes(),
        };
        let place = NonNull::new(sizes).ok_or_else(|| Failure::null("sizes"))?;
        unsafe { place.write(found) };
        Ok(())
    })
}

/// Makes a generator. On a GPU this compiles kernels, which takes up to some seconds.
///
/// - `backend` is a value of FsvaeBackend.
/// - `adapter` chooses the GPU: the first whose name, such as "NVIDIA H200 (Vulkan)", contains this text in any case.
///   With FSVAE_BACKEND_AUTO, too, it is this GPU or an error. NULL is the fastest one, or the one that the environment
///   variable WGPU_ADAPTER_NAME names. For FSVAE_BACKEND_CPU it must be NULL.
/// - `batch` is how many images are made at once on a GPU, 0 for 256 (64 on an emulated one). It decides speed and
///   memory, never pixels.
/// - `*generator` is the new generator, or NULL on failure; free it with fsvae_generator_free(). The network may be
///   freed before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsvae_generator_new(
    network: *const FsvaeNetwork,
    backend: i32,
    adapter: *const c_char,
    batch: usize,
    generator: *mut *mut FsvaeGenerator,
) -> FsvaeStatus {
    let new = || {
        let network = &unsafe { handle(network, "network") }?.0;
        let adapter = if adapter.is_null() { None } else { Some(unsafe { text(adapter, "adapter") }?) };
        let adapter = adapter.map(|name| utf8(name, "adapter")).transpose()?;
        let builder = Generator::builder(network);
        let builder = NonZeroUsize::new(batch).map_or(builder, |batch| builder.batch(batch));
        let generator = pollster::block_on(builder.on(choice(backend, adapter)?))?;
        Ok(FsvaeGenerator {
            backend: c_string(&generator.backend_name()),
            fallback: generator.fallback().map(c_string),
            generator: AssertUnwindSafe(generator),
            calls: Calls::default(),
        })
    };
    unsafe { make(generator, "generator", new) }
}

/// Frees a generator, and calls off what was started with it and has not ended: those callbacks hear
/// FSVAE_STATUS_CANCELLED, and when this function returns none is called any more. Only where a callback frees its own
/// generator the others hear after it has returned. What they start with it is refused. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsvae_generator_free(generator: *mut FsvaeGenerator) {
    // Callbacks may use it until all have heard.
    if let Some(generator) = unsafe { generator.as_ref() } {
        generator.calls.close();
    }
    unsafe { free(generator) };
}

/// Where a generator computes: "CPU", or the GPU's name. The text lives as long as the generator. NULL if `generator`
/// is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsvae_generator_backend(generator: *const FsvaeGenerator) -> *const c_char {
    remembered(|| Ok(unsafe { handle(generator, "generator") }?.backend.as_ptr())).unwrap_or(ptr::null())
}

/// Why FSVAE_BACKEND_AUTO took the CPU, NULL if it did not. The text lives as long as the generator.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsvae_generator_fallback(generator: *const FsvaeGenerator) -> *const c_char {
    let reason = |generator: &FsvaeGenerator| generator.fallback.as_ref().map(|text| text.as_ptr());
    remembered(|| unsafe { handle(generator, "generator") }.map(reason)).ok().flatten().unwrap_or(ptr::null())
}

/// Generates the images `first` to `first` + `count` - 1 of a seed into a buffer: bytes `[count, side, side,
/// channels]`, row by row, without gaps.
///
/// `pixels_len` is the size of the buffer in bytes, at least `count` images; the rest is left as it is. On failure all
/// of it is. Indices that pass UINT64_MAX are FSVAE_STATUS_INPUT. With a `count` of 0 nothing is done, and `pixels`
/// may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsvae_generate(
    generator: *mut FsvaeGenerator,
    seed: u64,
    first: u64,
    count: usize,
    pixels: *mut u8,
    pixels_len: usize,
) -> FsvaeStatus {
    status(|| {
        unsafe { handle(generator, "generator") }?.with(|generator| {
            let image = generator.architecture().image_bytes();
            if count > 0 {
                check_room(count as u128 * image as u128, pixels, pixels_len, "pixels")?;
            }
            let Some(last) = check_count(first, count)? else { return Ok(()) };
            let images = generator.generate(seed, first..=last)?;
            unsafe { copy(images.as_bytes(), pixels) };
            Ok(())
        })
    })
}

/// Encodes images, bytes `[n, side, side, channels]`, draws their latent spikes and decodes them again. The n-th image
/// has index `first` + n.
///
/// `pixels_len` must be that of whole images, `reconstructed_len` at least as much; the rest is left as it is. On
/// failure all of it is. Both may be the same buffer. If `pixels_len` is 0 nothing is done, and both may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsvae_reconstruct(
    generator: *mut FsvaeGenerator,
    seed: u64,
    first: u64,
    pixels: *const u8,
    pixels_len: usize,
    reconstructed: *mut u8,
    reconstructed_len: usize,
) -> FsvaeStatus {
    status(|| {
        unsafe { handle(generator, "generator") }?.with(|generator| {
            if pixels_len == 0 {
                return Ok(());
            }
            let pixels = unsafe { elements(pixels, pixels_len, "pixels") }?;
            check_room(pixels_len as u128, reconstructed, reconstructed_len, "reconstructed")?;
            let images = generator.reconstruct(pixels, seed, first)?;
            unsafe { copy(images.as_bytes(), reconstructed) };
            Ok(())
        })
    })
}

// What follows is not in the header.

// The header promises these threads.
const _: () = {
    const fn from_any_thread<T: Send + Sync>() {}
    from_any_thread::<FsvaeNetwork>();
    from_any_thread::<FsvaeGenerator>();
};

impl FsvaeGenerator {
    /// Does the work of a call, unless an earlier one panicked.
    fn with<T>(&self, work: impl FnOnce(&Generator) -> Result<T, Failure>) -> Result<T, Failure> {
        unless_broken(&self.calls.broken, || work(&self.generator))
    }
}

fn bundled(name: &str) -> Result<Network, Failure> {
    let Some(checkpoint) = Checkpoint::bundled(name) else {
        let names = crate::bundled::names();
        return Err(Failure::input(&format!("no bundled model is called \"{name}\" ({names})")));
    };
    Ok(Network::new(&checkpoint?)?)
}

fn choice(backend: i32, adapter: Option<&str>) -> Result<Choice<'_>, Failure> {
    const CHOICES: [(FsvaeBackend, &str); 3] =
        [(FsvaeBackend::Auto, "auto"), (FsvaeBackend::Cpu, "cpu"), (FsvaeBackend::Gpu, "gpu")];
    let name = CHOICES.iter().find_map(|&(value, name)| (value as i32 == backend).then_some(name));
    let name =
        name.ok_or_else(|| Failure::input(&format!("expected a backend of 0 to 2, found {backend}")))?;
    Ok(Choice::new(name, adapter)?)
}

#[cfg(test)]
mod tests;
