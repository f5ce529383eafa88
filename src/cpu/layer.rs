//! Leaky integrate-and-fire neurons in blocks of lanes, driven by spikes
//! (integer machine, section 4).

use super::spikes::for_each_spike;
use crate::network::SpikingLayer;

/// Output channels that are computed together: their sums stay in vector registers.
pub(crate) const LANES: usize = 32;

pub(crate) type Lanes = [i32; LANES];

/// A layer's numbers in the order in which spikes touch them. Lanes past the last output have
/// weights of zero and never spike.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) outputs: usize,
    inputs: usize,
    pub(crate) taps: usize,
    /// `[blocks, taps, inputs]`
    weights: Vec<Lanes>,
    /// `[blocks]`
    bias: Vec<Lanes>,
    /// `[blocks]`
    threshold: Vec<Lanes>,
}

impl Layer {
    pub(crate) fn new(layer: &SpikingLayer) -> Self {
        Layer::of_outputs(layer, &(0..layer.outputs).collect::<Vec<_>>())
    }

    /// A layer of some of the outputs, in the order of the list.
    pub(crate) fn of_outputs(layer: &SpikingLayer, outputs: &[usize]) -> Self {
        let lanes = |list: &[usize], silent: i32, value: &dyn Fn(usize) -> i32| -> Lanes {
            std::array::from_fn(|lane| list.get(lane).map_or(silent, |&output| value(output)))
        };
        let mut weights = Vec::new();
        let mut bias = Vec::new();
        let mut threshold = Vec::new();
        for block in outputs.chunks(LANES) {
            for tap in 0..layer.taps {
                let row = |input| lanes(block, 0, &|output| layer.weight(output, input, tap));
                weights.extend((0..layer.inputs).map(row));
            }
            bias.push(lanes(block, 0, &|output| layer.bias[output]));
            threshold.push(lanes(block, i32::MAX, &|output| layer.threshold[output]));
        }
        let (inputs, taps) = (layer.inputs, layer.taps);
        Layer { outputs: outputs.len(), inputs, taps, weights, bias, threshold }
    }

    pub(crate) fn blocks(&self) -> usize {
        self.bias.len()
    }

    /// The weights of one block from every input through one tap, `[inputs]`.
    pub(crate) fn rows(&self, block: usize, tap: usize) -> &[Lanes] {
        &self.weights[(block * self.taps + tap) * self.inputs..][..self.inputs]
    }

    /// Neurons at rest: membrane potential 0, no spike.
    pub(crate) fn at_rest(&self, block: usize) -> Neurons<'_> {
        Neurons { bias: &self.bias[block], threshold: &self.threshold[block], carry: [0; LANES] }
    }
}

/// The state of one block's neurons at one pixel.
pub(crate) struct Neurons<'a> {
    bias: &'a Lanes,
    threshold: &'a Lanes,
    /// What the last step leaves of the membrane potential: 0 after a spike, a quarter otherwise.
    carry: Lanes,
}

impl Neurons<'_> {
    /// One time step. `sources` are the spikes that arrive, each with the weights of its tap; the
    /// answer has a bit for each lane that spikes.
    #[inline]
    pub(crate) fn step<'s>(&mut self, sources: impl Iterator<Item = (&'s [Lanes], &'s [u64])>) -> u64 {
        let mut current = *self.bias;
        for (rows, mask) in sources {
            receive(&mut current, rows, mask);
        }
        let mut spikes = 0;
        let lanes = self.carry.iter_mut().zip(&current).zip(self.threshold).enumerate();
        for (lane, ((carry, &current), &threshold)) in lanes {
            spikes |= u64::from(fire(carry, current, threshold)) << lane;
        }
        spikes
    }
}

/// Adds the weights of every input that spikes. Not inlined: taken apart together with what follows
/// it, the sums would end up in scalar registers.
#[inline(never)]
fn receive(current: &mut Lanes, rows: &[Lanes], mask: &[u64]) {
    for_each_spike(mask, |input| {
        for (sum, weight) in current.iter_mut().zip(&rows[input]) {
            *sum += weight;
        }
    });
}

/// u = carry + x; a spike resets the membrane, else a quarter of it stays.
#[inline(always)]
pub(crate) fn fire(carry: &mut i32, current: i32, threshold: i32) -> bool {
    let potential = *carry + current;
    let spike = potential > threshold;
    *carry = if spike { 0 } else { potential >> 2 };
    spike
}
