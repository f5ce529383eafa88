//! Weights of an ESVAE, a spiking variational autoencoder with a rate for each latent channel, that makes coloured thumbs with a face, 64 x 64 RGB, as bytes.
//!
//! The crate `fsvae` runs it, and takes it in with its feature `thumbs-esvae`: `Checkpoint::bundled("thumbs-esvae")`.
//!
//! One (model, seed, index) is one image for ever, so these bytes stay as they are within a version that Cargo takes for
//! compatible: other weights are 0.2.
//!
//! # Licence
//!
//! The weights are under MIT or Apache-2.0, as you like. They were trained on pictures that the npm package
//! `@dicebear/thumbs` draws (its design is under CC0 1.0, its code under MIT); none of its pictures is in this crate.
#![no_std]

/// What the model is called.
pub const NAME: &str = "thumbs-esvae";

/// The checkpoint, a safetensors file.
pub const WEIGHTS: &[u8] = include_bytes!("../thumbs-esvae.safetensors");

/// The model card, in Markdown: sizes, training, measurements, licences.
pub const CARD: &str = include_str!("../README.md");
