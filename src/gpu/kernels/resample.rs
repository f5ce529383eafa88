//! `shaders/resample.wgsl`: ESVAE's posterior.

use super::{Binding, Kernel, Pass, RUN, shader};
use crate::gpu::device::Gpu;

pub(crate) const KERNEL: Kernel = Kernel {
    name: "resample",
    parts: &[shader!("../../../shaders/philox.wgsl"), RUN, shader!("../../../shaders/resample.wgsl")],
    bindings: &[Binding::Read, Binding::Read, Binding::Write],
    workgroup_size: 64,
};

/// The constants in front of the shader.
pub(crate) fn constants(time_steps: usize, latent_channels: usize) -> [(&'static str, u32); 2] {
    [("TIME_STEPS", time_steps as u32), ("LATENT", latent_channels as u32)]
}

/// Draws z of the images `run` starts at, of whose `channels` channels `encoded` are the encoder's spikes, into
/// `latents`; both are `[images, latent words]`.
pub(crate) fn pass(
    gpu: &Gpu,
    pipeline: &wgpu::ComputePipeline,
    channels: usize,
    run: &wgpu::Buffer,
    encoded: &wgpu::Buffer,
    latents: &wgpu::Buffer,
) -> Pass {
    let workgroups = [(channels.div_ceil(4) as u32).div_ceil(KERNEL.workgroup_size), 1];
    KERNEL.pass(gpu, pipeline, &[run, encoded, latents], workgroups)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cpu::rates::resample as twin;
    use crate::cpu::spikes::Spikes;
    use crate::gpu::kernels::sample::{Run, latent_words};
    use crate::gpu::testing::{cases, gpus, grouped, results, run, spike_trains, storage};

    const IMAGES: usize = 3;

    proptest! {
        #![proptest_config(cases(32))]

        #[test]
        fn agrees_with_its_twin(
            (steps, channels, encoded) in (1..=32_usize, 1..300_usize).prop_flat_map(|(steps, channels)| {
                (Just(steps), Just(channels), spike_trains(IMAGES * channels, steps))
            }),
            seed: u64,
            // The carry into the high half of the index is in the middle of the batch.
            index in prop_oneof![Just((1_u64 << 32) - 2), Just(u64::MAX - 2), 0..u64::MAX - 2],
        ) {
            let mut expected = Vec::new();
            for (encoded, index) in encoded.chunks(channels).zip(index..=u64::MAX) {
                expected.extend(twin(&Spikes::from_words(encoded, channels, steps), seed, index).to_words());
            }
            for gpu in gpus() {
                let pipeline = KERNEL.pipeline(gpu, &constants(steps, channels));
                let start = storage(gpu, &[Run::new(seed, index)]);
                let encoded = storage(gpu, &grouped(&encoded, channels));
                let latents = results(gpu, IMAGES * latent_words(channels));
                let pass = pass(gpu, &pipeline, channels, &start, &encoded, &latents);
                let found = run(gpu, &pass, IMAGES, &latents);
                prop_assert_eq!(&found, &grouped(&expected, channels), "{}", gpu.name());
            }
        }
    }
}
