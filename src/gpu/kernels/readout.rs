//! `shaders/readout.wgsl`: spikes to pixels.

use super::{Binding, Kernel, Pass, constant_buffer, shader};
use crate::gpu::device::Gpu;
use crate::network::{Moment, Readout, pixel_thresholds};

pub(crate) const KERNEL: Kernel = Kernel {
    name: "readout",
    parts: &[shader!("../../../shaders/readout.wgsl")],
    bindings: &[Binding::Read, Binding::Read, Binding::Read, Binding::Write],
    workgroup_size: 64,
};

/// Height and width of a workgroup's tile in pixels.
const TILE: u32 = 8;

/// Bytes of workgroup memory: 16 channels of r for the bordered tile, and the tile's bytes.
pub(crate) const WORKGROUP_BYTES: usize = 10 * 10 * 16 * 4 + 8 * 8 * 3 * 4;

/// The constants in front of the shader.
pub(crate) fn constants(layer: &Readout, side: usize) -> [(&'static str, u32); 4] {
    [
        ("TIME_STEPS", layer.moments.len() as u32),
        ("IMAGE_CHANNELS", layer.outputs as u32),
        ("INPUTS", layer.inputs.div_ceil(4) as u32),
        ("SIDE", side as u32),
    ]
}

/// W = 2^14 * high + low with 0 <= low < 2^14; both fit 32 bits because |W| < 2^45.
fn limbs(value: i64) -> [i32; 2] {
    [(value >> 14) as i32, (value & 0x3fff) as i32]
}

/// `[outputs, 9, groups of 4 inputs, 2]`: high limbs, low limbs.
fn weights(layer: &Readout) -> Vec<[i32; 4]> {
    let mut weights = Vec::new();
    for output in 0..layer.outputs {
        for tap in 0..9 {
            for group in 0..layer.inputs.div_ceil(4) {
                let parts: [[i32; 2]; 4] = std::array::from_fn(|lane| {
                    let input = 4 * group + lane;
                    if input < layer.inputs { limbs(layer.weight(output, input, tap)) } else { [0, 0] }
                });
                weights.push(parts.map(|[high, _]| high));
                weights.push(parts.map(|[_, low]| low));
            }
        }
    }
    weights
}

/// K, the limbs of each bias, the pixel thresholds.
fn table(moment: &Moment) -> Vec<i32> {
    let biases = moment.bias.iter().flat_map(|&bias| limbs(bias));
    moment.coefficients.iter().copied().chain(biases).chain(pixel_thresholds()).collect()
}

/// The layer in GPU memory.
#[derive(Debug)]
pub(crate) struct Buffers {
    weights: wgpu::Buffer,
    /// One for each moment.
    tables: Vec<wgpu::Buffer>,
    /// Tiles of a row, and of a column.
    tiles: u32,
}

impl Buffers {
    pub(crate) fn new(gpu: &Gpu, layer: &Readout, side: usize) -> Self {
        let label = "fsvae.readout";
        let storage = wgpu::BufferUsages::STORAGE;
        Buffers {
            weights: constant_buffer(gpu, label, &weights(layer), storage),
            tables: (layer.moments.iter())
                .map(|moment| constant_buffer(gpu, label, &table(moment), storage))
                .collect(),
            tiles: (side as u32).div_ceil(TILE),
        }
    }
}

/// Spikes `[images, side, side, inputs]` to `pixels`, u8 `[images, side, side, outputs]`: one pass for
/// each moment.
pub(crate) fn passes(
    gpu: &Gpu,
    pipeline: &wgpu::ComputePipeline,
    layer: &Buffers,
    spikes: &wgpu::Buffer,
    pixels: &wgpu::Buffer,
) -> Vec<Pass> {
    let pass = |table| {
        let buffers = [table, &layer.weights, spikes, pixels];
        KERNEL.pass(gpu, pipeline, &buffers, [layer.tiles; 2])
    };
    layer.tables.iter().map(pass).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cpu::readout::{PreparedReadout, readout as twin};
    use crate::cpu::spikes::Spikes;
    use crate::cpu::vectors::Processor;
    use crate::gpu::testing::{cases, gpus, grouped, results, run, spike_trains, storage};

    const IMAGES: usize = 2;

    /// Coefficients of both signs and weights up to the contract's bounds, from images in the middle
    /// of `tanh` to sums of 45 bits.
    fn layers(steps: usize, inputs: usize, outputs: usize) -> impl Strategy<Value = Readout> {
        let coefficient = ((1 << 17) - 1) / steps as i32;
        let largest = ((1_i64 << 45) - (1 << 40)) / (1 << 17) / (inputs as i64 * 9 + 1);
        prop_oneof![Just(largest), Just((largest >> 8).min(1 << 18))].prop_flat_map(move |weight| {
            let coefficients = prop::collection::vec(-coefficient..=coefficient, steps);
            let weights = prop::collection::vec(-weight..=weight, outputs * inputs * 9);
            let bias = prop::collection::vec(-(weight << 17)..=(weight << 17), outputs);
            (coefficients, weights, bias).prop_map(move |(coefficients, weights, bias)| Readout {
                inputs,
                outputs,
                weights: weights.into(),
                // The kernel's time steps are counted by the moments; the last is looked at.
                moments: vec![Moment { coefficients, bias }; steps],
            })
        })
    }

    proptest! {
        #![proptest_config(cases(24))]

        #[test]
        fn agrees_with_its_twin(
            (steps, side, layer, trains) in (1..=32_usize, 2..6_u32, 1..40_usize, prop_oneof![Just(1_usize), Just(3)])
                .prop_flat_map(|(steps, log_side, inputs, outputs)| {
                    let side = 1_usize << log_side;
                    let trains = spike_trains(IMAGES * side * side * inputs, steps);
                    (Just(steps), Just(side), layers(steps, inputs, outputs), trains)
                })
        ) {
            let bytes = side * side * layer.outputs;
            let prepared = PreparedReadout::new(Processor::get(), &layer);
            let mut expected = vec![0; IMAGES * bytes];
            for (trains, image) in trains.chunks(side * side * layer.inputs).zip(expected.chunks_mut(bytes)) {
                let spikes = Spikes::from_words(trains, layer.inputs, steps);
                twin(&prepared, layer.last(), &prepared.rates(layer.last(), &spikes), side, image);
            }
            for gpu in gpus() {
                let pipeline = KERNEL.pipeline(gpu, &constants(&layer, side));
                let input = storage(gpu, &grouped(&trains, layer.inputs));
                let output = results(gpu, IMAGES * bytes / 4);
                let buffers = Buffers::new(gpu, &layer, side);
                let passes = passes(gpu, &pipeline, &buffers, &input, &output);
                let found = run(gpu, passes.last().expect("a moment"), IMAGES, &output);
                prop_assert_eq!(bytemuck::cast_slice::<u32, u8>(&found), &expected[..], "{}", gpu.name());
            }
        }
    }

    #[test]
    fn limbs_give_the_number_back() {
        for value in [0, 1, -1, 0x3fff, 0x4000, -0x4000, -0x4001, (1 << 45) - 1, -(1 << 45) + 1] {
            let [high, low] = limbs(value);
            assert!((0..1 << 14).contains(&low));
            assert_eq!((i64::from(high) << 14) + i64::from(low), value);
        }
    }
}
