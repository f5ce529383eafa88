//! Weights of an ESVAE, a spiking variational autoencoder with a rate for each latent channel, that makes pictures like those of CIFAR10, 32 x 32 RGB, as bytes.
//!
//! The crate `fsvae` runs it, and takes it in with its feature `cifar10-esvae`: `Checkpoint::bundled("cifar10-esvae")`.
//!
//! One (model, seed, index) is one image for ever, so these bytes stay as they are within a version that Cargo takes for
//! compatible: other weights are 0.2.
//!
//! # Licence
//!
//! The weights are under MIT or Apache-2.0, as you like. They were trained on CIFAR10 (Krizhevsky).
//! CIFAR10 comes without a licence, with the wish that its report is cited (Krizhevsky, *Learning Multiple Layers of
//! Features from Tiny Images*, 2009); none of its pictures is in this crate.
#![no_std]

/// What the model is called.
pub const NAME: &str = "cifar10-esvae";

/// The checkpoint, a safetensors file.
pub const WEIGHTS: &[u8] = include_bytes!("../cifar10-esvae.safetensors");

/// The model card, in Markdown: sizes, training, measurements, licences.
pub const CARD: &str = include_str!("../README.md");
