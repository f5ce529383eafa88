//! How much memory a device needs for a batch.

use super::limits::ImageBytes;
use crate::network::Network;

/// Bytes of a generator on a device: `weights + batch * (image + readbacks * readback)`.
///
/// The buffers of a batch are made once and used by all layers in turn: z, two maps of spike trains that every other
/// layer writes, the pixels. A readback is made for each batch that is in flight, when it is first needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// What generation needs of the weights, whatever the batch: about 4 bytes each, for channels come in fours.
    /// An ESVAE has a table of 256 KiB besides.
    pub weights: u64,
    /// Of one image of a batch: `4 C + 4 (p0 + p1) + side^2 * channels`, where p0 and p1 are the largest products of
    /// pixels and channels of the maps of even and of odd layers, and channels come in fours.
    pub image: u64,
    /// Of one image of a batch in flight.
    pub readback: u64,
    /// The largest buffer's share of an image. A batch beyond the device's largest binding over this is split.
    pub largest: u64,
}

/// What a network needs on a device; see [`Memory`].
pub fn memory(network: &Network) -> Memory {
    let ImageBytes { latents, maps, pixels } = ImageBytes::new(&network.architecture);
    let layers = [&network.decoder_input].into_iter().chain(&network.decoder);
    let decoder: usize = layers.map(|layer| layer.weights.len()).sum();
    Memory {
        // The readout's have two parts.
        weights: 4 * (network.sampler.prior_numbers() + decoder + 2 * network.readout.weights.len()) as u64,
        image: latents + maps[0] + maps[1] + pixels,
        readback: pixels.max(latents),
        largest: latents.max(maps[0]).max(maps[1]).max(pixels),
    }
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::gpu::{Gpu, adapters, required_limits};
    use crate::{Checkpoint, Generator};

    /// By the counters of the device: weights, and what another image adds.
    #[test]
    fn a_generator_takes_what_the_formula_says() {
        let network =
            Network::new(&Checkpoint::bundled("cifar10").expect("bundled").expect("valid")).expect("valid");
        let Memory { weights, image, readback, .. } = memory(&network);
        for adapter in pollster::block_on(adapters()) {
            // A device of its own: what other tests allocate counts, too.
            let gpu =
                pollster::block_on(Gpu::request(&adapter, &required_limits(&network))).expect("a device");
            let gpu = &gpu;
            let bytes = || gpu.device().get_internal_counters().hal.buffer_memory.read() as u64;
            // Once a batch was read back the weights' way there is free again.
            let made = |batch: u64| {
                let before = bytes();
                let size = NonZeroUsize::new(batch as usize).expect("not 0");
                let builder = Generator::builder(&network).batch(size);
                let generator = pollster::block_on(builder.gpu(gpu)).expect("a generator");
                generator.generate(0, 0..batch).expect("images");
                bytes() - before
            };
            let (small, large) = (made(4), made(20));
            if small == 0 {
                eprintln!("{}: does not count bytes", gpu.name());
                continue;
            }
            // The allocator's granularity is all there is besides.
            let (grown, expected) = (large - small, 16 * (image + readback));
            assert!(grown.abs_diff(expected) <= 16 << 10, "{}: {grown} bytes, not {expected}", gpu.name());
            let rest = small - 4 * (image + readback);
            assert!(
                rest.abs_diff(weights) < weights / 20,
                "{}: {rest} of weights, not {weights}",
                gpu.name()
            );
        }
    }
}
