//! Memory and dispatches of one batch, made once when a model is loaded.

use wgpu::BufferUsages as Usage;

use super::device::Gpu;
use super::kernels::{GroupedLayer, LayerBuffers, Pass, conv_transpose_lif, linear_lif, readout, sample};
use crate::architecture::Architecture;
use crate::error::{Error, Result};
use crate::network::{Network, SpikingLayer};
use crate::philox::Stream;

/// Bytes of each buffer that grows with the batch, for one image.
struct ImageBytes {
    latents: u64,
    /// Spike maps alternate between two buffers.
    maps: [u64; 2],
    pixels: u64,
}

impl ImageBytes {
    fn new(architecture: &Architecture) -> Self {
        let mut maps = [0; 2];
        for (layer, &width) in architecture.decoder_widths.iter().enumerate() {
            let pixels = 4_u64 << (2 * layer);
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
    let [first, second, last] = &network.prior;
    let constants = network
        .decoder
        .iter()
        .chain([&network.decoder_input])
        .map(padded)
        .chain([4 * (first.weights.len() + second.weights.len()) as u64, 4 * last.weights.len() as u64])
        .chain([8 * (first.outputs + second.outputs + last.outputs) as u64])
        .chain([32 * (network.readout.outputs * 9 * network.readout.inputs.div_ceil(4)) as u64])
        .max()
        .unwrap_or(0);
    let largest = constants.max(ImageBytes::new(architecture).largest());
    let last_layer = architecture.decoder_widths.iter().skip(1).zip(0..).map(|(width, layer)| {
        let parity = 4_u64 << (2 * layer);
        (parity * width.div_ceil(4) as u64).div_ceil(u64::from(conv_transpose_lif::KERNEL.workgroup_size))
    });
    let input_groups = architecture.decoder_widths[0] as u64; // 4 h outputs in groups of 4
    let workgroups = last_layer.max().unwrap_or(1).max(input_groups);
    wgpu::Limits {
        max_bind_groups: 1,
        max_bindings_per_bind_group: 5,
        max_storage_buffers_per_shader_stage: 4,
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
    passes: Vec<Pass>,
    /// [`sample::Run`]
    pub(crate) run: wgpu::Buffer,
    /// u8 `[capacity, side, side, channels]`
    pub(crate) pixels: wgpu::Buffer,
    /// Images of a batch.
    pub(crate) capacity: usize,
}

impl Plan {
    /// Buffers for `batch` images, or as many as the device's limits allow.
    pub(crate) fn new(gpu: &Gpu, network: &Network, batch: usize) -> Result<Self> {
        let capacity = capacity(gpu, network, batch)?;
        let architecture = &network.architecture;
        let image = ImageBytes::new(architecture);
        let buffer = |label: &str, bytes: u64, usage| {
            let size = bytes * capacity as u64;
            gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage,
                mapped_at_creation: false,
            })
        };
        let run = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("fsvae.run"),
            size: size_of::<sample::Run>() as u64,
            usage: Usage::UNIFORM | Usage::COPY_DST,
            mapped_at_creation: false,
        });
        let latents = buffer("fsvae.latents", image.latents, Usage::STORAGE);
        let maps = image.maps.map(|bytes| buffer("fsvae.map", bytes, Usage::STORAGE));
        let pixels = buffer("fsvae.pixels", image.pixels, Usage::STORAGE | Usage::COPY_SRC);

        let mut passes = Vec::new();
        let pipeline = sample::KERNEL.pipeline(gpu, &sample::constants(architecture, Stream::Prior));
        let weights = sample::buffers(gpu, &network.prior);
        passes.push(sample::pass(gpu, &pipeline, &run, &weights, &latents));

        let steps = [("TIME_STEPS", architecture.time_steps as u32)];
        let pipeline = linear_lif::KERNEL.pipeline(gpu, &steps);
        let layer = LayerBuffers::new(gpu, "fsvae.decoder_input", &decoder_input(&network.decoder_input), 1);
        passes.push(linear_lif::pass(gpu, &pipeline, &layer, &latents, &maps[0]));

        let pipeline = conv_transpose_lif::KERNEL.pipeline(gpu, &steps);
        let mut side = 2;
        for (i, layer) in network.decoder.iter().enumerate() {
            let layer = LayerBuffers::new(gpu, "fsvae.decoder", &GroupedLayer::new(layer), side);
            let (input, output) = (&maps[i % 2], &maps[(i + 1) % 2]);
            passes.push(conv_transpose_lif::pass(gpu, &pipeline, &layer, input, output));
            side *= 2;
        }

        let pipeline = readout::KERNEL.pipeline(gpu, &readout::constants(&network.readout));
        let input = &maps[network.decoder.len() % 2];
        passes.push(readout::pass(gpu, &pipeline, &network.readout, side, input, &pixels));
        Ok(Plan { passes, run, pixels, capacity })
    }

    /// Records all dispatches of `images` images, at most [`Plan::capacity`].
    pub(crate) fn record(&self, encoder: &mut wgpu::CommandEncoder, images: usize) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("fsvae.generate"),
            timestamp_writes: None,
        });
        for step in &self.passes {
            step.record(&mut pass, images as u32);
        }
    }
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
