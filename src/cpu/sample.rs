//! Twin of `shaders/sample.wgsl`: the autoregressive prior or posterior and its draws
//! (integer machine, sections 4 and 5).

use super::layer::{LANES, Layer, Neurons, fire};
use super::spikes::{Spikes, for_each_spike};
use crate::network::SpikingLayer;
use crate::philox::Draws;

/// The three layers of the prior or the posterior.
#[derive(Debug)]
pub(crate) struct Sampler {
    /// The first has a tap for the encoder's spikes, in the posterior, and one for z.
    hidden: [Layer; 2],
    /// `[C * k, 4C]` as it is: a drawn neuron reads its own row.
    last: SpikingLayer,
}

impl Sampler {
    pub(crate) fn new([first, second, last]: &[SpikingLayer; 3], channels: usize) -> Self {
        let first = Layer::new(&first.with_inputs_apart(channels));
        Sampler { hidden: [first, Layer::new(second)], last: last.clone() }
    }
}

/// Latent spike trains z of one image, a map of one pixel with C channels. `encoded` are the
/// encoder's spikes of the same shape, for the posterior.
///
/// Neurons of the last layer that are not drawn have no effect on anything, so a neuron is only
/// brought up to date, from the step it was left at, when it is drawn.
pub(crate) fn sample(sampler: &Sampler, encoded: Option<&Spikes>, draws: Draws, steps: usize) -> Spikes {
    let last = &sampler.last;
    let mut z = Spikes::silent(1, draws.channels, steps);
    let mut first = HiddenState::new(&sampler.hidden[0]);
    let mut second = HiddenState::new(&sampler.hidden[1]);
    // The second layer's spikes so far: the list of step s is spikes[starts[s]..starts[s + 1]].
    let mut spikes: Vec<u32> = Vec::new();
    let mut starts = vec![0];
    let mut carry = vec![0; last.outputs];
    let mut next_step = vec![0_u8; last.outputs];

    let mut previous = vec![0; z.width];
    for step in 0..steps {
        match encoded {
            Some(encoded) => first.step(&[encoded.at(0, step), &previous]),
            None => first.step(&[&previous]),
        }
        second.step(&[&first.spikes]);
        for_each_spike(&second.spikes, |input| spikes.push(input as u32));
        starts.push(spikes.len());

        previous.fill(0);
        for (channel, pick) in draws.at(step).enumerate() {
            let neuron = channel * draws.neurons + pick;
            let row = &last.weights[neuron * last.inputs..][..last.inputs];
            let mut spike = false;
            for missing in usize::from(next_step[neuron])..=step {
                let inputs = &spikes[starts[missing]..starts[missing + 1]];
                let current: i32 = inputs.iter().map(|&input| row[input as usize]).sum();
                let (bias, threshold) = (last.bias[neuron], last.threshold[neuron]);
                spike = fire(&mut carry[neuron], bias + current, threshold);
            }
            next_step[neuron] = step as u8 + 1;
            previous[channel / 64] |= u64::from(spike) << (channel % 64);
        }
        z.masks[step * z.width..][..z.width].copy_from_slice(&previous);
    }
    z
}

/// A hidden layer at one time step.
struct HiddenState<'a> {
    layer: &'a Layer,
    neurons: Vec<Neurons<'a>>,
    spikes: Vec<u64>,
}

impl<'a> HiddenState<'a> {
    fn new(layer: &'a Layer) -> Self {
        let neurons = (0..layer.blocks()).map(|block| layer.at_rest(block)).collect();
        HiddenState { layer, neurons, spikes: vec![0; layer.outputs.div_ceil(64)] }
    }

    /// One mask for each tap.
    fn step(&mut self, inputs: &[&[u64]]) {
        self.spikes.fill(0);
        for (block, neurons) in self.neurons.iter_mut().enumerate() {
            let sources = inputs.iter().enumerate().map(|(tap, mask)| (self.layer.rows(block, tap), *mask));
            let spikes = neurons.step(sources);
            self.spikes[block * LANES / 64] |= spikes << (block * LANES % 64);
        }
    }
}
