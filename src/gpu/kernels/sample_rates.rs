//! `shaders/sample_rates.wgsl`: ESVAE's prior, one workgroup an image.

use super::{Binding, Kernel, Pass, RUN, constant_buffer, shader};
use crate::gpu::device::Gpu;
use crate::network::{RateLayer, Rates};

pub(crate) const KERNEL: Kernel = Kernel {
    name: "sample_rates",
    parts: &[shader!("../../../shaders/philox.wgsl"), RUN, shader!("../../../shaders/sample_rates.wgsl")],
    bindings: &[Binding::Read, Binding::Read, Binding::Read, Binding::Write],
    workgroup_size: 64,
};

/// The constants in front of the shader.
pub(crate) fn constants(time_steps: usize, rates: &Rates) -> [(&'static str, u32); 7] {
    let (last, hidden) = rates.layers.split_last().unwrap_or_else(|| unreachable!("there is a last layer"));
    let hidden = |at: usize| {
        hidden.get(at).map_or((0, 0), |layer: &RateLayer| (layer.outputs as u32, u32::from(layer.shift())))
    };
    let [(outputs_0, shift_0), (outputs_1, shift_1)] = [0, 1].map(hidden);
    [
        ("TIME_STEPS", time_steps as u32),
        ("LATENT", last.outputs as u32),
        ("HIDDEN_0", outputs_0),
        ("HIDDEN_1", outputs_1),
        ("SHIFT_0", shift_0),
        ("SHIFT_1", shift_1),
        ("NUMBERS", numbers(rates) as u32),
    ]
}

/// What goes from a layer to the next at most, in whole groups.
fn numbers(rates: &Rates) -> usize {
    rates.layers.iter().map(|layer| layer.inputs.next_multiple_of(4)).max().unwrap_or(0)
}

/// Bytes of workgroup memory: what a layer sees and, of a hidden one, what it gives. The shader's layout may round them up
/// to 16 bytes.
pub(crate) fn workgroup_bytes(rates: &Rates) -> usize {
    4 * numbers(rates) * rates.layers.len().min(2)
}

/// A layer's numbers, `[inputs + 1, groups]` of 4 outputs; the last row is the bias. Outputs past the last one have a
/// current below all logits, and never spike.
fn grouped(layer: &RateLayer) -> Vec<[i32; 4]> {
    let RateLayer { inputs, outputs, weights, bias, .. } = layer;
    let group = |group: usize, of: &dyn Fn(usize) -> i32, past: i32| -> [i32; 4] {
        std::array::from_fn(|lane| Some(4 * group + lane).filter(|at| at < outputs).map_or(past, of))
    };
    let groups = outputs.div_ceil(4);
    let rows = (0..*inputs).flat_map(|input| {
        (0..groups).map(move |at| group(at, &|output| weights[output * inputs + input], 0))
    });
    rows.chain((0..groups).map(|at| group(at, &|output| bias[output], i32::MIN))).collect()
}

/// Bytes of the largest of the [`buffers`].
pub(crate) fn largest(rates: &Rates) -> usize {
    let of_layer = |layer: &RateLayer| (layer.inputs + 1) * layer.outputs.next_multiple_of(4);
    4 * rates.layers.iter().map(of_layer).sum::<usize>().max(rates.logits.len())
}

/// Buffers `[weights, logits]`.
pub(crate) fn buffers(gpu: &Gpu, rates: &Rates) -> [wgpu::Buffer; 2] {
    let storage =
        |contents: &[i32]| constant_buffer(gpu, "fsvae.sampler", contents, wgpu::BufferUsages::STORAGE);
    let layers: Vec<[i32; 4]> = rates.layers.iter().flat_map(grouped).collect();
    [storage(layers.as_flattened()), storage(&rates.logits)]
}

/// Draws z of the images `run` starts at into `latents`, `[images, latent words]`.
pub(crate) fn pass(
    gpu: &Gpu,
    pipeline: &wgpu::ComputePipeline,
    run: &wgpu::Buffer,
    [weights, logits]: &[wgpu::Buffer; 2],
    latents: &wgpu::Buffer,
) -> Pass {
    KERNEL.pass(gpu, pipeline, &[run, weights, logits, latents], [1, 1])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cpu::rates::sample_rates as twin;
    use crate::cpu::vectors::Processor;
    use crate::gpu::kernels::sample::{Run, latent_words};
    use crate::gpu::testing::{cases, gpus, grouped, results, run, storage};
    use crate::network::logits;

    const IMAGES: usize = 3;

    /// A layer whose currents stay within the contract's bound: of small numbers, which often end exactly on a logit or
    /// between two spikes of a unit, or of numbers as large as they may be. Inputs are up to `peak`.
    fn layer(inputs: usize, outputs: usize, peak: i32) -> impl Strategy<Value = RateLayer> {
        let largest = ((3 << 29) - (1 << 16) - 1) / (peak * (inputs as i32 + 1));
        prop_oneof![(Just(16), 8..=9_u8), (Just(largest), 18..=27_u8)].prop_flat_map(
            move |(most, exponent)| {
                let weights = prop::collection::vec(-most..=most, inputs * outputs);
                let bias = prop::collection::vec(-peak * most..=peak * most, outputs);
                (weights, bias).prop_map(move |(weights, bias)| RateLayer {
                    inputs,
                    outputs,
                    weights: weights.into(),
                    bias,
                    exponent,
                })
            },
        )
    }

    /// With up to two hidden layers.
    fn rates(channels: usize) -> impl Strategy<Value = Rates> {
        let hidden = prop::collection::vec(1..150_usize, 0..=2);
        hidden.prop_flat_map(move |hidden| {
            let widths = [&[channels], &hidden[..], &[channels]].concat();
            let layer = |(i, pair): (usize, &[usize])| layer(pair[0], pair[1], if i == 0 { 64 } else { 255 });
            widths
                .windows(2)
                .enumerate()
                .map(layer)
                .collect::<Vec<_>>()
                .prop_map(|layers| Rates { logits: logits(layers[layers.len() - 1].exponent), layers })
        })
    }

    proptest! {
        #![proptest_config(cases(32))]

        #[test]
        fn agrees_with_its_twin(
            (steps, rates) in (1..=32_usize, 1..150_usize).prop_flat_map(|(steps, channels)| (Just(steps), rates(channels))),
            seed: u64,
            // The carry into the high half of the index is in the middle of the batch.
            index in prop_oneof![Just((1_u64 << 32) - 2), Just(u64::MAX - 2), 0..u64::MAX - 2],
        ) {
            let mut expected = Vec::new();
            for i in 0..IMAGES as u64 {
                expected.extend(twin(Processor::get(), &rates, seed, index + i, steps).to_words());
            }
            for gpu in gpus() {
                let pipeline = KERNEL.pipeline(gpu, &constants(steps, &rates));
                let start = storage(gpu, &[Run::new(seed, index)]);
                let latents = results(gpu, IMAGES * latent_words(rates.channels()));
                let pass = pass(gpu, &pipeline, &start, &buffers(gpu, &rates), &latents);
                let found = run(gpu, &pass, IMAGES, &latents);
                prop_assert_eq!(&found, &grouped(&expected, rates.channels()), "{}", gpu.name());
            }
        }
    }
}
