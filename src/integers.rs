//! A network's integers, for other engines and for hardware.

use crate::network::{Network, RateLayer, Sampler, pixel_thresholds};

/// A layer of leaky integrate-and-fire neurons as integers (integer machine, sections 3 and 4).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LayerIntegers<'a> {
    /// The layer's name in the checkpoint.
    pub name: &'a str,
    /// Input channels or neurons.
    pub inputs: usize,
    /// Output channels or neurons.
    pub outputs: usize,
    /// 9 (ky, kx) for a convolution, 1 for a linear layer, 4 (y, x) for `before_latent_layer`, which sees a 2x2 map.
    pub taps: usize,
    /// `[outputs, inputs, taps]`; those of `encoder.0` have 8 guard bits.
    pub weights: &'a [i32],
    /// `[outputs]`
    pub bias: &'a [i32],
    /// `[outputs]`; a membrane potential above it is a spike.
    pub threshold: &'a [i32],
}

/// An ESVAE's layers before its rates as integers (integer machine, sections 8 and 8b).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RateIntegers<'a> {
    /// Hidden layers, and the last, whose outputs are the C currents of the rates. The first has C inputs: normal numbers of
    /// variance 32.
    pub layers: Vec<RateLayerIntegers<'a>>,
    /// `[65536]`, ascending: a channel's rate, of 65,536, is how many of them lie below its current.
    pub logits: &'a [i32],
}

/// One of an ESVAE's layers before its rates.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RateLayerIntegers<'a> {
    /// Numbers that come in.
    pub inputs: usize,
    /// Currents that go out.
    pub outputs: usize,
    /// `[outputs, inputs]`
    pub weights: &'a [i32],
    /// `[outputs]`
    pub bias: &'a [i32],
    /// What a hidden layer gives is its currents shifted by so many bits, and clamped to 0 to 255.
    pub shift: u8,
}

/// The last convolution and the readout as integers (integer machine, section 6).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ReadoutIntegers<'a> {
    /// Input channels.
    pub inputs: usize,
    /// Image channels.
    pub outputs: usize,
    /// `[outputs, inputs, 9]`, with 20 fractional bits.
    pub weights: &'a [i64],
    /// K, `[T]`, with 14 fractional bits.
    pub coefficients: &'a [i32],
    /// `[outputs]`, with 34 fractional bits.
    pub bias: &'a [i64],
    /// A pixel is how many of them its level, with 16 fractional bits, has reached.
    pub thresholds: [i32; 255],
}

impl<'a> RateLayerIntegers<'a> {
    fn of(layer: &'a RateLayer) -> Self {
        let RateLayer { inputs, outputs, weights, bias, .. } = layer;
        RateLayerIntegers { inputs: *inputs, outputs: *outputs, weights, bias, shift: layer.shift() }
    }
}

impl Network {
    /// Every spiking layer in the order of the data flow: encoder, posterior, prior, decoder.
    pub fn spiking_layers(&self) -> impl Iterator<Item = LayerIntegers<'_>> {
        self.all_spiking().map(|layer| LayerIntegers {
            name: &layer.name,
            inputs: layer.inputs,
            outputs: layer.outputs,
            taps: layer.taps,
            weights: &layer.weights,
            bias: &layer.bias,
            threshold: &layer.threshold,
        })
    }

    /// The sample layers of an ESVAE; `None` for an FSVAE.
    pub fn rate_integers(&self) -> Option<RateIntegers<'_>> {
        let Sampler::Rates(rates) = &self.sampler else { return None };
        Some(RateIntegers {
            layers: rates.layers.iter().map(RateLayerIntegers::of).collect(),
            logits: &rates.logits,
        })
    }

    /// The readout of an image, after the last time step.
    pub fn readout_integers(&self) -> ReadoutIntegers<'_> {
        let (readout, moment) = (&self.readout, self.readout.last());
        ReadoutIntegers {
            inputs: readout.inputs,
            outputs: readout.outputs,
            weights: &readout.weights,
            coefficients: &moment.coefficients,
            bias: &moment.bias,
            thresholds: pixel_thresholds(),
        }
    }
}
