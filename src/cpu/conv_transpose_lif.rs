//! Twin of `shaders/conv_transpose_lif.wgsl`: a spiking transposed convolution, stride 2, padding
//! 1, output padding 1, over all time steps (integer machine, section 4).
//!
//! Input `a` adds to outputs `2a + k - 1`, so the 2x2 outputs at `(2a, 2b)` see the 2x2 inputs at `(a, b)` and
//! no others: a quad's membranes and currents stay in registers, and a spike's bit is looked for once for all
//! outputs that it reaches, 4, 2, 2 or 1.

use std::ops::Range;

use super::layer::{Layer, bits, follow, settle};
use super::parallel::{for_each_chunk, threads_here};
use super::spikes::{Changes, Spikes};
use super::vectors::{Aligned, Processor, Vectors, Work};
use crate::layer::SpikingLayer;

/// Vectors of a block at each output of a quad.
const V: usize = 2;
/// Taps, ky * 3 + kx, by which the inputs at (a, b), (a, b + 1), (a + 1, b), (a + 1, b + 1) reach the quad.
const TAPS: [&[usize]; 4] = [&[4, 5, 7, 8], &[3, 6], &[1, 2], &[0]];

/// Lays out a layer for this module.
pub(crate) fn prepare(processor: Processor, layer: &SpikingLayer) -> Layer {
    Layer::new(processor, layer, V, &TAPS)
}

/// Input `[images, side * side, T, inputs]` to output `[images, 2 side * 2 side, T, outputs]`.
pub(crate) fn conv_transpose_lif(layer: &Layer, input: &Spikes, side: usize) -> Spikes {
    let mut output = Spikes::silent(4 * input.pixels(), layer.outputs, input.steps);
    let (width, pixel_words) = (output.width, output.pixel_words());
    let (rows, changes) = (rows_a_task(input, side), &input.changes());
    for_each_chunk(&mut output.masks, rows * 4 * side * pixel_words, |task, masks| {
        let output = Trains { masks, width, pixel_words };
        layer.processor.run(Rows { layer, changes, side, rows: task * rows..(task + 1) * rows, output });
    });
    output
}

/// Rows of the input, of all images, that are computed block by block. Where nobody else would take up the others, all
/// of them: a block's weights are read once.
fn rows_a_task(input: &Spikes, side: usize) -> usize {
    let rows = input.pixels() / side;
    if rows == side && threads_here() > 1 { 1 } else { rows }
}

/// What a layer's spikes add up to, each weighted with its time step's coefficient: `[pixels, stride]`.
#[derive(Debug)]
pub(crate) struct Rates {
    pub(super) sums: Aligned,
    /// Channels of a pixel, filled up with zeros.
    pub(super) stride: usize,
}

/// The same layer for a readout, which needs no spike trains. Coefficients are `[T]`.
pub(crate) fn conv_transpose_rates(
    layer: &Layer,
    input: &Spikes,
    side: usize,
    coefficients: &[i32],
) -> Rates {
    let stride = padded(layer.processor, layer.outputs);
    let mut sums = Aligned::zeros(4 * side * side * stride);
    let (rows, changes) = (rows_a_task(input, side), &input.changes());
    for_each_chunk(sums.lines_mut(), rows * 4 * side * stride / 16, |task, lines| {
        let output = Sums { sums: bytemuck::cast_slice_mut(lines), stride, coefficients };
        layer.processor.run(Rows { layer, changes, side, rows: task * rows..(task + 1) * rows, output });
    });
    Rates { sums, stride }
}

/// Channels in whole blocks.
pub(super) fn padded(processor: Processor, channels: usize) -> usize {
    channels.next_multiple_of(V * processor.lanes())
}

/// The rows of the output that quads of some input rows make, two each.
struct Rows<'a, O> {
    layer: &'a Layer,
    changes: &'a Changes<'a>,
    side: usize,
    /// Of all images, one below the other.
    rows: Range<usize>,
    output: O,
}

impl<O: Output> Work for Rows<'_, O> {
    type Output = ();

    #[inline(always)]
    fn with<S: Vectors>(self, s: S) {
        let Rows { layer, changes, side, rows, mut output } = self;
        // Block by block, so that a block's weights stay in the cache along the rows.
        for block in 0..layer.blocks() {
            let neurons = layer.block::<S, V>(s, block);
            // Not `map`, here and below: compilers keep that as a function of its own.
            let tap = |tap| layer.rows(s, block, 9, tap);
            let weights = [tap(0), tap(4), tap(6), tap(8)];
            for (n, row) in rows.clone().enumerate() {
                let below = row % side + 1 < side;
                for b in 0..side {
                    let right = b + 1 < side;
                    let at = row * side + b;
                    let first = 4 * side * n + 2 * b;
                    let pixels = [first, first + 1, first + 2 * side, first + 2 * side + 1];
                    let mut carries = [[s.splat(0); V]; 4];
                    let mut states = [O::State::<S>::default(); 4];
                    let mut currents = [neurons.bias; 4];
                    for step in 0..changes.steps() {
                        let mut ended = [0; 4];
                        ended[0] = follow(s, &mut currents, [0, 1, 2, 3], weights[0], changes.at(at, step));
                        if right {
                            ended[1] = follow(s, &mut currents, [1, 3], weights[1], changes.at(at + 1, step));
                        }
                        if below {
                            ended[2] =
                                follow(s, &mut currents, [2, 3], weights[2], changes.at(at + side, step));
                        }
                        if right && below {
                            let change = changes.at(at + side + 1, step);
                            ended[3] = follow(s, &mut currents, [3], weights[3], change);
                        }
                        settle(s, &mut currents[0], ended[0]);
                        settle(s, &mut currents[1], ended[0] + ended[1]);
                        settle(s, &mut currents[2], ended[0] + ended[2]);
                        settle(s, &mut currents[3], ended.iter().sum());
                        for_each_of_quad(
                            #[inline(always)]
                            |n| {
                                let spikes = neurons.fire(s, &mut carries[n], &currents[n]);
                                output.take(s, &mut states[n], pixels[n], step, layer.place(block), spikes);
                            },
                        );
                    }
                    for n in 0..4 {
                        output.finish(s, &states[n], pixels[n], block);
                    }
                }
            }
        }
    }
}

/// Not a loop: compilers keep one where the body is long, and then what it indexes in memory instead of registers.
#[inline(always)]
fn for_each_of_quad(mut work: impl FnMut(usize)) {
    work(0);
    work(1);
    work(2);
    work(3);
}

/// What becomes of the spikes of a quad's output.
trait Output {
    /// Of one pixel and block, kept over the time steps.
    type State<S: Vectors>: Copy + Default;

    fn take<S: Vectors>(
        &mut self,
        s: S,
        state: &mut Self::State<S>,
        pixel: usize,
        step: usize,
        place: (usize, usize),
        spikes: [S::Mask; V],
    );

    fn finish<S: Vectors>(&mut self, s: S, state: &Self::State<S>, pixel: usize, block: usize);
}

/// Masks for the next layer.
struct Trains<'a> {
    masks: &'a mut [u64],
    width: usize,
    pixel_words: usize,
}

impl Output for Trains<'_> {
    type State<S: Vectors> = ();

    #[inline(always)]
    fn take<S: Vectors>(
        &mut self,
        s: S,
        (): &mut (),
        pixel: usize,
        step: usize,
        (word, shift): (usize, usize),
        spikes: [S::Mask; V],
    ) {
        self.masks[pixel * self.pixel_words + step * self.width + word] |= bits(s, spikes) << shift;
    }

    #[inline(always)]
    fn finish<S: Vectors>(&mut self, _: S, (): &(), _: usize, _: usize) {}
}

/// [`Rates`].
struct Sums<'a> {
    sums: &'a mut [i32],
    stride: usize,
    coefficients: &'a [i32],
}

/// `[S::Vector; V]`, with the zeros it begins with.
#[derive(Clone, Copy)]
struct Sum<S: Vectors>([S::Vector; V]);

impl<S: Vectors> Default for Sum<S> {
    #[inline(always)]
    fn default() -> Self {
        Sum([bytemuck::Zeroable::zeroed(); V])
    }
}

impl Output for Sums<'_> {
    type State<S: Vectors> = Sum<S>;

    #[inline(always)]
    fn take<S: Vectors>(
        &mut self,
        s: S,
        Sum(sums): &mut Sum<S>,
        _: usize,
        step: usize,
        _: (usize, usize),
        spikes: [S::Mask; V],
    ) {
        let coefficient = s.splat(self.coefficients[step]);
        for v in 0..V {
            sums[v] = s.add_where(spikes[v], sums[v], coefficient);
        }
    }

    #[inline(always)]
    fn finish<S: Vectors>(&mut self, _: S, Sum(sums): &Sum<S>, pixel: usize, block: usize) {
        let numbers: &[i32] = bytemuck::cast_slice(sums);
        self.sums[pixel * self.stride + block * V * S::LANES..][..numbers.len()].copy_from_slice(numbers);
    }
}
