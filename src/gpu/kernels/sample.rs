//! `shaders/sample.wgsl`: the autoregressive prior and its draws, one workgroup an image.

use super::{Binding, Kernel, Pass, constant_buffer};
use crate::architecture::Architecture;
use crate::gpu::device::Gpu;
use crate::network::SpikingLayer;
use crate::philox::Stream;

pub(crate) const KERNEL: Kernel = Kernel {
    name: "sample",
    parts: &[include_str!("../../../shaders/philox.wgsl"), include_str!("../../../shaders/sample.wgsl")],
    bindings: &[Binding::Uniform(16), Binding::Read, Binding::Read, Binding::Read, Binding::Write],
    workgroup_size: 128,
};

/// What changes from batch to batch.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Run {
    /// Seed, low and high half.
    pub(crate) seed: [u32; 2],
    /// Index of the first image, low and high half.
    pub(crate) first: [u32; 2],
}

/// The constants in front of the shader.
pub(crate) fn constants(architecture: &Architecture, stream: Stream) -> [(&'static str, u32); 4] {
    [
        ("TIME_STEPS", architecture.time_steps as u32),
        ("LATENT", architecture.latent_channels as u32),
        ("NEURONS", architecture.neurons_per_channel as u32),
        ("STREAM", stream as u32),
    ]
}

/// Bytes of workgroup memory: masks of z and of the first hidden layer, and a word of state for
/// each neuron of the first and two for each of the second. The shader's layout may round each
/// array up to 16 bytes.
pub(crate) fn workgroup_bytes(latent_channels: usize) -> usize {
    let (first, second) = (2 * latent_channels, 4 * latent_channels);
    let words = [latent_channels.div_ceil(32), first.div_ceil(32), first, second, second];
    words.iter().map(|words| 4 * words.next_multiple_of(4)).sum()
}

/// Words of z of one image: C, rounded up to groups of four.
pub(crate) fn latent_words(latent_channels: usize) -> usize {
    latent_channels.next_multiple_of(4)
}

/// Buffers `[hidden weights, last weights, neurons]` of the prior.
pub(crate) fn buffers(gpu: &Gpu, layers: &[SpikingLayer; 3]) -> [wgpu::Buffer; 3] {
    let storage =
        |contents: &[i32]| constant_buffer(gpu, "fsvae.prior", contents, wgpu::BufferUsages::STORAGE);
    let mut hidden = Vec::new();
    for layer in &layers[..2] {
        for input in 0..layer.inputs {
            hidden.extend((0..layer.outputs).map(|output| layer.weight(output, input, 0)));
        }
    }
    let neurons: Vec<i32> = layers
        .iter()
        .flat_map(|layer| {
            layer.bias.iter().zip(&layer.threshold).flat_map(|(bias, threshold)| [*bias, *threshold])
        })
        .collect();
    [storage(&hidden), storage(&layers[2].weights), storage(&neurons)]
}

/// Draws z of the images `run` starts at into `latents`, `[images, latent words]`.
pub(crate) fn pass(
    gpu: &Gpu,
    pipeline: &wgpu::ComputePipeline,
    run: &wgpu::Buffer,
    [hidden, last, neurons]: &[wgpu::Buffer; 3],
    latents: &wgpu::Buffer,
) -> Pass {
    KERNEL.pass(gpu, pipeline, &[run, hidden, last, neurons, latents], [1, 1])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cpu::sample::{Sampler, sample as twin};
    use crate::gpu::testing::{cases, gpus, grouped, layer, results, run};
    use crate::philox::{Draws, halves};

    const IMAGES: usize = 3;

    fn priors(channels: usize, neurons: usize) -> impl Strategy<Value = [SpikingLayer; 3]> {
        let (first, second, last) = (2 * channels, 4 * channels, channels * neurons);
        (layer(channels, first, 1), layer(first, second, 1), layer(second, last, 1)).prop_map(<[_; 3]>::from)
    }

    proptest! {
        #![proptest_config(cases(24))]

        #[test]
        fn agrees_with_its_twin(
            (time_steps, channels, neurons, prior) in (1..=32_usize, 1..50_usize, 1..30_usize)
                .prop_flat_map(|(steps, channels, neurons)| {
                    (Just(steps), Just(channels), Just(neurons), priors(channels, neurons))
                }),
            seed: u64,
            // The carry into the high half of the index is in the middle of the batch.
            index in prop_oneof![Just((1_u64 << 32) - 2), Just(u64::MAX - 2), 0..u64::MAX - 2],
        ) {
            let sampler = Sampler::new(&prior);
            let expected: Vec<u32> = (index..=index + (IMAGES as u64 - 1)).flat_map(|index| {
                let draws = Draws { seed, index, stream: Stream::Prior, channels, neurons };
                twin(&sampler, draws, time_steps).to_words()
            }).collect();
            let architecture = Architecture {
                time_steps,
                latent_channels: channels,
                neurons_per_channel: neurons,
                encoder_widths: vec![],
                decoder_widths: vec![],
                image_channels: 1,
            };
            for gpu in gpus() {
                let pipeline = KERNEL.pipeline(gpu, &constants(&architecture, Stream::Prior));
                let run_ = [Run { seed: halves(seed), first: halves(index) }];
                let run_ = constant_buffer(gpu, "test", &run_, wgpu::BufferUsages::UNIFORM);
                let latents = results(gpu, IMAGES * latent_words(channels));
                let pass = pass(gpu, &pipeline, &run_, &buffers(gpu, &prior), &latents);
                let found = run(gpu, &pass, IMAGES, &latents);
                prop_assert_eq!(&found, &grouped(&expected, channels), "{}", gpu.name());
            }
        }
    }
}
