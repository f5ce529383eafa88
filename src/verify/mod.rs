//! Does a device compute right? Every operation that the kernels use, every kernel and every layer of whole networks is
//! compared with the CPU, and the CPU with what the oracle says of the bundled models, again and again.
//!
//! ```no_run
//! use fsvae::verify::{Options, Verification, required_limits};
//! use fsvae::{Gpu, gpu};
//!
//! # async fn verify() -> fsvae::Result<()> {
//! let adapters = gpu::adapters().await;
//! let gpu = Gpu::request(gpu::first_adapter(&adapters)?, &required_limits()?).await?;
//! let mut verification = Verification::new(&gpu, Options::default());
//! while verification.report().rounds < 1 {
//!     let step = verification.next().await?;
//!     println!("{}: {} new faults", step.check, step.faults.len());
//! }
//! println!("{}", verification.report().verdict(20.0));
//! # Ok(())
//! # }
//! ```

mod compare;
mod fault;
mod kernels;
mod known;
mod networks;
pub mod operations;
mod outcome;
#[cfg(test)]
mod planted;
mod random;
mod report;
mod rounds;

pub use fault::{Difference, Fault, Finding, Layer, Nature, WrongDigest, WrongNumbers};
pub use operations::OperationFault;
pub use report::Report;
pub use rounds::{Options, Step, Verification};

use crate::error::Result;
use crate::family::Family;
use crate::network::Network;

/// What a device must offer for all of it: what the largest bundled model needs.
///
/// # Errors
/// None, if the bundled models are whole.
pub fn required_limits() -> Result<wgpu::Limits> {
    let random = [Family::Fsvae { neurons_per_channel: 10 }, Family::Esvae]
        .map(|family| random::Random::new(0, 0, 0).network_of(largest(family)));
    let mut limits = wgpu::Limits::downlevel_webgl2_defaults();
    for network in random.into_iter().chain(bundled()?.into_iter().map(|(_, network)| network)) {
        limits = limits.or_better_values_from(&crate::gpu::required_limits(&network));
    }
    Ok(limits)
}

fn model_names() -> Vec<&'static str> {
    crate::bundled::MODELS.iter().map(|(name, _)| *name).collect()
}

/// No random network or layer is larger.
fn largest(family: Family) -> crate::Architecture {
    crate::Architecture {
        family,
        time_steps: 32,
        latent_channels: 160,
        rate_widths: if family == Family::Esvae { vec![320; 2] } else { Vec::new() },
        encoder_widths: vec![24; 3],
        decoder_widths: vec![24; 4],
        image_channels: 3,
    }
}

fn bundled() -> Result<Vec<(&'static str, Network)>> {
    let network = |&(name, bytes): &(&'static str, &'static [u8])| {
        Ok((name, Network::new(&crate::Checkpoint::from_bytes(bytes)?)?))
    };
    crate::bundled::MODELS.iter().map(network).collect()
}
