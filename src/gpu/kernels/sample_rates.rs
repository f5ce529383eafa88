//! `shaders/sample_rates.wgsl`: ESVAE's prior, one workgroup an image.

use super::{Binding, Kernel, Pass, RUN, constant_buffer, shader};
use crate::gpu::device::Gpu;
use crate::network::Rates;

pub(crate) const KERNEL: Kernel = Kernel {
    name: "sample_rates",
    parts: &[shader!("../../../shaders/philox.wgsl"), RUN, shader!("../../../shaders/sample_rates.wgsl")],
    bindings: &[Binding::Read, Binding::Read, Binding::Read, Binding::Write],
    workgroup_size: 64,
};

/// The constants in front of the shader, and of [`resample`](super::resample).
pub(crate) fn constants(time_steps: usize, latent_channels: usize) -> [(&'static str, u32); 2] {
    [("TIME_STEPS", time_steps as u32), ("LATENT", latent_channels as u32)]
}

/// Bytes of workgroup memory: a normal number for each channel. The shader's layout may round them up to 16 bytes.
pub(crate) fn workgroup_bytes(latent_channels: usize) -> usize {
    4 * latent_channels.next_multiple_of(4)
}

/// The sample layer's numbers, `[C + 1, groups]` of 4 channels; the last row is the bias. Channels past the last one have
/// a current below all logits, and never spike.
fn grouped(rates: &Rates) -> Vec<[i32; 4]> {
    let Rates { channels, weights, bias, .. } = rates;
    let group = |group: usize, of: &dyn Fn(usize) -> i32, past: i32| -> [i32; 4] {
        std::array::from_fn(|lane| Some(4 * group + lane).filter(|at| at < channels).map_or(past, of))
    };
    let groups = channels.div_ceil(4);
    let rows = (0..*channels).flat_map(|input| {
        (0..groups).map(move |at| group(at, &|channel| weights[channel * channels + input], 0))
    });
    rows.chain((0..groups).map(|at| group(at, &|channel| bias[channel], i32::MIN))).collect()
}

/// Bytes of the largest of the [`buffers`].
pub(crate) fn largest(rates: &Rates) -> usize {
    4 * ((rates.channels + 1) * rates.channels.next_multiple_of(4)).max(rates.logits.len())
}

/// Buffers `[weights, logits]`.
pub(crate) fn buffers(gpu: &Gpu, rates: &Rates) -> [wgpu::Buffer; 2] {
    let storage =
        |contents: &[i32]| constant_buffer(gpu, "fsvae.sampler", contents, wgpu::BufferUsages::STORAGE);
    [storage(grouped(rates).as_flattened()), storage(&rates.logits)]
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
    use crate::gpu::kernels::sample::{Run, latent_words};
    use crate::gpu::testing::{cases, gpus, grouped, results, run, storage};
    use crate::network::logits;

    const IMAGES: usize = 3;

    /// Currents that stay within the contract's bound: of small numbers, which often end exactly on a logit, or of
    /// numbers as large as they may be.
    fn rates(channels: usize) -> impl Strategy<Value = Rates> {
        let largest = ((3 << 29) - (1 << 16) - 1) / (64 * (channels as i32 + 1));
        prop_oneof![(Just(16), 8..=9_u8), (Just(largest), 18..=27_u8)].prop_flat_map(
            move |(most, exponent)| {
                let weights = prop::collection::vec(-most..=most, channels * channels);
                let bias = prop::collection::vec(-64 * most..=64 * most, channels);
                (weights, bias).prop_map(move |(weights, bias)| Rates {
                    channels,
                    weights: weights.into(),
                    bias,
                    logits: logits(exponent),
                    exponent,
                })
            },
        )
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
                expected.extend(twin(&rates, seed, index + i, steps).to_words());
            }
            for gpu in gpus() {
                let pipeline = KERNEL.pipeline(gpu, &constants(steps, rates.channels));
                let start = storage(gpu, &[Run::new(seed, index)]);
                let latents = results(gpu, IMAGES * latent_words(rates.channels));
                let pass = pass(gpu, &pipeline, &start, &buffers(gpu, &rates), &latents);
                let found = run(gpu, &pass, IMAGES, &latents);
                prop_assert_eq!(&found, &grouped(&expected, rates.channels), "{}", gpu.name());
            }
        }
    }
}
