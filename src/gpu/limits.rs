//! What a network asks of a device, and how large a batch a device allows.

use super::device::Gpu;
use super::kernels::{ROW, conv_transpose_lif, readout, sample};
use super::sampler::Needs;
use super::slot;
use crate::architecture::Architecture;
use crate::error::{Error, Result};
use crate::network::{Network, SpikingLayer};

/// Metal has no limit of bindings but its buffers'. Kernels count bytes in 32 bits, some of them signed.
const LARGEST_BINDING: u64 = 1 << 31;

/// Bytes of each buffer that grows with the batch, for one image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImageBytes {
    /// `[C]` words, C rounded up to groups of four.
    pub(crate) latents: u64,
    /// Spike maps alternate between two buffers, in the encoder and in the decoder.
    pub(super) maps: [u64; 2],
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

    /// Of what is copied in or out of a batch, without [`slot::OVERHEAD`].
    pub(super) fn copied(&self) -> u64 {
        self.latents.max(self.pixels)
    }
}

/// What a device must offer to run a network, one image at a time if need be. Everything that does
/// not matter is as low as it can be.
pub fn required_limits(network: &Network) -> wgpu::Limits {
    let architecture = &network.architecture;
    let padded = |layer: &SpikingLayer| {
        16 * (layer.taps * layer.inputs.next_multiple_of(4) * layer.outputs.div_ceil(4)) as u64
    };
    let sampler = Needs::new(network);
    let kernels = sampler.kernels.iter().copied().chain([&conv_transpose_lif::KERNEL, &readout::KERNEL]);
    let bindings = kernels.clone().map(|kernel| kernel.bindings.len() as u32).max().unwrap_or(0);
    let invocations_of_a_workgroup = kernels.map(|kernel| kernel.workgroup_size).max().unwrap_or(1);
    let constants = network
        .decoder
        .iter()
        .chain(&network.encoder)
        .chain([&network.decoder_input, &network.latent])
        .map(padded)
        .chain([sampler.binding])
        .chain([2 * padded(&network.image_layer)])
        .chain([32 * (network.readout.outputs * 9 * network.readout.inputs.div_ceil(4)) as u64])
        .max()
        .unwrap_or(0);
    let image = ImageBytes::new(architecture);
    let largest = constants.max(image.largest());

    // A convolution has an invocation for each pixel (of one parity, in the decoder) and group of
    // four channels.
    let invocations = |doublings: usize, width: usize| (4_u64 << (2 * doublings)) * width.div_ceil(4) as u64;
    let depth = architecture.depth();
    let decoder =
        architecture.decoder_widths.iter().skip(1).zip(0..).map(|(&width, i)| invocations(i, width));
    let encoder =
        architecture.encoder_widths.iter().zip(1..).map(|(&width, i)| invocations(depth - i, width));
    let linear = [4 * architecture.decoder_widths[0].div_ceil(4) as u64];
    // What presents images has one for each pixel.
    let presented = [(architecture.image_side() * architecture.image_side()) as u64];
    let most = decoder.chain(encoder).chain(linear).chain(presented).max().unwrap_or(1);
    let workgroups = most.div_ceil(u64::from(conv_transpose_lif::KERNEL.workgroup_size));
    let rows = workgroups.div_ceil(u64::from(ROW));
    wgpu::Limits {
        max_bind_groups: 1,
        max_bindings_per_bind_group: bindings,
        max_storage_buffers_per_shader_stage: bindings,
        max_uniform_buffers_per_shader_stage: 0,
        // Of images that are recorded into a texture.
        max_storage_textures_per_shader_stage: 1,
        max_storage_buffer_binding_size: largest,
        max_buffer_size: largest.max(image.copied() + slot::OVERHEAD),
        max_compute_workgroup_storage_size: sampler
            .workgroup_bytes
            .max(readout::WORKGROUP_BYTES)
            .try_into()
            .unwrap_or(u32::MAX),
        max_compute_invocations_per_workgroup: invocations_of_a_workgroup,
        max_compute_workgroup_size_x: invocations_of_a_workgroup,
        max_compute_workgroup_size_y: 1,
        max_compute_workgroup_size_z: 1,
        max_compute_workgroups_per_dimension: workgroups
            .min(u64::from(ROW))
            .max(4 * rows)
            .try_into()
            .unwrap_or(u32::MAX),
        ..wgpu::Limits::downlevel_webgl2_defaults()
    }
}

/// How many images of a batch of `batch` fit the device's limits at once.
pub(crate) fn capacity(gpu: &Gpu, network: &Network, batch: usize) -> Result<usize> {
    let limits = gpu.device.limits();
    let mut shortfall = None;
    required_limits(network).check_limits_with_fail_fn(&limits, false, |limit, needed, available| {
        shortfall.get_or_insert((limit, needed, available));
    });
    if let Some((limit, needed, available)) = shortfall {
        return Err(Error::DeviceLimit { adapter: gpu.name(), limit, needed, available });
    }
    let image = ImageBytes::new(&network.architecture);
    if image.largest() > LARGEST_BINDING {
        let (limit, needed, available) =
            ("max_storage_buffer_binding_size", image.largest(), LARGEST_BINDING);
        return Err(Error::DeviceLimit { adapter: gpu.name(), limit, needed, available });
    }
    let binding = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(LARGEST_BINDING);
    let copied = limits.max_buffer_size.saturating_sub(slot::OVERHEAD) / image.copied();
    let most = (binding / image.largest()).min(copied);
    let most = most.min(u64::from(limits.max_compute_workgroups_per_dimension));
    Ok(batch.min(usize::try_from(most).unwrap_or(usize::MAX)).max(1))
}
