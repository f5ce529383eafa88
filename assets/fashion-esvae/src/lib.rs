//! Weights of an ESVAE, a spiking variational autoencoder with a rate for each latent channel, that makes Fashion-MNIST clothes, 32 x 32 grey, as bytes.
//!
//! The crate `fsvae` runs it, and takes it in with its feature `fashion-esvae`: `Checkpoint::bundled("fashion-esvae")`.
//!
//! One (model, seed, index) is one image for ever, so these bytes stay as they are within a version that Cargo takes for
//! compatible: other weights are 0.2.
//!
//! # Licence
//!
//! The weights are under MIT or Apache-2.0, as you like. They were trained on Fashion-MNIST (Xiao, Rasul, Vollgraf).
//! Fashion-MNIST is under the MIT licence (Zalando SE); none of its pictures is in this crate.
#![no_std]

/// What the model is called.
pub const NAME: &str = "fashion-esvae";

/// The checkpoint, a safetensors file.
pub const WEIGHTS: &[u8] = include_bytes!("../fashion-esvae.safetensors");

/// The model card, in Markdown: sizes, training, measurements, licences.
pub const CARD: &str = include_str!("../README.md");
