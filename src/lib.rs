//! Images from a network of spiking neurons, on any GPU and on the CPU: the Fully Spiking Variational
//! Autoencoder (FSVAE; Kamata, Mukuta, Harada, AAAI 2022, [arXiv 2110.00375](https://arxiv.org/abs/2110.00375)) with
//! hand-written WGSL compute shaders on [wgpu].
//!
//! The network runs on exact integers: a model, a seed and an index give the same image bit for bit on
//! every GPU, driver and browser and on the CPU. [`integer_machine`] is the contract.
//!
//! ```
//! use fsvae::{Checkpoint, Generator, Network};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # #[cfg(feature = "mnist")] {
//! // Network::open("my.safetensors")? takes a checkpoint of your own.
//! let checkpoint = Checkpoint::bundled("mnist").expect("a shipped model")?;
//! let network = Network::new(&checkpoint)?;
//! let generator = Generator::new(&network); // the GPU, or the CPU where there is none
//! let images = generator.generate(7, 0..64)?; // seed 7, the first 64 images
//! for image in images.iter() {
//!     assert_eq!(image.pixels.len(), 32 * 32); // u8, row by row
//! }
//! let picture = images.to_grid(); // image::DynamicImage, to save, say
//! # assert_eq!(picture.width(), 256);
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! What else a [`Generator`] does: [`stream`](Generator::stream) gives images as they come, to an iterator or a task.
//! [`encode`](Generator::encode) makes latents, the spike trains in the middle of the network, from pictures
//! ([`read_picture`], [`Architecture::fit`]), and [`decode`](Generator::decode) images from latents.
//! [`start`](Generator::start) does a [`Job`] in the background, spikes of layers included. [`record`](Generator::record)
//! writes images into your own [`gpu::Target`]s, on a device of yours ([`Gpu::from_wgpu`]).
//!
//! # The way through
//!
//! ```text
//! bytes -> Checkpoint   named tensors, every name, type, shape and value checked
//!       -> Network      folded and rounded to integers: the only place with floating point
//!       -> Generator    on the CPU, or on a Gpu (buffers and dispatches made once)
//! (seed, indices) -> latent spike trains -> decoder spike trains -> Images
//! ```
//!
//! # Features
//!
//! - `cli` (default): the `fsvae` command line and everything it needs. As a library take
//!   `default-features = false, features = ["threads"]`.
//! - `threads`: the CPU backend uses all cores, with a pool of threads of its own; [`threads()`] says how many.
//! - `bundled` (default): all trained models inside the binary, 0.7 to 8.2 MB each; or one by its name: `mnist`,
//!   `fashion`, `faces`, `faces-esvae`, `mnist-esvae`, `fashion-esvae`, `cifar10-esvae`, `thumbs-esvae`.
//! - `capi`: the C interface of `include/fsvae.h`. `cargo rustc --release --lib --features capi --crate-type
//!   cdylib,staticlib` builds the libraries.
//! - `bench`: the module of that name, which measures how fast backends are, after comparing their images.
//! - `nvml`: `fsvae bench` reads the energy counters of NVIDIA's GPUs, where their driver is installed.
//! - `verify`: the module of that name, which finds out whether a driver computes right.
//! - `tracing`: debug spans `fsvae.compile`, `upload`, `record`, `submit` and `readback` of the `tracing` crate.

// A library has nothing to say on its own.
#![warn(clippy::print_stderr, clippy::print_stdout)]

#[macro_use]
mod trace;

mod architecture;
mod aside;
mod backend;
#[cfg(feature = "bench")]
pub mod bench;
mod builder;
pub mod bundled;
#[cfg(all(feature = "capi", not(target_arch = "wasm32")))]
pub mod capi;
mod checkpoint;
mod cpu;
mod environment;
mod error;
mod family;
mod floats;
mod generator;
pub mod gpu;
mod images;
mod indices;
mod integers;
mod job;
mod latents;
mod layer;
mod network;
pub mod operations;
mod philox;
mod picture;
mod rates;
#[cfg(not(target_arch = "wasm32"))]
pub mod roofline;
mod spikes;
mod stream;
mod task;
#[cfg(feature = "verify")]
pub mod verify;

#[doc = include_str!("integer_machine.md")]
pub mod integer_machine {}

/// The command line is the program's, which begins in `src/main.rs`; of the library it is a part only where it is fuzzed.
#[cfg(all(fuzzing, feature = "cli"))]
#[allow(dead_code, unreachable_patterns, clippy::missing_errors_doc, reason = "the program runs the rest")]
#[doc(hidden)]
pub mod cli;
#[cfg(all(fuzzing, feature = "cli"))]
extern crate self as fsvae;

/// The examples of the documents are compiled, too.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../README.md")]
    mod readme {}
    #[doc = include_str!("../docs/embedding.md")]
    mod embedding {}
}

pub use architecture::Architecture;
pub use builder::{Builder, Choice};
pub use checkpoint::Checkpoint;
#[doc(hidden)]
pub use checkpoint::recognize;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub use checkpoint::{PICTURE_HEAD, begins_as_picture, not_a_picture};
pub use cpu::threads::threads;
pub use cpu::vectors::{instruction_set, instruction_sets};
pub use environment::check_environment;
pub use error::{CheckpointError, Error, Result};
pub use family::Family;
pub use generator::Generator;
pub use gpu::Gpu;
pub use images::{Grid, Image, Images};
pub use integers::{LayerIntegers, RateIntegers, RateLayerIntegers, ReadoutIntegers};
pub use job::{Job, Outputs};
pub use latents::Latents;
pub use network::{LayerFacts, Network};
#[doc(hidden)]
pub use picture::is_reading_a_picture;
pub use picture::read_picture;
pub use rates::{Direction, Rates};
pub use spikes::{Layer, LayerSpikes};
pub use stream::{ImageStream, StreamOptions};
pub use task::{Part, Progress, Task};
pub use {image, wgpu};

// Any thread may have them and look at them. In browsers what wgpu gives stays on its thread.
#[cfg(not(target_arch = "wasm32"))]
const _: () = {
    const fn on_any_thread<T: Send + Sync>() {}
    on_any_thread::<Checkpoint<'_>>();
    on_any_thread::<Network>();
    on_any_thread::<Builder<'_>>();
    on_any_thread::<Generator>();
    on_any_thread::<ImageStream>();
    on_any_thread::<Job<'_>>();
    on_any_thread::<Task<'_>>();
    on_any_thread::<Part>();
    on_any_thread::<Gpu>();
    on_any_thread::<Images>();
    on_any_thread::<Latents>();
    on_any_thread::<Rates>();
    on_any_thread::<Error>();
};
