//! Memory for a batch and the dispatches on it, made once: of generation and decoding with the plan, of encoding
//! and of frames when they are first asked for.

use wgpu::BufferUsages as Usage;

use super::device::Gpu;
use super::kernels::{Pass, conv_lif, conv_transpose_lif, image_lif, linear_lif, readout, sample};
use super::limits::{ImageBytes, capacity};
use super::model::Model;
use crate::error::Result;

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
    pub(crate) prior: Pass,
    /// Latents to the spikes of the last layer.
    pub(crate) decoder: Vec<Pass>,
    /// Those spikes to the picture as of each time step; the last is the image.
    pub(crate) readouts: Vec<Pass>,
}

/// What encoding needs besides.
#[derive(Debug)]
pub(crate) struct EncoderPlan {
    /// u8 `[capacity, side, side, channels]`
    pub(crate) images: wgpu::Buffer,
    /// Images to latents drawn from the posterior.
    pub(crate) passes: Vec<Pass>,
    /// `[capacity, latent words]`: the encoder's spikes.
    #[cfg(all(test, feature = "bundled"))]
    encoded: wgpu::Buffer,
}

impl Plan {
    /// Buffers for `batch` images, or as many as the device's limits allow. Not [`Gpu::checked`] yet.
    pub(crate) fn new(model: &Model, batch: usize) -> Result<Self> {
        let Model { gpu, network, .. } = model;
        let capacity = capacity(gpu, network, batch)?;
        let image = ImageBytes::new(&network.architecture);
        let batch = |label, bytes, usage| buffer(gpu, label, bytes * capacity as u64, Usage::STORAGE | usage);
        let run = buffer(gpu, "fsvae.run", size_of::<sample::Run>() as u64, Usage::STORAGE | Usage::COPY_DST);
        let latents = batch("fsvae.latents", image.latents, Usage::COPY_SRC | Usage::COPY_DST);
        // Copied from by tests and debuggers only.
        let maps = image.maps.map(|bytes| batch("fsvae.map", bytes, Usage::COPY_SRC));
        let pixels = batch("fsvae.pixels", image.pixels, Usage::COPY_SRC);

        let sampler = &model.prior;
        let prior = sample::pass(gpu, &sampler.pipeline, &run, &sampler.buffers, &maps[0], &latents);
        let mut decoder =
            vec![linear_lif::pass(gpu, &model.linear, &model.decoder_input, &latents, &maps[0])];
        for (i, layer) in model.decoder.iter().enumerate() {
            let (input, output) = (&maps[i % 2], &maps[(i + 1) % 2]);
            decoder.push(conv_transpose_lif::pass(gpu, &model.conv_transpose, layer, input, output));
        }
        let input = &maps[model.decoder.len() % 2];
        let readouts = readout::passes(gpu, &model.readout, &model.readout_buffers, input, &pixels);
        Ok(Plan { run, latents, maps, pixels, capacity, prior, decoder, readouts })
    }

    /// The pass that makes the images.
    pub(crate) fn readout(&self) -> &[Pass] {
        &self.readouts[self.readouts.len() - 1..]
    }

    pub(crate) fn encoder(&self, model: &Model) -> Result<EncoderPlan> {
        let weights = model.encoder()?;
        model.gpu.checked_now(|| {
            let gpu = &model.gpu;
            let image = ImageBytes::new(model.architecture());
            let batch = |label, bytes, usage| {
                buffer(gpu, label, bytes * self.capacity as u64, Usage::STORAGE | usage)
            };
            let images = batch("fsvae.images", image.pixels, Usage::COPY_DST);
            let encoded = batch("fsvae.encoded", image.latents, Usage::COPY_SRC);

            let mut passes =
                vec![image_lif::pass(gpu, &weights.image, &weights.image_layer, &images, &self.maps[0])];
            for (i, layer) in weights.layers.iter().enumerate() {
                let (input, output) = (&self.maps[i % 2], &self.maps[(i + 1) % 2]);
                passes.push(conv_lif::pass(gpu, &weights.conv, layer, input, output));
            }
            let input = &self.maps[weights.layers.len() % 2];
            passes.push(linear_lif::pass(gpu, &model.linear, &weights.latent, input, &encoded));
            let sampler = &weights.posterior;
            passes.push(sample::pass(
                gpu,
                &sampler.pipeline,
                &self.run,
                &sampler.buffers,
                &encoded,
                &self.latents,
            ));
            EncoderPlan {
                images,
                passes,
                #[cfg(all(test, feature = "bundled"))]
                encoded,
            }
        })
    }
}

/// Records dispatches for `images` images as one compute pass.
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

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use super::*;
    use crate::Checkpoint;
    use crate::architecture::Architecture;
    use crate::cpu::conv_lif::{self, conv_lif};
    use crate::cpu::conv_transpose_lif::{self, conv_transpose_lif};
    use crate::cpu::image_lif::image_lif;
    use crate::cpu::linear_lif::{self, linear_lif};
    use crate::cpu::sample::{Sampler, sample};
    use crate::cpu::spikes::Spikes;
    use crate::cpu::vectors::Processor;
    use crate::gpu::kernels::sample::Run;
    use crate::gpu::testing::{gpus, grouped, run};
    use crate::gpu::variant::Variant;
    use crate::network::Network;
    use crate::philox::{Draws, Stream};

    const SEED: u64 = 7;
    const FIRST: u64 = 3;

    /// The words after every layer, each as the GPU lays them out: encoder, its latent input, z,
    /// decoder.
    fn intermediates(network: &Network, image: &[u8], index: u64) -> Vec<Vec<u32>> {
        let Architecture { time_steps: steps, latent_channels: channels, .. } = network.architecture;
        let mut words = Vec::new();
        let mut keep = |spikes: &Spikes| words.push(grouped(&spikes.to_words(), spikes.channels));

        let processor = Processor::get();
        let mut side = network.architecture.image_side();
        let mut spikes = image_lif(&network.image_layer, image, side, steps);
        keep(&spikes);
        for layer in &network.encoder {
            side /= 2;
            spikes = conv_lif(&conv_lif::prepare(processor, layer), &spikes, side);
            keep(&spikes);
        }
        let mut encoded = Spikes::silent(1, channels, steps);
        linear_lif(&linear_lif::prepare(processor, &network.latent), &spikes, &mut encoded.masks);
        keep(&encoded);
        let neurons = network.architecture.neurons_per_channel;
        let draws = Draws { seed: SEED, index, stream: Stream::Posterior, channels, neurons };
        let z = sample(&Sampler::new(processor, &network.posterior, channels), Some(&encoded), draws, steps);
        keep(&z);

        let outputs = network.decoder_input.outputs;
        let mut flat = Spikes::silent(1, outputs, steps);
        linear_lif(&linear_lif::prepare(processor, &network.decoder_input), &z, &mut flat.masks);
        // The checkpoint's order is channel, y, x.
        let flat = flat.to_words();
        let by_pixel: Vec<u32> = (0..4).flat_map(|pixel| flat[pixel..].iter().step_by(4)).copied().collect();
        let mut spikes = Spikes::from_words(&by_pixel, outputs / 4, steps);
        keep(&spikes);
        for (i, layer) in network.decoder.iter().enumerate() {
            spikes = conv_transpose_lif(&conv_transpose_lif::prepare(processor, layer), &spikes, 2 << i);
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
            let model = pollster::block_on(Model::new(gpu, &network, Variant::default())).expect("a model");
            let plan = Plan::new(&model, images.len()).expect("a plan");
            let encoder = plan.encoder(&model).expect("an encoder");
            let start = Run::new(SEED, FIRST);
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
