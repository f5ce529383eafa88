//! Leaky integrate-and-fire neurons in blocks of vectors, driven by spikes (integer machine, section 4).

use super::spikes::{Change, for_each_spike};
use super::vectors::{Aligned, Processor, Vectors};
use crate::layer::SpikingLayer;

/// A layer's numbers in the order in which spikes touch them. Lanes past the last output have weights of
/// zero and never spike.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) processor: Processor,
    inputs: usize,
    pub(crate) outputs: usize,
    /// Output channels that are computed together, V vectors.
    lanes: usize,
    /// `[blocks, taps * inputs, lanes]`, the taps in groups, each `[inputs, taps of the group]`.
    weights: Aligned,
    /// `[blocks, lanes]`
    bias: Aligned,
    /// `[blocks, lanes]`
    threshold: Aligned,
}

impl Layer {
    /// A layer whose blocks are `vectors` vectors. A spike reaches all taps of a group at once, so their weights
    /// lie side by side.
    pub(crate) fn new(
        processor: Processor,
        layer: &SpikingLayer,
        vectors: usize,
        groups: &[&[usize]],
    ) -> Self {
        Layer::of_outputs(processor, layer, &(0..layer.outputs).collect::<Vec<_>>(), vectors, groups)
    }

    /// A layer of some of the outputs, in the order of the list.
    pub(crate) fn of_outputs(
        processor: Processor,
        layer: &SpikingLayer,
        outputs: &[usize],
        vectors: usize,
        groups: &[&[usize]],
    ) -> Self {
        let lanes = vectors * processor.lanes();
        let mut weights =
            Vec::with_capacity(outputs.len().next_multiple_of(lanes) * layer.taps * layer.inputs);
        let mut bias = Vec::new();
        let mut threshold = Vec::new();
        for block in outputs.chunks(lanes) {
            let fill = |numbers: &mut Vec<i32>, silent: i32, value: &dyn Fn(usize) -> i32| {
                numbers.extend(block.iter().map(|&output| value(output)));
                numbers.extend((block.len()..lanes).map(|_| silent));
            };
            for group in groups {
                for input in 0..layer.inputs {
                    for &tap in *group {
                        fill(&mut weights, 0, &|output| layer.weight(output, input, tap));
                    }
                }
            }
            fill(&mut bias, 0, &|output| layer.bias[output]);
            fill(&mut threshold, i32::MAX, &|output| layer.threshold[output]);
        }
        Layer {
            processor,
            inputs: layer.inputs,
            outputs: outputs.len(),
            lanes,
            weights: Aligned::new(&weights),
            bias: Aligned::new(&bias),
            threshold: Aligned::new(&threshold),
        }
    }

    pub(crate) fn blocks(&self) -> usize {
        self.outputs.div_ceil(self.lanes)
    }

    /// The u64 of a mask that holds a block's spikes, and by how much they are shifted in it.
    pub(crate) fn place(&self, block: usize) -> (usize, usize) {
        (block * self.lanes / 64, block * self.lanes % 64)
    }

    /// The weights of one block, V vectors a row, from row `tap` of its taps on.
    #[inline(always)]
    pub(super) fn rows<S: Vectors>(&self, s: S, block: usize, taps: usize, tap: usize) -> &[S::Vector] {
        let vectors = self.lanes / S::LANES;
        let first = (block * taps + tap) * self.inputs * vectors;
        &self.weights.vectors(s)[first..]
    }

    /// Bias and threshold of one block.
    #[inline(always)]
    pub(super) fn block<S: Vectors, const V: usize>(&self, s: S, block: usize) -> Block<S, V> {
        let take = |numbers: &Aligned| {
            let mut taken = [s.splat(0); V];
            taken.copy_from_slice(&numbers.vectors(s)[block * V..][..V]);
            taken
        };
        Block { bias: take(&self.bias), threshold: take(&self.threshold) }
    }
}

/// Neurons of V vectors that share their constants with others at other pixels.
#[derive(Clone, Copy)]
pub(super) struct Block<S: Vectors, const V: usize> {
    pub(super) bias: [S::Vector; V],
    threshold: [S::Vector; V],
}

impl<S: Vectors, const V: usize> Block<S, V> {
    /// u = carry + x; a spike resets the membrane, else a quarter of it is carried on.
    #[inline(always)]
    pub(super) fn fire(&self, s: S, carry: &mut [S::Vector; V], current: &[S::Vector; V]) -> [S::Mask; V] {
        // Not `array::from_fn`: compilers keep that as a function of its own, without the instruction set.
        let mut spikes = [S::Mask::default(); V];
        for v in 0..V {
            let potential = s.add(carry[v], current[v]);
            spikes[v] = s.greater(potential, self.threshold[v]);
            carry[v] = s.quarter_unless(spikes[v], potential);
        }
        spikes
    }
}

/// Brings currents from one time step to the next: adds the weights of the inputs that spike now and did not before, and
/// takes away those of the inputs that did and no longer do. Most inputs do what they did the step before. A row of
/// `rows`, `[inputs, N, V]`, goes to the N `targets` among the currents.
///
/// One loop for both, because nobody can predict where a loop ends: the negative of a weight is its bits turned round, and
/// one more. The ones are returned, the same for all lanes and targets, for [`settle`].
#[inline(always)]
pub(super) fn follow<S: Vectors, const V: usize, const N: usize, const ALL: usize>(
    s: S,
    currents: &mut [[S::Vector; V]; ALL],
    targets: [usize; N],
    rows: &[S::Vector],
    Change { changed, now }: Change<'_>,
) -> i32 {
    let mut ended = 0;
    for (word, (&changed, &now)) in changed.iter().zip(now).enumerate() {
        let rows = &rows[word * 64 * N * V..];
        for_each_spike(
            &[changed],
            #[inline(always)]
            |input| {
                let turned = s.splat((now >> input & 1) as i32 - 1);
                let row = &rows[input * N * V..][..N * V];
                for (n, target) in targets.into_iter().enumerate() {
                    for v in 0..V {
                        let weight = s.exclusive(turned, row[n * V + v]);
                        currents[target][v] = s.add(currents[target][v], weight);
                    }
                }
            },
        );
        ended += (changed & !now).count_ones() as i32;
    }
    ended
}

/// Adds what [`follow`] left out.
#[inline(always)]
pub(super) fn settle<S: Vectors, const V: usize>(s: S, currents: &mut [S::Vector; V], ended: i32) {
    let ended = s.splat(ended);
    for current in currents {
        *current = s.add(*current, ended);
    }
}

/// The bits of V vectors, the first lane's the lowest.
#[inline(always)]
pub(super) fn bits<S: Vectors, const V: usize>(s: S, masks: [S::Mask; V]) -> u64 {
    let mut all = 0;
    for (v, mask) in masks.into_iter().enumerate() {
        all |= s.bits(mask) << (v * S::LANES);
    }
    all
}

/// u = carry + x; a spike resets the membrane, else a quarter of it stays.
#[inline(always)]
pub(crate) fn fire(carry: &mut i32, current: i32, threshold: i32) -> bool {
    let potential = *carry + current;
    let spike = potential > threshold;
    *carry = if spike { 0 } else { potential >> 2 };
    spike
}
