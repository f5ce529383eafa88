//! `shaders/sample.wgsl`: the autoregressive prior or posterior and its draws, one workgroup an image.

use super::{Binding, GroupedLayer, Kernel, Pass, RUN, WORKGROUP, constant_buffer, shader};
use crate::gpu::device::Gpu;
use crate::gpu::variant::Variant;
use crate::layer::SpikingLayer;
use crate::philox::{Stream, halves};

pub(crate) const KERNEL: Kernel = Kernel {
    name: "sample",
    parts: &[shader!("../../../shaders/philox.wgsl"), RUN, shader!("../../../shaders/sample.wgsl")],
    bindings: &[Binding::Read, Binding::Read, Binding::Read, Binding::Write],
    workgroup_size: 128,
};
/// The most invocations of a workgroup that makes one image as fast as it can.
pub(crate) const MOST_INVOCATIONS: u32 = 1024;

/// How an image's workgroup goes about its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Invocations of a workgroup.
    workgroup: u32,
    /// Whether they share what one invocation makes otherwise.
    parted: bool,
    /// Weights that are asked for at once.
    ahead: u32,
}

impl Manner {
    /// Of a variant, on a device of these limits.
    pub(crate) fn new(
        variant: Variant,
        latent_channels: usize,
        time_steps: usize,
        limits: &wgpu::Limits,
    ) -> Self {
        let size = limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x);
        let bytes = workgroup_bytes(latent_channels, time_steps, true);
        let fits = bytes <= limits.max_compute_workgroup_storage_size as usize;
        let ahead = if matches!(variant, Variant::Products | Variant::Shared) { 4 } else { 1 };
        let parted = variant == Variant::Shared && fits;
        let workgroup = match parted {
            true => 1 << size.clamp(KERNEL.workgroup_size, MOST_INVOCATIONS).ilog2(),
            false => KERNEL.workgroup_size,
        };
        Manner { workgroup, parted, ahead }
    }
}

/// What changes from batch to batch.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Run {
    /// Seed, low and high half.
    pub(crate) seed: [u32; 2],
    /// Index of the first image, low and high half.
    pub(crate) first: [u32; 2],
    /// Where a presented batch goes: the number of its first image among all that are recorded.
    pub(crate) place: u32,
    /// Height and width of a presented image.
    pub(crate) side: u32,
    /// Of the batch, low and high half; 0 for a recording.
    pub(crate) ticket: [u32; 2],
}

impl Run {
    pub(crate) fn new(seed: u64, first: u64) -> Self {
        Run { seed: halves(seed), first: halves(first), place: 0, side: 0, ticket: [0; 2] }
    }

    /// The same for the batch of a ticket.
    pub(crate) fn of_ticket(self, ticket: u64) -> Self {
        Run { ticket: halves(ticket), ..self }
    }

    /// The same where its images are presented, too.
    pub(crate) fn presented(self, place: u32, side: u32) -> Self {
        Run { place, side, ..self }
    }
}

/// The constants in front of the shader.
pub(crate) fn constants(
    time_steps: usize,
    latent_channels: usize,
    neurons_per_channel: usize,
    stream: Stream,
    manner: Manner,
) -> [(&'static str, u32); 8] {
    [
        ("TIME_STEPS", time_steps as u32),
        ("LATENT", latent_channels as u32),
        ("NEURONS", neurons_per_channel as u32),
        ("STREAM", stream as u32),
        ("ENCODED", u32::from(stream == Stream::Posterior)),
        (WORKGROUP, manner.workgroup),
        ("PARTED", u32::from(manner.parted)),
        ("AHEAD", manner.ahead),
    ]
}

/// Bytes of workgroup memory, for the posterior: masks of the input (encoder's spikes, z) and of the hidden layers, the
/// second one's over all time steps in fours, and a word of state for each hidden neuron. The shader's layout may round
/// each array up to 16 bytes. Where invocations share work, sums of four for each group of the larger layer come with it.
pub(crate) fn workgroup_bytes(latent_channels: usize, time_steps: usize, parted: bool) -> usize {
    let (first, second) = (2 * latent_channels, 4 * latent_channels);
    let masks = [2 * latent_channels.div_ceil(32), first.div_ceil(32), second.div_ceil(32)];
    let sums = if parted { second } else { 1 };
    let words = [second.div_ceil(32) * time_steps.next_multiple_of(4), first, second, sums];
    masks.iter().chain(&words).map(|words| 4 * words.next_multiple_of(4)).sum()
}

/// Words of z of one image: C, rounded up to groups of four.
pub(crate) fn latent_words(latent_channels: usize) -> usize {
    latent_channels.next_multiple_of(4)
}

/// Bytes of the [`buffer`].
pub(crate) fn bytes([first, second, last]: &[SpikingLayer; 3]) -> usize {
    let padded = |layer: &SpikingLayer| layer.inputs * layer.outputs.next_multiple_of(4);
    let hidden = padded(first) + padded(second);
    let neurons = 2 * (first.outputs.next_multiple_of(4) + second.outputs) + 4 * last.outputs;
    4 * (hidden + neurons + last.weights.len())
}

/// The prior's or the posterior's numbers: hidden weights, neurons, last weights.
pub(crate) fn buffer(gpu: &Gpu, layers: &[SpikingLayer; 3]) -> wgpu::Buffer {
    let mut numbers = Vec::with_capacity(bytes(layers) / 4);
    let [hidden @ .., last] = layers;
    let hidden = [GroupedLayer::new(&hidden[0]), GroupedLayer::new(&hidden[1])];
    for (grouped, layer) in hidden.iter().zip(layers) {
        // Rows of inputs past the last one are not there.
        numbers.extend_from_slice(grouped.weights[..layer.inputs * grouped.outputs].as_flattened());
    }
    for grouped in &hidden {
        numbers.extend_from_slice(grouped.neurons.as_flattened());
    }
    let neurons = last.bias.iter().zip(&last.threshold).zip(last.carry_bounds());
    numbers.extend(neurons.flat_map(|((bias, threshold), carry)| [*bias, *threshold, carry.low, carry.high]));
    numbers.extend_from_slice(&last.weights);
    constant_buffer(gpu, "fsvae.sampler", &numbers, wgpu::BufferUsages::STORAGE)
}

/// Draws z of the images `run` starts at into `latents`, `[images, latent words]`. `encoded` are the
/// encoder's spikes of the same shape; the prior takes any buffer.
pub(crate) fn pass(
    gpu: &Gpu,
    pipeline: &wgpu::ComputePipeline,
    run: &wgpu::Buffer,
    network: &wgpu::Buffer,
    encoded: &wgpu::Buffer,
    latents: &wgpu::Buffer,
) -> Pass {
    KERNEL.pass(gpu, pipeline, &[run, network, encoded, latents], [1, 1])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cpu::sample::{Sampler, sample as twin};
    use crate::cpu::spikes::Spikes;
    use crate::cpu::vectors::Processor;
    use crate::gpu::testing::{cases, grouped, layer, results, run, spike_trains, storage, variants};
    use crate::layer::Kind;
    use crate::philox::Draws;

    const IMAGES: usize = 3;

    fn samplers(inputs: usize, channels: usize, neurons: usize) -> impl Strategy<Value = [SpikingLayer; 3]> {
        let (first, second, last) = (2 * channels, 4 * channels, channels * neurons);
        let linear = |inputs, outputs| layer(Kind::Linear, 1, inputs, outputs);
        (linear(inputs, first), linear(first, second), linear(second, last)).prop_map(<[_; 3]>::from)
    }

    proptest! {
        #![proptest_config(cases(32))]

        #[test]
        fn agrees_with_its_twin(
            (stream, time_steps, channels, neurons, layers, encoded) in (
                prop_oneof![Just(Stream::Prior), Just(Stream::Posterior)],
                1..=32_usize,
                1..50_usize,
                1..30_usize,
            ).prop_flat_map(|(stream, steps, channels, neurons)| {
                let inputs = if stream == Stream::Posterior { 2 * channels } else { channels };
                let layers = samplers(inputs, channels, neurons);
                (Just(stream), Just(steps), Just(channels), Just(neurons), layers, spike_trains(IMAGES * channels, steps))
            }),
            seed: u64,
            // The carry into the high half of the index is in the middle of the batch.
            index in prop_oneof![Just((1_u64 << 32) - 2), Just(u64::MAX - 2), 0..u64::MAX - 2],
        ) {
            let sampler = Sampler::new(Processor::get(), &layers, channels);
            let mut expected = Vec::new();
            for (i, encoded) in encoded.chunks(channels).enumerate() {
                let encoded = Spikes::from_words(encoded, channels, time_steps);
                let encoded = (stream == Stream::Posterior).then_some(&encoded);
                let draws = Draws { seed, index: index + i as u64, stream, channels };
                expected.extend(twin(&sampler, encoded, draws, time_steps).to_words());
            }
            for (gpu, variant) in variants(&Variant::SAMPLERS) {
                let manner = Manner::new(variant, channels, time_steps, &gpu.device.limits());
                let pipeline = KERNEL.pipeline(gpu, &constants(time_steps, channels, neurons, stream, manner));
                let start = [Run::new(seed, index)];
                let start = constant_buffer(gpu, "test", &start, wgpu::BufferUsages::STORAGE);
                let encoded = storage(gpu, &grouped(&encoded, channels));
                let latents = results(gpu, IMAGES * latent_words(channels));
                let pass = pass(gpu, &pipeline, &start, &buffer(gpu, &layers), &encoded, &latents);
                let found = run(gpu, &pass, IMAGES, &latents);
                prop_assert_eq!(&found, &grouped(&expected, channels), "{}, {}", gpu.name(), variant);
            }
        }
    }
}
