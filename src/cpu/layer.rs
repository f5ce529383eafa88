//! Leaky integrate-and-fire neurons in blocks of vectors, driven by spikes (integer machine, section 4).

use super::spikes::{for_each_four, for_each_spike};
use super::vectors::{Aligned, Processor, Vectors};
use crate::layer::SpikingLayer;

/// A layer's numbers in the order in which spikes touch them. Lanes past the last output have weights of
/// zero and never spike.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) processor: Processor,
    /// Rows of weights at a tap: one for each input, or with `fours` one for each pattern of four inputs.
    rows: usize,
    /// Four inputs' weights are added up beforehand, for each pattern of their spikes.
    pub(crate) fours: bool,
    pub(crate) outputs: usize,
    /// Output channels that are computed together, V vectors.
    lanes: usize,
    /// `[blocks, taps * rows, lanes]`, the taps in groups, each `[rows, taps of the group]`.
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

    /// The same, its inputs read four at a time if `fours`.
    pub(crate) fn by_fours(
        processor: Processor,
        layer: &SpikingLayer,
        vectors: usize,
        groups: &[&[usize]],
        fours: bool,
    ) -> Self {
        let outputs: Vec<usize> = (0..layer.outputs).collect();
        Layer::laid_out(processor, layer, &outputs, vectors, groups, fours)
    }

    /// A layer of some of the outputs, in the order of the list.
    pub(crate) fn of_outputs(
        processor: Processor,
        layer: &SpikingLayer,
        outputs: &[usize],
        vectors: usize,
        groups: &[&[usize]],
    ) -> Self {
        Layer::laid_out(processor, layer, outputs, vectors, groups, false)
    }

    fn laid_out(
        processor: Processor,
        layer: &SpikingLayer,
        outputs: &[usize],
        vectors: usize,
        groups: &[&[usize]],
        fours: bool,
    ) -> Self {
        let lanes = vectors * processor.lanes();
        let rows = if fours { layer.inputs.div_ceil(4) * 16 } else { layer.inputs };
        let mut weights = Vec::with_capacity(outputs.len().next_multiple_of(lanes) * layer.taps * rows);
        let mut bias = Vec::new();
        let mut threshold = Vec::new();
        for block in outputs.chunks(lanes) {
            let fill = |numbers: &mut Vec<i32>, silent: i32, value: &dyn Fn(usize) -> i32| {
                numbers.extend(block.iter().map(|&output| value(output)));
                numbers.extend((block.len()..lanes).map(|_| silent));
            };
            for group in groups {
                for row in 0..rows {
                    for &tap in *group {
                        let begin = weights.len();
                        let mut add = |input| {
                            fill(&mut weights, 0, &|output| match input {
                                Some(input) if input < layer.inputs => layer.weight(output, input, tap),
                                _ => 0,
                            });
                        };
                        if !fours {
                            add(Some(row));
                        } else if let Some((input, less)) = last_input(row) {
                            add(Some(input));
                            let back = (row - less) * group.len() * lanes;
                            (begin..begin + lanes).for_each(|at| weights[at] += weights[at - back]);
                        } else {
                            add(None);
                        }
                    }
                }
            }
            fill(&mut bias, 0, &|output| layer.bias[output]);
            fill(&mut threshold, i32::MAX, &|output| layer.threshold[output]);
        }
        Layer {
            processor,
            rows,
            fours,
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
        let first = (block * taps + tap) * self.rows * vectors;
        &self.weights.vectors(s)[first..]
    }

    /// Bias and threshold of one block.
    #[inline(always)]
    pub(super) fn block<S: Vectors, const V: usize>(&self, s: S, block: usize) -> Block<S, V> {
        let take = |numbers: &Aligned| std::array::from_fn(|v| numbers.vectors(s)[block * V + v]);
        Block { bias: take(&self.bias), threshold: take(&self.threshold) }
    }
}

/// The last input that spikes in a row's pattern, and the row of the pattern without it. `None` where none spikes.
fn last_input(row: usize) -> Option<(usize, usize)> {
    let bit = (row % 16).checked_ilog2()?;
    Some((row / 16 * 4 + bit as usize, row - (1 << bit)))
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
        std::array::from_fn(|v| {
            let potential = s.add(carry[v], current[v]);
            let spikes = s.greater(potential, self.threshold[v]);
            carry[v] = s.quarter_unless(spikes, potential);
            spikes
        })
    }
}

/// Adds the weights of every input of `mask` that spikes. A row of `rows`, `[inputs, N, V]`, goes to the N
/// `targets` among the currents.
#[inline(always)]
pub(super) fn receive<S: Vectors, const V: usize, const N: usize, const ALL: usize>(
    s: S,
    currents: &mut [[S::Vector; V]; ALL],
    targets: [usize; N],
    rows: &[S::Vector],
    mask: &[u64],
) {
    for_each_spike(
        mask,
        #[inline(always)]
        |input| add_row(s, currents, targets, rows, input),
    );
}

/// The same, of a layer that is laid out by fours.
#[inline(always)]
pub(super) fn receive_fours<S: Vectors, const V: usize, const N: usize, const ALL: usize>(
    s: S,
    currents: &mut [[S::Vector; V]; ALL],
    targets: [usize; N],
    rows: &[S::Vector],
    mask: &[u64],
) {
    for_each_four(
        mask,
        #[inline(always)]
        |row| add_row(s, currents, targets, rows, row),
    );
}

#[inline(always)]
fn add_row<S: Vectors, const V: usize, const N: usize, const ALL: usize>(
    s: S,
    currents: &mut [[S::Vector; V]; ALL],
    targets: [usize; N],
    rows: &[S::Vector],
    row: usize,
) {
    let row = &rows[row * N * V..][..N * V];
    for (n, target) in targets.into_iter().enumerate() {
        for v in 0..V {
            currents[target][v] = s.add(currents[target][v], row[n * V + v]);
        }
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
