//! Memory and dispatches, made once: of generation when a model is loaded, of encoding and of frames
//! when they are first asked for.

use wgpu::BufferUsages as Usage;

use super::device::Gpu;
use super::kernels::{
    GroupedLayer, LayerBuffers, Pass, conv_lif, conv_transpose_lif, image_lif, linear_lif, readout, sample,
};
use crate::architecture::Architecture;
use crate::error::{Error, Result};
use crate::network::{Moment, Network, SpikingLayer};
use crate::philox::Stream;

/// Bytes of each buffer that grows with the batch, for one image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImageBytes {
    /// `[C]` words, C rounded up to groups of four.
    pub(crate) latents: u64,
    /// Spike maps alternate between two buffers, in the encoder and in the decoder.
    maps: [u64; 2],
    /// u8 `[side, side, channels]`
    pub(crate) pixels: u64,
}

impl ImageBytes {
    pub(crate) fn new(architecture: &Architecture) -> Self {
        let mut maps = [0; 2];
        let depth = architecture.depth();
        let decoder =
            architecture.decoder_widths.iter().enumerate().map(|(layer, width)| (layer, layer, width));
        let encoder = architecture
            .encoder_widths
            .iter()
            .enumerate()
            .map(|(layer, width)| (layer, depth - 1 - layer, width));
        for (layer, doublings, width) in decoder.chain(encoder) {
            let pixels = 4_u64 << (2 * doublings);
            let bytes = 4 * pixels * width.next_multiple_of(4) as u64;
            maps[layer % 2] = bytes.max(maps[layer % 2]);
        }
        ImageBytes {
            latents: 4 * sample::latent_words(architecture.latent_channels) as u64,
            maps,
            pixels: architecture.image_bytes() as u64,
        }
    }

    fn largest(&self) -> u64 {
        self.latents.max(self.maps[0]).max(self.maps[1]).max(self.pixels)
    }
}

/// What a device must offer to run a network, one image at a time if need be. Everything that does
/// not matter is as low as it can be.
pub fn required_limits(network: &Network) -> wgpu::Limits {
    let architecture = &network.architecture;
    let padded = |layer: &SpikingLayer| {
        16 * (layer.taps * layer.inputs.next_multiple_of(4) * layer.outputs.div_ceil(4)) as u64
    };
    let sampler = |[first, second, last]: &[SpikingLayer; 3]| {
        let hidden = first.weights.len() + second.weights.len();
        let neurons = first.outputs + second.outputs + last.outputs;
        (4 * hidden.max(last.weights.len()).max(2 * neurons)) as u64
    };
    let constants = network
        .decoder
        .iter()
        .chain(&network.encoder)
        .chain([&network.decoder_input, &network.latent])
        .map(padded)
        .chain([sampler(&network.prior), sampler(&network.posterior)])
        .chain([2 * padded(&network.image_layer)])
        .chain([32 * (network.readout.outputs * 9 * network.readout.inputs.div_ceil(4)) as u64])
        .max()
        .unwrap_or(0);
    let largest = constants.max(ImageBytes::new(architecture).largest());

    // A convolution has an invocation for each pixel (of one parity, in the decoder) and group of
    // four channels.
    let invocations = |doublings: usize, width: usize| (4_u64 << (2 * doublings)) * width.div_ceil(4) as u64;
    let depth = architecture.depth();
    let decoder =
        architecture.decoder_widths.iter().skip(1).zip(0..).map(|(&width, i)| invocations(i, width));
    let encoder =
        architecture.encoder_widths.iter().zip(1..).map(|(&width, i)| invocations(depth - i, width));
    let linear = [4 * architecture.decoder_widths[0].div_ceil(4) as u64];
    let most = decoder.chain(encoder).chain(linear).max().unwrap_or(1);
    let workgroups = most.div_ceil(u64::from(conv_transpose_lif::KERNEL.workgroup_size));
    wgpu::Limits {
        max_bind_groups: 1,
        max_bindings_per_bind_group: sample::KERNEL.bindings.len() as u32,
        max_storage_buffers_per_shader_stage: sample::KERNEL.bindings.len() as u32 - 1,
        max_uniform_buffers_per_shader_stage: 1,
        max_storage_buffer_binding_size: largest,
        max_buffer_size: largest,
        max_compute_workgroup_storage_size: sample::workgroup_bytes(architecture.latent_channels)
            .max(readout::WORKGROUP_BYTES)
            .try_into()
            .unwrap_or(u32::MAX),
        max_compute_invocations_per_workgroup: sample::KERNEL.workgroup_size,
        max_compute_workgroup_size_x: sample::KERNEL.workgroup_size,
        max_compute_workgroup_size_y: 1,
        max_compute_workgroup_size_z: 1,
        max_compute_workgroups_per_dimension: workgroups.try_into().unwrap_or(u32::MAX),
        ..wgpu::Limits::downlevel_webgl2_defaults()
    }
}

/// Every buffer and dispatch of a batch.
#[derive(Debug)]
pub(crate) struct Plan {
    /// [`sample::Run`]
    pub(crate) run: wgpu::Buffer,
    /// `[capacity, latent words]`
    pub(crate) latents: wgpu::Buffer,
    maps: [wgpu::Buffer; 2],
    /// u8 `[capacity, side, side, channels]`
    pub(crate) pixels: wgpu::Buffer,
    /// Images of a batch.
    pub(crate) capacity: usize,
    /// Draws latents from the prior.
    pub(crate) prior: Vec<Pass>,
    /// Latents to the spikes of the last layer.
    pub(crate) decoder: Vec<Pass>,
    /// Those spikes to the image.
    pub(crate) readout: Vec<Pass>,
}

/// What encoding needs besides.
#[derive(Debug)]
pub(crate) struct EncoderPlan {
    /// u8 `[capacity, side, side, channels]`
    pub(crate) images: wgpu::Buffer,
    /// Images to latents drawn from the posterior.
    pub(crate) passes: Vec<Pass>,
    /// `[capacity, latent words]`: the encoder's spikes.
    #[cfg(test)]
    encoded: wgpu::Buffer,
}

impl Plan {
    /// Buffers for `batch` images, or as many as the device's limits allow.
    pub(crate) fn new(gpu: &Gpu, network: &Network, batch: usize) -> Result<Self> {
        let capacity = capacity(gpu, network, batch)?;
        let architecture = &network.architecture;
        let image = ImageBytes::new(architecture);
        let batch = |label, bytes, usage| buffer(gpu, label, bytes * capacity as u64, Usage::STORAGE | usage);
        let run = buffer(gpu, "fsvae.run", size_of::<sample::Run>() as u64, Usage::UNIFORM | Usage::COPY_DST);
        let latents = batch("fsvae.latents", image.latents, Usage::COPY_SRC | Usage::COPY_DST);
        // Copied from by tests and debuggers only.
        let maps = image.maps.map(|bytes| batch("fsvae.map", bytes, Usage::COPY_SRC));
        let pixels = batch("fsvae.pixels", image.pixels, Usage::COPY_SRC);

        let pipeline = sample::KERNEL.pipeline(gpu, &sample::constants(architecture, Stream::Prior));
        let weights = sample::buffers(gpu, &network.prior);
        let prior = sample::pass(gpu, &pipeline, &run, &weights, &maps[0], &latents);

        let steps = [("TIME_STEPS", architecture.time_steps as u32)];
        let pipeline = linear_lif::KERNEL.pipeline(gpu, &steps);
        let layer = LayerBuffers::new(gpu, "fsvae.decoder_input", &decoder_input(&network.decoder_input), 0);
        let mut decoder = vec![linear_lif::pass(gpu, &pipeline, &layer, &latents, &maps[0])];
        let pipeline = conv_transpose_lif::KERNEL.pipeline(gpu, &steps);
        for (i, layer) in network.decoder.iter().enumerate() {
            let layer = LayerBuffers::new(gpu, "fsvae.decoder", &GroupedLayer::new(layer), 2 << i);
            let (input, output) = (&maps[i % 2], &maps[(i + 1) % 2]);
            decoder.push(conv_transpose_lif::pass(gpu, &pipeline, &layer, input, output));
        }

        let mut plan =
            Plan { run, latents, maps, pixels, capacity, prior: vec![prior], decoder, readout: Vec::new() };
        let last = std::slice::from_ref(network.readout.last());
        plan.readout = plan.readouts(gpu, network, last);
        Ok(plan)
    }

    /// One pass for the picture as of each moment.
    pub(crate) fn readouts(&self, gpu: &Gpu, network: &Network, moments: &[Moment]) -> Vec<Pass> {
        let pipeline = readout::KERNEL.pipeline(gpu, &readout::constants(&network.readout));
        let input = &self.maps[network.decoder.len() % 2];
        let side = network.architecture.image_side();
        readout::passes(gpu, &pipeline, &network.readout, moments, side, input, &self.pixels)
    }

    pub(crate) fn encoder(&self, gpu: &Gpu, network: &Network) -> EncoderPlan {
        let architecture = &network.architecture;
        let image = ImageBytes::new(architecture);
        let batch =
            |label, bytes, usage| buffer(gpu, label, bytes * self.capacity as u64, Usage::STORAGE | usage);
        let images = batch("fsvae.images", image.pixels, Usage::COPY_DST);
        let encoded = batch("fsvae.encoded", image.latents, Usage::COPY_SRC);
        let steps = [("TIME_STEPS", architecture.time_steps as u32)];

        let mut side = architecture.image_side();
        let constants = image_lif::constants(&network.image_layer, architecture.time_steps);
        let pipeline = image_lif::KERNEL.pipeline(gpu, &constants);
        let layer = LayerBuffers::new(gpu, "fsvae.encoder", &image_lif::grouped(&network.image_layer), side);
        let mut passes = vec![image_lif::pass(gpu, &pipeline, &layer, &images, &self.maps[0])];
        let pipeline = conv_lif::KERNEL.pipeline(gpu, &steps);
        for (i, layer) in network.encoder.iter().enumerate() {
            side /= 2;
            let layer = LayerBuffers::new(gpu, "fsvae.encoder", &GroupedLayer::new(layer), side);
            let (input, output) = (&self.maps[i % 2], &self.maps[(i + 1) % 2]);
            passes.push(conv_lif::pass(gpu, &pipeline, &layer, input, output));
        }
        let pipeline = linear_lif::KERNEL.pipeline(gpu, &steps);
        let layer = LayerBuffers::new(gpu, "fsvae.latent", &GroupedLayer::new(&network.latent), 0);
        let input = &self.maps[network.encoder.len() % 2];
        passes.push(linear_lif::pass(gpu, &pipeline, &layer, input, &encoded));

        let pipeline = sample::KERNEL.pipeline(gpu, &sample::constants(architecture, Stream::Posterior));
        let weights = sample::buffers(gpu, &network.posterior);
        passes.push(sample::pass(gpu, &pipeline, &self.run, &weights, &encoded, &self.latents));
        EncoderPlan {
            images,
            passes,
            #[cfg(test)]
            encoded,
        }
    }
}

/// Records dispatches for `images` images.
pub(crate) fn record(encoder: &mut wgpu::CommandEncoder, label: &str, passes: &[Pass], images: usize) {
    let mut pass = encoder
        .begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some(label), timestamp_writes: None });
    passes.iter().for_each(|step| step.record(&mut pass, images as u32));
}

fn buffer(gpu: &Gpu, label: &str, size: u64, usage: Usage) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size,
        usage,
        mapped_at_creation: false,
    })
}

/// The checkpoint flattens the 2x2 map channel, y, x; the kernels' maps are pixel by pixel.
fn decoder_input(layer: &SpikingLayer) -> GroupedLayer {
    let channels = layer.outputs / 4;
    let padded = channels.next_multiple_of(4);
    let outputs: Vec<Option<usize>> = (0..4)
        .flat_map(|pixel| (0..padded).map(move |channel| (channel < channels).then_some(channel * 4 + pixel)))
        .collect();
    GroupedLayer::of_outputs(layer, &outputs)
}

/// How many images of a batch of `batch` fit the device's limits at once.
fn capacity(gpu: &Gpu, network: &Network, batch: usize) -> Result<usize> {
    let limits = gpu.device.limits();
    let mut shortfall = None;
    required_limits(network).check_limits_with_fail_fn(&limits, false, |limit, needed, available| {
        shortfall.get_or_insert((limit, needed, available));
    });
    if let Some((limit, needed, available)) = shortfall {
        return Err(Error::DeviceLimit { adapter: gpu.name(), limit, needed, available });
    }
    let largest = ImageBytes::new(&network.architecture).largest();
    let binding = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
    let most = (binding / largest).min(u64::from(limits.max_compute_workgroups_per_dimension));
    Ok(batch.min(usize::try_from(most).unwrap_or(usize::MAX)).max(1))
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use super::*;
    use crate::Checkpoint;
    use crate::cpu::conv_lif::conv_lif;
    use crate::cpu::conv_transpose_lif::conv_transpose_lif;
    use crate::cpu::image_lif::image_lif;
    use crate::cpu::layer::Layer;
    use crate::cpu::linear_lif::linear_lif;
    use crate::cpu::sample::{Sampler, sample};
    use crate::cpu::spikes::Spikes;
    use crate::gpu::kernels::sample::Run;
    use crate::gpu::testing::{gpus, grouped, run};
    use crate::philox::{Draws, halves};

    const SEED: u64 = 7;
    const FIRST: u64 = 3;

    /// The words after every layer, each as the GPU lays them out: encoder, its latent input, z,
    /// decoder.
    fn intermediates(network: &Network, image: &[u8], index: u64) -> Vec<Vec<u32>> {
        let Architecture { time_steps: steps, latent_channels: channels, .. } = network.architecture;
        let mut words = Vec::new();
        let mut keep = |spikes: &Spikes| words.push(grouped(&spikes.to_words(), spikes.channels));

        let mut side = network.architecture.image_side();
        let mut spikes = image_lif(&network.image_layer, image, side, steps);
        keep(&spikes);
        for layer in &network.encoder {
            side /= 2;
            spikes = conv_lif(&Layer::new(layer), &spikes, side);
            keep(&spikes);
        }
        let mut encoded = Spikes::silent(1, channels, steps);
        linear_lif(&Layer::new(&network.latent), &spikes, &mut encoded.masks);
        keep(&encoded);
        let neurons = network.architecture.neurons_per_channel;
        let draws = Draws { seed: SEED, index, stream: Stream::Posterior, channels, neurons };
        let z = sample(&Sampler::new(&network.posterior, channels), Some(&encoded), draws, steps);
        keep(&z);

        let outputs = network.decoder_input.outputs;
        let mut flat = Spikes::silent(1, outputs, steps);
        linear_lif(&Layer::new(&network.decoder_input), &z, &mut flat.masks);
        // The checkpoint's order is channel, y, x.
        let flat = flat.to_words();
        let by_pixel: Vec<u32> = (0..4).flat_map(|pixel| flat[pixel..].iter().step_by(4)).copied().collect();
        let mut spikes = Spikes::from_words(&by_pixel, outputs / 4, steps);
        keep(&spikes);
        for (i, layer) in network.decoder.iter().enumerate() {
            spikes = conv_transpose_lif(&Layer::new(layer), &spikes, 2 << i);
            keep(&spikes);
        }
        words
    }

    /// Uniform images, on which all neurons of a channel graze their thresholds together, and a
    /// pattern, through the trained network.
    #[test]
    fn every_intermediate_is_the_cpus() {
        let checkpoint = Checkpoint::bundled("mnist").expect("bundled").expect("valid");
        let network = Network::new(&checkpoint).expect("valid");
        let bytes = network.architecture.image_bytes();
        let pattern = (0..bytes).map(|at| ((at / 32) ^ (at % 32)) as u8 * 8).collect();
        let mut images = vec![pattern];
        images.extend([0, 1, 127, 128, 200, 255].map(|level| vec![level; bytes]));
        let expected: Vec<Vec<Vec<u32>>> =
            images.iter().zip(FIRST..).map(|(image, index)| intermediates(&network, image, index)).collect();

        for gpu in gpus() {
            let plan = Plan::new(gpu, &network, images.len()).expect("a plan");
            let encoder = plan.encoder(gpu, &network);
            let start = Run { seed: halves(SEED), first: halves(FIRST) };
            gpu.queue.write_buffer(&plan.run, 0, bytemuck::bytes_of(&start));
            gpu.queue.write_buffer(&encoder.images, 0, &images.concat());
            let convolutions = 1 + network.encoder.len();
            let outputs = (0..convolutions).map(|i| &plan.maps[i % 2]);
            let outputs = outputs.chain([&encoder.encoded, &plan.latents]);
            let outputs = outputs.chain((0..plan.decoder.len()).map(|i| &plan.maps[i % 2]));
            let passes = encoder.passes.iter().chain(&plan.decoder);
            for (stage, (pass, output)) in passes.zip(outputs).enumerate() {
                let expected: Vec<u32> =
                    expected.iter().flat_map(|stages| stages[stage].iter().copied()).collect();
                let found = run(gpu, pass, images.len(), output);
                assert!(found[..expected.len()] == expected, "{}: stage {stage}", gpu.name());
            }
            assert_eq!(expected[0].len(), encoder.passes.len() + plan.decoder.len());
        }
    }
}
