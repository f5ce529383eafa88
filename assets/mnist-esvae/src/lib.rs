//! Weights of an ESVAE, a spiking variational autoencoder with a rate for each latent channel, that makes MNIST digits, 32 x 32 grey, as bytes.
//!
//! The crate `fsvae` runs it, and takes it in with its feature `mnist-esvae`: `Checkpoint::bundled("mnist-esvae")`.
//!
//! One (model, seed, index) is one image for ever, so these bytes stay as they are within a version that Cargo takes for
//! compatible: other weights are 0.2.
//!
//! # Licence
//!
//! The weights are under MIT or Apache-2.0, as you like. They were trained on MNIST digits (LeCun, Cortes, Burges).
//! MNIST is passed on under CC BY-SA 3.0 (LeCun, Cortes); none of its pictures is in this crate.
#![no_std]

/// What the model is called.
pub const NAME: &str = "mnist-esvae";

/// The checkpoint, a safetensors file.
pub const WEIGHTS: &[u8] = include_bytes!("../mnist-esvae.safetensors");

/// The model card, in Markdown: sizes, training, measurements, licences.
pub const CARD: &str = include_str!("../README.md");
