//! Weights of an ESVAE, a spiking variational autoencoder with a rate for each latent channel, that makes pixel-art faces, 16 x 16 RGB, as bytes.
//!
//! The crate `fsvae` runs it, and takes it in with its feature `faces-esvae`: `Checkpoint::bundled("faces-esvae")`.
//!
//! One (model, seed, index) is one image for ever, so these bytes stay as they are within a version that Cargo takes for
//! compatible: other weights are 0.2.
//!
//! # Licence
//!
//! The weights are under MIT or Apache-2.0, as you like. They were trained on faces that the npm package
//! `@dicebear/pixel-art` draws (its design is under CC0 1.0, its code under MIT); none of its pictures is in this crate.
#![no_std]

/// What the model is called.
pub const NAME: &str = "faces-esvae";

/// The checkpoint, a safetensors file.
pub const WEIGHTS: &[u8] = include_bytes!("../faces-esvae.safetensors");

/// The model card, in Markdown: sizes, training, measurements, licences.
pub const CARD: &str = include_str!("../README.md");
