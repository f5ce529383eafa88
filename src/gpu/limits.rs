//! What a network asks of a device, and how large a batch a device allows.

use super::device::Gpu;
use super::kernels::{LayerSizes, ROW, conv_transpose_lif, parts, readout, sample};
use super::sampler::Needs;
use super::slot;
use super::steps::layer_bytes;
use super::variant::Variant;
use crate::architecture::Architecture;
use crate::error::{Error, Result};
use crate::layer::{Kind, Shape};
use crate::network::Network;

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
        let (encoder, decoder) = (architecture.encoder(), architecture.decoder());
        // The encoder's last layer gives latents.
        for (at, shape) in
            encoder[..architecture.depth()].iter().enumerate().chain(decoder.iter().enumerate())
        {
            maps[at % 2] = layer_bytes(&shape.map()).max(maps[at % 2]);
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
    let shapes = || network.encoder.iter().chain(&network.decoder).map(|layer| &layer.shape);
    let padded = |shape: &Shape| {
        let limbs = if shape.kind == Kind::Image { 2 } else { 1 };
        let (map, inputs) = (shape.map(), shape.inputs.next_multiple_of(4));
        let outputs = shape.outputs / map.channels * map.channels.next_multiple_of(4);
        4 * (limbs * shape.taps * inputs * outputs) as u64
    };
    let sampler = Needs::new(network);
    let kernels = sampler.kernels.iter().copied().chain([&conv_transpose_lif::KERNEL, &readout::KERNEL]);
    let bindings = kernels.clone().map(|kernel| kernel.bindings.len() as u32).max().unwrap_or(0);
    let invocations_of_a_workgroup = kernels.map(|kernel| kernel.workgroup_size).max().unwrap_or(1);
    let constants = shapes()
        .map(padded)
        .chain([sampler.binding])
        .chain([32 * (network.readout.outputs * 9 * network.readout.inputs.div_ceil(4)) as u64])
        .max()
        .unwrap_or(0);
    let image = ImageBytes::new(architecture);
    let largest = constants.max(image.largest());

    // An invocation for each pixel of what a layer gives, of one parity of transposed ones, and group of four channels.
    let invocations = |shape: &Shape| {
        let map = shape.map();
        let side = if shape.kind == Kind::Transposed { shape.side } else { map.side };
        // Several of them, where they share its inputs.
        let parts = parts(Variant::Shared, LayerSizes::of(shape));
        (side * side * map.channels.div_ceil(4)) as u64 * u64::from(parts)
    };
    // What presents images has one for each pixel.
    let presented = [(architecture.image_side() * architecture.image_side()) as u64];
    let most = shapes().map(invocations).chain(presented).max().unwrap_or(1);
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
    let most = most(&limits, &ImageBytes::new(&network.architecture)).map_err(|needed| {
        let (limit, available) = ("max_storage_buffer_binding_size", LARGEST_BINDING);
        Error::DeviceLimit { adapter: gpu.name(), limit, needed, available }
    })?;
    Ok(batch.min(usize::try_from(most).unwrap_or(usize::MAX)).max(1))
}

/// How many images a device's limits allow; what the largest buffer of one needs, if no kernel can address it.
fn most(limits: &wgpu::Limits, image: &ImageBytes) -> std::result::Result<u64, u64> {
    if image.largest() > LARGEST_BINDING {
        return Err(image.largest());
    }
    let binding = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(LARGEST_BINDING);
    let copied = limits.max_buffer_size.saturating_sub(slot::OVERHEAD) / image.copied();
    let most = (binding / image.largest()).min(copied);
    Ok(most.min(u64::from(limits.max_compute_workgroups_per_dimension)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On Metal, whose bindings may be as large as its buffers.
    #[test]
    fn no_binding_is_larger_than_kernels_can_address() {
        let size = 1 << 37;
        let limits = wgpu::Limits {
            max_storage_buffer_binding_size: size,
            max_buffer_size: size,
            max_compute_workgroups_per_dimension: 65_535,
            ..wgpu::Limits::defaults()
        };
        let of = |largest: u64| most(&limits, &ImageBytes { latents: 16, maps: [largest, 64], pixels: 64 });
        assert_eq!(of(1 << 20), Ok(2048));
        assert_eq!(of(1 << 30), Ok(2));
        assert_eq!(of((1 << 30) + 4), Ok(1));
        assert_eq!(of(1 << 31), Ok(1));
        assert_eq!(of((1 << 31) + 4), Err((1 << 31) + 4));
        assert_eq!(of(4), Ok(65_535));
        let pixels = ImageBytes { latents: 16, maps: [64, 64], pixels: (1 << 31) + 4 };
        assert_eq!(most(&limits, &pixels), Err((1 << 31) + 4));
    }
}
