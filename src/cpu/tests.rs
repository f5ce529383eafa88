//! Every instruction set against layers that are computed neuron by neuron, as the contract writes them down.

use proptest::prelude::*;

use super::conv_lif::{self, conv_lif};
use super::conv_transpose_lif::{self, conv_transpose_lif, conv_transpose_rates};
use super::linear_lif::{self, linear_lif};
use super::spikes::Spikes;
use super::vectors::Processor;
use crate::gpu::testing::{cases, layer, spike_trains};
use crate::layer::{Kind, SpikingLayer};

/// Spike trains of one neuron whose input at each step is a list of (input train, weight).
fn neuron(layer: &SpikingLayer, output: usize, arriving: &[(u32, i32)], steps: usize) -> u32 {
    let (mut membrane, mut train) = (0_i64, 0);
    for step in 0..steps {
        let weights = arriving.iter().filter(|(train, _)| train >> step & 1 == 1);
        let current: i64 = weights.map(|&(_, weight)| i64::from(weight)).sum();
        let rest = if step > 0 && train >> (step - 1) & 1 == 1 { 0 } else { membrane };
        membrane = (rest >> 2) + current + i64::from(layer.bias[output]);
        train |= u32::from(membrane > i64::from(layer.threshold[output])) << step;
    }
    train
}

/// Words `[pixels, outputs]` of a layer; `taps` gives the (input pixel, tap) pairs that reach an output pixel.
fn plain(
    layer: &SpikingLayer,
    trains: &[u32],
    steps: usize,
    pixels: usize,
    taps: impl Fn(usize) -> Vec<(usize, usize)>,
) -> Vec<u32> {
    let mut words = Vec::new();
    for pixel in 0..pixels {
        for output in 0..layer.outputs {
            let mut arriving = Vec::new();
            for (from, tap) in taps(pixel) {
                let inputs = trains[from * layer.inputs..][..layer.inputs].iter().enumerate();
                arriving.extend(inputs.map(|(input, &train)| (train, layer.weight(output, input, tap))));
            }
            words.push(neuron(layer, output, &arriving, steps));
        }
    }
    words
}

/// All (input, output, tap) of one axis with `inputs` places, where `input = stride * output + k - 1` or, transposed,
/// `output = stride * input + k - 1`.
fn pairs(transposed: bool, inputs: usize) -> Vec<(usize, usize, usize)> {
    let (small, large) = if transposed { (inputs, 2 * inputs) } else { (inputs / 2, inputs) };
    let mut pairs = Vec::new();
    for at in 0..small {
        for k in 0..3 {
            if let Some(reached) = (2 * at + k).checked_sub(1).filter(|&reached| reached < large) {
                pairs.push(if transposed { (at, reached, k) } else { (reached, at, k) });
            }
        }
    }
    pairs
}

fn convolution(
    layer: &SpikingLayer,
    trains: &[u32],
    steps: usize,
    side: usize,
    transposed: bool,
) -> Vec<u32> {
    let out = if transposed { 2 * side } else { side / 2 };
    let pairs = pairs(transposed, side);
    plain(layer, trains, steps, out * out, |pixel| {
        let (y, x) = (pixel / out, pixel % out);
        let rows = pairs.iter().filter(|pair| pair.1 == y);
        rows.flat_map(|&(a, _, ky)| {
            let columns = pairs.iter().filter(move |pair| pair.1 == x);
            columns.map(move |&(b, _, kx)| (a * side + b, ky * 3 + kx))
        })
        .collect()
    })
}

type Case = (usize, usize, SpikingLayer, Vec<u32>);

/// Time steps, side, layer, spike trains of one image.
fn case(log_sides: std::ops::Range<u32>, kind: Kind) -> impl Strategy<Value = Case> {
    (1..=32_usize, log_sides, 1..70_usize, 1..140_usize).prop_flat_map(
        move |(steps, log_side, inputs, outputs)| {
            let side = 1_usize << log_side;
            let trains = spike_trains(side * side * inputs, steps);
            (Just(steps), Just(side), layer(kind, side, inputs, outputs), trains)
        },
    )
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn transposed_convolutions((steps, side, layer, trains) in case(1..4, Kind::Transposed)) {
        let expected = convolution(&layer, &trains, steps, side, true);
        let mirrored: Vec<u32> = trains.iter().rev().copied().collect();
        let mirrored_expected = convolution(&layer, &mirrored, steps, side, true);
        let input = Spikes::from_words(&trains, layer.inputs, steps);
        let coefficients: Vec<i32> = (0..steps).map(|t| 7 * t as i32 - 40).collect();
        let sum = |train: u32| -> i32 {
            coefficients.iter().enumerate().map(|(t, k)| k * (train >> t & 1) as i32).sum()
        };
        for processor in Processor::all() {
            let prepared = conv_transpose_lif::prepare(processor, &layer);
            prop_assert_eq!(&conv_transpose_lif(&prepared, &input, side).to_words(), &expected, "{:?}", processor);
            let both = Spikes::from_words(&[&trains[..], &mirrored].concat(), layer.inputs, steps);
            let both = conv_transpose_lif(&prepared, &both, side).to_words();
            prop_assert_eq!(both, [&expected[..], &mirrored_expected].concat(), "{:?}, two images", processor);
            let rates = conv_transpose_rates(&prepared, &input, side, &coefficients);
            for (pixel, trains) in expected.chunks(layer.outputs).enumerate() {
                let found = &rates.sums.numbers()[pixel * rates.stride..][..rates.stride];
                let (used, rest) = found.split_at(layer.outputs);
                prop_assert_eq!(used, trains.iter().map(|&train| sum(train)).collect::<Vec<_>>());
                prop_assert!(rest.iter().all(|&sum| sum == 0));
            }
        }
    }

    #[test]
    fn convolutions((steps, side, layer, trains) in case(2..5, Kind::Convolution)) {
        let expected = convolution(&layer, &trains, steps, side, false);
        let input = Spikes::from_words(&trains, layer.inputs, steps);
        for processor in Processor::all() {
            let prepared = conv_lif::prepare(processor, &layer);
            prop_assert_eq!(&conv_lif(&prepared, &input, side).to_words(), &expected, "{:?}", processor);
        }
    }

    #[test]
    fn linear_layers((steps, _, layer, trains) in case(0..2, Kind::Linear)) {
        let expected = plain(&layer, &trains, steps, 1, |_| (0..layer.taps).map(|tap| (tap, tap)).collect());
        let input = Spikes::from_words(&trains, layer.inputs, steps);
        for processor in Processor::all() {
            let mut output = Spikes::silent(1, layer.outputs, steps);
            linear_lif(&linear_lif::prepare(processor, &layer), &input, &mut output.masks);
            prop_assert_eq!(&output.to_words(), &expected, "{:?}", processor);
        }
    }
}

/// The sampler and the readout through whole networks: what one instruction set makes, all make. The widest is held
/// to the oracle elsewhere.
#[cfg(feature = "bundled")]
#[test]
fn all_instruction_sets_make_the_same_images() {
    use super::Cpu;
    for model in ["mnist", "faces", "cifar10-esvae"] {
        let checkpoint = crate::Checkpoint::bundled(model).expect("bundled").expect("valid");
        let network = crate::Network::new(&checkpoint).expect("valid");
        let (images, channels) = (5, network.architecture.latent_channels);
        let bytes = network.architecture.image_bytes();
        let made = |processor| {
            let cpu = Cpu::on(processor, &network);
            let (mut pixels, mut words) = (vec![0; images * bytes], vec![0; images * channels]);
            cpu.generate(7, 3, &mut pixels);
            cpu.encode(&pixels, 8, 4, &mut words);
            let mut frames = vec![0; images * network.architecture.time_steps * bytes];
            cpu.frames(&words, &mut frames);
            (pixels, words, frames)
        };
        let expected = made(Processor::all()[0]);
        for processor in Processor::all() {
            assert!(made(processor) == expected, "{model}: {processor:?}");
        }
    }
}

#[test]
fn groups_leave_work_for_every_thread() {
    for count in 0..300 {
        assert_eq!(super::together(count, 1), count.clamp(1, super::MOST_TOGETHER));
        for threads in 2..80 {
            let group = super::together(count, threads);
            assert!((1..=super::MOST_TOGETHER).contains(&group));
            assert!(count.div_ceil(group) >= count.min(4 * threads), "{count} on {threads}");
        }
    }
}
