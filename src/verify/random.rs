//! Random layers, networks and inputs, that come as often as can be to the edges of what the contract allows.

use crate::architecture::Architecture;
use crate::family::Family;
use crate::layer::{Kind, Shape, SpikingLayer};
use crate::network::{MOST, Moment, Network, RateLayer, Rates, Readout, Sampler, logits};
use crate::philox::{halves, philox};

/// Bound on the magnitudes of a current.
const CURRENT: i64 = (3 << 29) - (1 << 16) - 1;
/// Bound on the magnitudes of the readout's sum.
const READOUT: i64 = (1 << 45) - (1 << 40);

/// How large a layer's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// A membrane often ends exactly at its threshold.
    Small,
    /// As large as the contract allows.
    Large,
}

/// Random numbers that are the same everywhere.
#[derive(Debug)]
pub(super) struct Random {
    key: [u32; 2],
    counter: [u32; 4],
    words: [u32; 4],
    left: usize,
}

impl Random {
    /// Those of a seed for one of its purposes.
    pub(super) fn new(seed: u64, purpose: u32, round: u32) -> Self {
        Random { key: halves(seed), counter: [0, purpose, round, u32::MAX], words: [0; 4], left: 0 }
    }

    pub(super) fn word(&mut self) -> u32 {
        if self.left == 0 {
            self.words = philox(self.key, self.counter);
            self.counter[0] += 1;
            self.left = 4;
        }
        self.left -= 1;
        self.words[self.left]
    }

    pub(super) fn wide(&mut self) -> u64 {
        u64::from(self.word()) << 32 | u64::from(self.word())
    }

    /// From `least` to `most`, both included.
    pub(super) fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.word() as usize % (most - least + 1)
    }

    /// From -`most` to `most`.
    fn about_zero(&mut self, most: i64) -> i64 {
        (self.wide() % (2 * most as u64 + 1)) as i64 - most
    }

    fn numbers(&mut self, count: usize, most: i64) -> Vec<i32> {
        (0..count).map(|_| self.about_zero(most) as i32).collect()
    }

    /// Spike trains: silent, saturated, sparse or anything.
    pub(super) fn trains(&mut self, count: usize, steps: usize) -> Vec<u32> {
        let used = u32::MAX >> (32 - steps);
        let mut train = || match self.word() % 7 {
            0 | 1 => 0,
            2 => u32::MAX,
            3 | 4 => self.word() & self.word() & self.word(),
            _ => self.word(),
        };
        (0..count).map(|_| train() & used).collect()
    }

    /// Pixels: noise with many at the ends and in the middle.
    pub(super) fn pixels(&mut self, count: usize) -> Vec<u8> {
        let mut pixel = || match self.word() % 8 {
            0 => 0,
            1 => 255,
            2 => 127,
            3 => 128,
            _ => self.word() as u8,
        };
        (0..count).map(|_| pixel()).collect()
    }

    /// With its 8 guard bits and pixels of up to 255 a weight's share of the current is as much as a spike's, so weights
    /// of a layer on pixels get about as large as `i32`.
    pub(super) fn layer(&mut self, shape: Shape, scale: Scale) -> SpikingLayer {
        let fan_in = shape.fan_in();
        let (weight, threshold) = match scale {
            Scale::Small => (4, 3),
            Scale::Large => (CURRENT / (fan_in as i64 + 1), CURRENT / (fan_in as i64 + 1) / 2),
        };
        let factor = if shape.kind == Kind::Image && scale == Scale::Small { 300 } else { 1 };
        let outputs = shape.outputs;
        SpikingLayer {
            weights: self.numbers(outputs * fan_in, weight).iter().map(|number| number * factor).collect(),
            bias: self.numbers(outputs, weight),
            threshold: self.numbers(outputs, threshold).iter().map(|number| number.abs()).collect(),
            exponents: vec![8; outputs],
            shape,
        }
    }

    /// The three layers of a prior or posterior.
    pub(super) fn sampler(&mut self, shapes: Vec<Shape>, scale: Scale) -> Box<[SpikingLayer; 3]> {
        let layers: Vec<SpikingLayer> = shapes.into_iter().map(|shape| self.layer(shape, scale)).collect();
        layers.try_into().unwrap_or_else(|_| unreachable!("three layers"))
    }

    /// Rates behind hidden layers of these widths.
    pub(super) fn rates(&mut self, channels: usize, hidden: &[usize], scale: Scale) -> Rates {
        let widths = [&[channels], hidden, &[channels]].concat();
        let mut peak = 64;
        let mut layer = |pair: &[usize]| {
            let layer = self.rate_layer(pair[0], pair[1], peak, scale);
            peak = i64::from(MOST);
            layer
        };
        let layers: Vec<RateLayer> = widths.windows(2).map(&mut layer).collect();
        Rates { logits: logits(layers[layers.len() - 1].exponent), layers }
    }

    /// Currents of few fractional bits, which often end exactly on a logit or between two spikes of a unit, or of numbers
    /// as large as the contract allows. Inputs are up to `peak`.
    fn rate_layer(&mut self, inputs: usize, outputs: usize, peak: i64, scale: Scale) -> RateLayer {
        let (exponent, most) = match scale {
            Scale::Small => (8, 16),
            Scale::Large => (self.between(20, 27) as u8, CURRENT / (peak * (inputs as i64 + 1))),
        };
        let weights = self.numbers(inputs * outputs, most).into();
        RateLayer { inputs, outputs, weights, bias: self.numbers(outputs, peak * most), exponent }
    }

    /// Small ones stay in the middle of `tanh`, large ones have sums of 45 bits.
    pub(super) fn readout(&mut self, inputs: usize, outputs: usize, steps: usize, scale: Scale) -> Readout {
        let coefficient = ((1 << 17) - 1) / steps as i64;
        let largest = READOUT / (1 << 17) / (inputs as i64 * 9 + 1);
        let weight = if scale == Scale::Small { (largest >> 8).min(1 << 18) } else { largest };
        let moment = |random: &mut Self, end: usize| {
            let mut coefficients = random.numbers(end + 1, coefficient);
            coefficients.resize(steps, 0);
            Moment { coefficients, bias: (0..outputs).map(|_| random.about_zero(weight << 17)).collect() }
        };
        Readout {
            inputs,
            outputs,
            weights: (0..outputs * inputs * 9).map(|_| self.about_zero(weight)).collect(),
            moments: (0..steps).map(|end| moment(self, end)).collect(),
        }
    }

    /// A small network of odd sizes, of any family.
    pub(super) fn network(&mut self) -> Network {
        let depth = self.between(1, 3);
        let family = match self.between(0, 59) {
            neurons @ 1..=30 => Family::Fsvae { neurons_per_channel: neurons },
            _ => Family::Esvae,
        };
        let hidden = if family == Family::Esvae { self.between(0, 2) } else { 0 };
        let architecture = Architecture {
            family,
            time_steps: self.between(1, 32),
            latent_channels: self.between(1, 40),
            rate_widths: (0..hidden).map(|_| self.between(1, 80)).collect(),
            encoder_widths: (0..depth).map(|_| self.between(1, 24)).collect(),
            decoder_widths: (0..=depth).map(|_| self.between(1, 24)).collect(),
            image_channels: [1, 3][self.between(0, 1)],
        };
        self.network_of(architecture)
    }

    pub(super) fn network_of(&mut self, architecture: Architecture) -> Network {
        let mut scale = Scale::Large;
        // They take turns.
        let mut next = || {
            scale = if scale == Scale::Small { Scale::Large } else { Scale::Small };
            scale
        };
        let mut layers = |random: &mut Self, shapes: Vec<Shape>| -> Vec<SpikingLayer> {
            shapes.into_iter().map(|shape| random.layer(shape, next())).collect()
        };
        let (encoder, decoder) = (layers(self, architecture.encoder()), layers(self, architecture.decoder()));
        let readout = architecture.readout();
        Network {
            encoder,
            sampler: match architecture.family {
                Family::Fsvae { .. } => Sampler::Layers {
                    posterior: self.sampler(architecture.posterior(), next()),
                    prior: self.sampler(architecture.prior(), next()),
                },
                Family::Esvae => Sampler::Rates(self.rates(
                    architecture.latent_channels,
                    &architecture.rate_widths,
                    next(),
                )),
            },
            decoder,
            readout: self.readout(readout.inputs, readout.outputs, architecture.time_steps, Scale::Small),
            architecture,
        }
    }
}
