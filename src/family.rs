//! The families of networks, known by their tensors. They share the encoder, the decoder and the readout and differ in
//! how latent spikes are drawn.

use std::fmt;

use crate::checkpoint::Tensors;

/// A family of networks: how the latent spikes are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Family {
    /// FSVAE: two autoregressive spiking networks, the prior and the posterior, and the spike of one of their k output
    /// neurons for each latent channel (integer machine, section 5).
    Fsvae {
        /// k, the neurons of a latent channel of which one is drawn at every step, 1 to 255.
        neurons_per_channel: usize,
    },
    /// ESVAE (Zhan and others, [arXiv 2310.14839](https://arxiv.org/abs/2310.14839)): a rate for each latent channel, and
    /// a spike at each step with that probability (integer machine, section 8).
    Esvae,
}

/// What an ESVAE's layers before its rates have in front of their names.
const RATES: &str = "sample_layer.";

/// The name of the i-th of them: linear layers take turns with what follows them.
pub(crate) fn rate_layer(i: usize) -> String {
    format!("{RATES}{}", 2 * i)
}

impl Family {
    /// `fsvae` or `esvae`.
    pub fn name(self) -> &'static str {
        match self {
            Family::Fsvae { .. } => "fsvae",
            Family::Esvae => "esvae",
        }
    }

    /// k of an FSVAE; an ESVAE has none.
    pub fn neurons_per_channel(self) -> Option<usize> {
        match self {
            Family::Fsvae { neurons_per_channel } => Some(neurons_per_channel),
            Family::Esvae => None,
        }
    }

    /// Whether these are the tensors of an ESVAE.
    pub(crate) fn has_rates(tensors: &Tensors) -> bool {
        tensors.contains_key(&format!("{}.weight", rate_layer(0)))
    }

    /// Tensors that files of the reference implementation carry and that nothing uses.
    pub(crate) fn is_unused(self, tensor: &str) -> bool {
        self == Family::Esvae && (tensor.starts_with("prior.") || tensor.starts_with("posterior."))
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Family::Fsvae { .. } => "FSVAE",
            Family::Esvae => "ESVAE",
        })
    }
}
