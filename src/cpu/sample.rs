//! Twin of `shaders/sample.wgsl`: the autoregressive prior or posterior and its draws
//! (integer machine, sections 4 and 5).

use super::layer::{Layer, bits, follow, settle};
use super::linear_lif::{V, prepare};
use super::spikes::{Change, Spikes};
use super::vectors::{Aligned, Processor, Vectors, Work, prefetch};
use crate::layer::SpikingLayer;
use crate::network::Carry;
use crate::philox::Draws;

/// Rows of the last layer that are on their way from memory: the draws, and so the rows, are known beforehand.
const AHEAD: usize = 4;

/// The three layers of the prior or the posterior.
#[derive(Debug)]
pub(crate) struct Sampler {
    /// Has a tap for the encoder's spikes, in the posterior, and one for z.
    first: Layer,
    second: Layer,
    /// `[C * k, 4C]`, a drawn neuron's row in one piece, filled up to the second layer's blocks.
    last: Aligned,
    last_bias: Vec<i32>,
    last_threshold: Vec<i32>,
    last_carries: Vec<Carry>,
    /// k
    neurons: usize,
}

impl Sampler {
    pub(crate) fn new(
        processor: Processor,
        [first, second, last]: &[SpikingLayer; 3],
        channels: usize,
    ) -> Self {
        let padded = last.inputs.next_multiple_of(V * processor.lanes());
        let mut rows = Vec::with_capacity(last.outputs * padded);
        for row in last.weights.chunks(last.inputs) {
            rows.extend_from_slice(row);
            rows.resize(rows.len().next_multiple_of(padded), 0);
        }
        Sampler {
            first: prepare(processor, &first.with_inputs_apart(channels)),
            second: prepare(processor, second),
            last: Aligned::new(&rows),
            last_bias: last.bias.clone(),
            last_threshold: last.threshold.clone(),
            last_carries: last.carry_bounds().collect(),
            neurons: last.outputs / channels,
        }
    }
}

/// Latent spike trains z of one image, a map of one pixel with C channels. `encoded` are the
/// encoder's spikes of the same shape, for the posterior.
pub(crate) fn sample(sampler: &Sampler, encoded: Option<&Spikes>, draws: Draws, steps: usize) -> Spikes {
    sampler.first.processor.run(Image { sampler, encoded, draws, steps })
}

struct Image<'a> {
    sampler: &'a Sampler,
    encoded: Option<&'a Spikes>,
    draws: Draws,
    steps: usize,
}

impl Work for Image<'_> {
    type Output = Spikes;

    #[inline(always)]
    fn with<S: Vectors>(self, s: S) -> Spikes {
        let Image { sampler, encoded, draws, steps } = self;
        let mut z = Spikes::silent(1, draws.channels, steps);
        let (mut first, mut second) = (Membranes::new(s, &sampler.first), Membranes::new(s, &sampler.second));
        let mut first_spikes = vec![0; sampler.first.outputs.div_ceil(64)];
        // What the layers hear.
        let (mut latents, mut hidden) = (Heard::silence(z.width), Heard::silence(first_spikes.len()));
        // The second layer's spikes so far, `[steps, vectors]`.
        let vectors = sampler.second.blocks() * V;
        let mut history = vec![S::Mask::default(); steps * vectors];
        let drawn = Drawn { sampler, rows: sampler.last.vectors(s), vectors };

        let mut previous = vec![0; z.width];
        let encoded = encoded.map(Spikes::changes);
        let mut neurons = Vec::with_capacity(draws.channels);
        for step in 0..steps {
            neurons.clear();
            let picks = draws.picks(step, sampler.neurons).enumerate();
            neurons.extend(picks.map(|(channel, pick)| channel * sampler.neurons + pick));
            // They come from afar while the hidden layers are computed.
            neurons.iter().take(AHEAD).for_each(|&neuron| prefetch(drawn.row(neuron)));
            first_spikes.fill(0);
            let into_bits = |block, spikes| {
                let (word, shift) = sampler.first.place(block);
                first_spikes[word] |= bits(s, spikes) << shift;
            };
            let latents = latents.then(&previous);
            match &encoded {
                Some(encoded) => first.step(s, [encoded.at(0, step), latents], into_bits),
                None => first.step(s, [latents], into_bits),
            }
            let now = &mut history[step * vectors..][..vectors];
            second.step(
                s,
                [hidden.then(&first_spikes)],
                #[inline(always)]
                |block, spikes| now[block * V..][..V].copy_from_slice(&spikes),
            );

            previous.fill(0);
            for (channel, &neuron) in neurons.iter().enumerate() {
                if let Some(&later) = neurons.get(channel + AHEAD) {
                    prefetch(drawn.row(later));
                }
                let spike = drawn.spike(s, neuron, step, &history);
                previous[channel / 64] |= u64::from(spike) << (channel % 64);
            }
            z.masks[step * z.width..][..z.width].copy_from_slice(&previous);
        }
        z
    }
}

/// What a layer has heard so far.
struct Heard {
    changed: Vec<u64>,
    now: Vec<u64>,
}

impl Heard {
    fn silence(width: usize) -> Self {
        Heard { changed: vec![0; width], now: vec![0; width] }
    }

    /// After the spikes of one more step.
    fn then(&mut self, spikes: &[u64]) -> Change<'_> {
        for ((changed, now), &spikes) in self.changed.iter_mut().zip(&mut self.now).zip(spikes) {
            *changed = *now ^ spikes;
            *now = spikes;
        }
        Change { changed: &self.changed, now: &self.now }
    }
}

/// A hidden layer's neurons between two time steps.
struct Membranes<'a, S: Vectors> {
    layer: &'a Layer,
    /// Of each block.
    carries: Vec<[S::Vector; V]>,
    currents: Vec<[[S::Vector; V]; 1]>,
}

impl<'a, S: Vectors> Membranes<'a, S> {
    #[inline(always)]
    fn new(s: S, layer: &'a Layer) -> Self {
        let currents = (0..layer.blocks()).map(|block| [layer.block::<S, V>(s, block).bias]).collect();
        Membranes { layer, carries: vec![[s.splat(0); V]; layer.blocks()], currents }
    }

    /// The inputs of each tap; `take` gets each block's spikes.
    #[inline(always)]
    fn step<const TAPS: usize>(
        &mut self,
        s: S,
        inputs: [Change<'_>; TAPS],
        mut take: impl FnMut(usize, [S::Mask; V]),
    ) {
        for (block, (carry, kept)) in self.carries.iter_mut().zip(&mut self.currents).enumerate() {
            let neurons = self.layer.block::<S, V>(s, block);
            // In registers while they change.
            let (mut currents, mut ended) = (*kept, 0);
            for (tap, change) in inputs.into_iter().enumerate() {
                ended += follow(s, &mut currents, [0], self.layer.rows(s, block, TAPS, tap), change);
            }
            settle(s, &mut currents[0], ended);
            take(block, neurons.fire(s, carry, &currents[0]));
            *kept = currents;
        }
    }
}

/// The last layer. A neuron that is not drawn has no effect on anything, and the last steps decide one that is.
struct Drawn<'a, S: Vectors> {
    sampler: &'a Sampler,
    rows: &'a [S::Vector],
    /// Vectors of a row.
    vectors: usize,
}

impl<S: Vectors> Drawn<'_, S> {
    #[inline(always)]
    fn row(&self, neuron: usize) -> &[S::Vector] {
        &self.rows[neuron * self.vectors..][..self.vectors]
    }

    /// Whether a neuron spikes at `step`; `history` are its inputs up to then.
    #[inline(always)]
    fn spike(&self, s: S, neuron: usize, step: usize, history: &[S::Mask]) -> bool {
        let Sampler { last_bias, last_threshold, last_carries, .. } = self.sampler;
        let row = self.row(neuron);
        let current = |step: usize| {
            let inputs = &history[step * self.vectors..][..self.vectors];
            // Several sums at once: an addition need not wait for the one before.
            let mut sums = [s.splat(0); V];
            for (inputs, weights) in inputs.chunks_exact(V).zip(row.chunks_exact(V)) {
                for v in 0..V {
                    sums[v] = s.add_where(inputs[v], sums[v], weights[v]);
                }
            }
            last_bias[neuron] + s.sum(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3])))
        };
        Carry::decide(last_carries[neuron], last_threshold[neuron], step, current)
    }
}
