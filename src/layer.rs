//! One layer, described once: what checkpoints, both backends, `info`, `operations` and memory know of it.

use std::ops::Deref;
use std::sync::Arc;

use crate::family::rate_layer;
use crate::network::LayerFacts;
use crate::spikes::Layer;

/// What a layer computes from its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A 3x3 convolution of stride 2 on u8 pixels instead of spikes: the encoder's first.
    Image,
    /// A 3x3 convolution of stride 2.
    Convolution,
    /// Fully connected; where it sees a map, all its pixels at once.
    Linear,
    /// Fully connected to a map of 2x2 pixels. Its outputs are the map's channels, y, x.
    Unfold,
    /// A 3x3 transposed convolution of stride 2.
    Transposed,
    /// A 3x3 transposed convolution of stride 1 on sums over time: the image's.
    Readout,
    /// Fully connected, on numbers instead of spikes: those of an ESVAE's sample layer.
    Rates,
}

/// A layer without its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// In the checkpoint.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Height and width of its input in pixels; 1 where that is no map.
    pub(crate) side: usize,
    /// Input channels of a pixel.
    pub(crate) inputs: usize,
    /// Output channels of a pixel, of all four in [`Kind::Unfold`].
    pub(crate) outputs: usize,
    /// Weights between an input and an output channel: 9 (ky, kx) of a convolution, one for each pixel (y, x) of what a
    /// linear layer sees.
    pub(crate) taps: usize,
}

impl Shape {
    pub(crate) fn new(
        name: impl Into<String>,
        kind: Kind,
        side: usize,
        inputs: usize,
        outputs: usize,
    ) -> Self {
        let taps = if is_convolution(kind) { 9 } else { side * side };
        Shape { name: name.into(), kind, side, inputs, outputs, taps }
    }

    /// An ESVAE's layers from the normal numbers to the rates, with hidden ones of these widths.
    pub(crate) fn rates(channels: usize, hidden: &[usize]) -> Vec<Self> {
        let widths = [&[channels], hidden, &[channels]].concat();
        let layer =
            |(i, pair): (usize, &[usize])| Shape::new(rate_layer(i), Kind::Rates, 1, pair[0], pair[1]);
        widths.windows(2).enumerate().map(layer).collect()
    }

    /// The three layers of an FSVAE's prior or posterior, which draws one of k = `neurons` a channel.
    pub(crate) fn autoregressive(network: &str, inputs: usize, channels: usize, neurons: usize) -> Vec<Self> {
        let widths = [inputs, 2 * channels, 4 * channels, channels * neurons];
        let layer = |(i, pair): (usize, &[usize])| {
            Shape::new(format!("{network}.layers.{i}"), Kind::Linear, 1, pair[0], pair[1])
        };
        widths.windows(2).enumerate().map(layer).collect()
    }

    /// Weights of one output.
    pub(crate) fn fan_in(&self) -> usize {
        self.inputs * self.taps
    }

    /// Whether inputs come first in the axes of the checkpoint's weights.
    pub(crate) fn inputs_first(&self) -> bool {
        matches!(self.kind, Kind::Transposed | Kind::Readout)
    }

    /// Whether it has a batch norm, which spiking layers have.
    pub(crate) fn has_norm(&self) -> bool {
        !matches!(self.kind, Kind::Readout | Kind::Rates)
    }

    /// The shape of the checkpoint's weights.
    pub(crate) fn tensor(&self) -> Vec<usize> {
        match (is_convolution(self.kind), self.inputs_first()) {
            (true, true) => vec![self.inputs, self.outputs, 3, 3, 1],
            (true, false) => vec![self.outputs, self.inputs, 3, 3, 1],
            (false, _) => vec![self.outputs, self.fan_in()],
        }
    }

    /// What it gives: the side of its map, and the channels of a pixel.
    pub(crate) fn map(&self) -> Layer {
        let (side, channels) = match self.kind {
            Kind::Image | Kind::Convolution => (self.side / 2, self.outputs),
            Kind::Linear | Kind::Rates => (1, self.outputs),
            Kind::Unfold => (2, self.outputs / 4),
            Kind::Transposed => (2 * self.side, self.outputs),
            Kind::Readout => (self.side, self.outputs),
        };
        Layer::new(self.name.clone(), side, channels)
    }

    /// Outputs that an input at a pixel, the `at`-th of its map, reaches.
    pub(crate) fn reached(&self, at: usize) -> usize {
        let (y, x, last) = (at / self.side, at % self.side, self.side - 1);
        let rows = |at: usize| match self.kind {
            // Input a reaches the outputs 2a + k - 1: the first is past the border.
            Kind::Transposed => 3 - usize::from(at == 0),
            // a + k - 1: either border takes one.
            Kind::Readout => 3 - usize::from(at == 0) - usize::from(at == last),
            // Output o sees the inputs 2o + k - 1: even ones are in the middle of one, odd ones between two.
            Kind::Image | Kind::Convolution => 1 + usize::from(at % 2 == 1 && at < last),
            Kind::Linear | Kind::Unfold | Kind::Rates => 1,
        };
        rows(y) * rows(x) * self.outputs
    }

    /// Multiply-adds of one time step if zeros were computed, too.
    pub(crate) fn dense(&self) -> u64 {
        (0..self.side * self.side).map(|at| (self.inputs * self.reached(at)) as u64).sum()
    }

    /// For people to read.
    pub(crate) fn facts(&self, exponents: Vec<u8>) -> LayerFacts {
        let inputs = if is_convolution(self.kind) { self.inputs } else { self.fan_in() };
        let (name, outputs, fan_in) = (self.name.clone(), self.outputs, self.fan_in());
        LayerFacts { name, inputs, outputs, fan_in, exponents }
    }
}

fn is_convolution(kind: Kind) -> bool {
    !matches!(kind, Kind::Linear | Kind::Unfold | Kind::Rates)
}

/// A layer of leaky integrate-and-fire neurons (integer machine, sections 3 and 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SpikingLayer {
    pub(crate) shape: Shape,
    /// `[outputs, inputs, taps]`; those of [`Kind::Image`] have 8 guard bits and are meant for `2 * pixel - 255`.
    pub(crate) weights: Arc<[i32]>,
    /// `[outputs]`
    pub(crate) bias: Vec<i32>,
    /// `[outputs]`; a membrane potential above it is a spike.
    pub(crate) threshold: Vec<i32>,
    /// e_o, `[outputs]`, 8 to 28: the numbers of an output are multiples of 2^-e_o.
    pub(crate) exponents: Vec<u8>,
}

impl Deref for SpikingLayer {
    type Target = Shape;

    fn deref(&self) -> &Shape {
        &self.shape
    }
}

impl SpikingLayer {
    pub(crate) fn weight(&self, output: usize, input: usize, tap: usize) -> i32 {
        self.weights[(output * self.inputs + input) * self.taps + tap]
    }

    /// The same linear layer with inputs `[parts, channels]` as `channels` inputs of `parts` taps.
    pub(crate) fn with_inputs_apart(&self, channels: usize) -> Self {
        let parts = self.inputs / channels;
        let mut weights = Vec::with_capacity(self.weights.len());
        for output in 0..self.outputs {
            for channel in 0..channels {
                weights.extend((0..parts).map(|part| self.weight(output, part * channels + channel, 0)));
            }
        }
        let shape = Shape { inputs: channels, taps: parts, ..self.shape.clone() };
        SpikingLayer { shape, weights: weights.into(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind, against pairs of an input and an output that are written out: `output = stride * input + k - 1` of
    /// transposed ones, `input = stride * output + k - 1` of the others.
    #[test]
    fn inputs_reach_what_the_contract_says() {
        for (kind, stride, transposed) in [
            (Kind::Image, 2, false),
            (Kind::Convolution, 2, false),
            (Kind::Transposed, 2, true),
            (Kind::Readout, 1, true),
        ] {
            for side in [2, 4, 8] {
                let shape = Shape::new("test", kind, side, 5, 7);
                let outputs = shape.map().side;
                let pairs = |at: usize| -> usize {
                    let pair = |(output, k): (usize, usize)| {
                        let (from, to) = if transposed { (at, output) } else { (output, at) };
                        stride * from + k == to + 1
                    };
                    (0..outputs)
                        .flat_map(|output| (0..3).map(move |k| (output, k)))
                        .filter(|&it| pair(it))
                        .count()
                };
                for at in 0..side * side {
                    let expected = 7 * pairs(at / side) * pairs(at % side);
                    assert_eq!(shape.reached(at), expected, "{kind:?}, side {side}, pixel {at}");
                }
            }
        }
        let linear = Shape::new("test", Kind::Linear, 2, 5, 7);
        assert_eq!((linear.reached(3), linear.dense(), linear.taps), (7, 4 * 5 * 7, 4));
    }
}
