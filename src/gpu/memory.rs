//! How much memory a device needs for a batch.

use super::limits::ImageBytes;
use crate::layer::SpikingLayer;
use crate::network::Network;

/// Bytes of a generator on a device: `weights + batch * (image + slots * readback)`, and once something was encoded
/// `encoder_weights + batch * encoder_image` besides.
///
/// The buffers of a batch are made once and used by all layers in turn: z, two maps of spike trains that every other
/// layer writes, the pixels. A readback, and an upload where the images or latents come from the host, are made for each
/// batch that is in flight, when they are first needed; four of them at most are kept for the next ones. What a batch of
/// `n` images with frames or spikes needs besides is gone when it is done.
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
    /// Of one image of a batch in flight whose images or latents come from the host.
    pub upload: u64,
    /// What encoding needs of the weights, whatever the batch.
    pub encoder_weights: u64,
    /// Of one image of a batch, for encoding: `side^2 * channels + 4 C`, where channels come in fours.
    pub encoder_image: u64,
    /// Of one image of a batch in flight that gives frames, instead of `readback`: T pictures.
    pub frames: u64,
    /// The largest buffer's share of an image. A batch beyond the device's largest binding over this is split.
    pub largest: u64,
}

/// What a network needs on a device; see [`Memory`].
pub fn memory(network: &Network) -> Memory {
    let ImageBytes { latents, maps, pixels } = ImageBytes::new(&network.architecture);
    let weights = |layers: &[SpikingLayer]| layers.iter().map(|layer| layer.weights.len()).sum::<usize>();
    // Those of the first layer of the encoder and of the readout have two parts.
    let encoder = weights(&network.encoder) + weights(&network.encoder[..1]);
    let decoder = weights(&network.decoder) + 2 * network.readout.weights.len();
    Memory {
        weights: 4 * (network.sampler.prior_numbers() + decoder) as u64,
        image: latents + maps[0] + maps[1] + pixels,
        readback: pixels.max(latents),
        upload: pixels.max(latents),
        encoder_weights: 4 * (network.sampler.posterior_numbers() + encoder) as u64,
        encoder_image: pixels + latents,
        frames: pixels * network.architecture.time_steps as u64,
        largest: latents.max(maps[0]).max(maps[1]).max(pixels),
    }
}

#[cfg(all(test, feature = "bundled"))]
#[allow(clippy::print_stderr, reason = "what is skipped is said")]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::gpu::{Gpu, adapters, required_limits};
    use crate::{Checkpoint, Generator, Job, Outputs};

    /// What allocators round up to.
    const GRAIN: u64 = 16 << 10;

    fn network() -> Network {
        Network::new(&Checkpoint::bundled("faces").expect("bundled").expect("valid")).expect("valid")
    }

    fn size(n: u64) -> NonZeroUsize {
        NonZeroUsize::new(n as usize).expect("not 0")
    }

    /// By the counter of the device; what is done is freed first.
    fn bytes(gpu: &Gpu) -> u64 {
        gpu.device().poll(wgpu::PollType::wait_indefinitely()).expect("done");
        gpu.device().get_internal_counters().hal.buffer_memory.read() as u64
    }

    /// Devices that count, of their own: what other tests allocate counts, too.
    fn devices(network: &Network) -> Vec<Gpu> {
        let mut devices = Vec::new();
        for adapter in pollster::block_on(adapters()) {
            let gpu =
                pollster::block_on(Gpu::request(&adapter, &required_limits(network))).expect("a device");
            let before = bytes(&gpu);
            let buffer = gpu.buffer("test", 1 << 20, wgpu::BufferUsages::STORAGE);
            if bytes(&gpu) - before < buffer.size() {
                eprintln!("{}: does not count bytes", gpu.name());
                continue;
            }
            devices.push(gpu);
        }
        devices
    }

    fn generator(gpu: &Gpu, network: &Network, batch: u64) -> Generator {
        pollster::block_on(Generator::builder(network).batch(size(batch)).gpu(gpu)).expect("a generator")
    }

    /// Weights, and what another image adds; of generation, and of encoding besides.
    #[test]
    fn a_generator_takes_what_the_formula_says() {
        let network = network();
        let Memory { weights, image, readback, upload, encoder_weights, encoder_image, .. } =
            memory(&network);
        let pixels = network.architecture().image_bytes();
        for gpu in devices(&network) {
            let made = |batch: u64| {
                let before = bytes(&gpu);
                let generator = generator(&gpu, &network, batch);
                // Once a batch was read back the weights' way there is free again.
                generator.generate(0, 0..batch).expect("images");
                let generates = bytes(&gpu) - before;
                // One will do: there is room for all of a batch.
                generator.encode(&vec![37; pixels], 0, 0).expect("latents");
                (generates, bytes(&gpu) - before - generates)
            };
            let (small, large) = (made(4), made(20));
            // A slot that has room for an input is another than one that has none.
            let encoded = encoder_image + readback + upload;
            for (what, small, large, each, weights) in [
                ("generation", small.0, large.0, image + readback, weights),
                ("encoding", small.1, large.1, encoded, encoder_weights),
            ] {
                let (grown, expected) = (large - small, 16 * each);
                let name = gpu.name();
                assert!(grown.abs_diff(expected) <= GRAIN, "{name}, {what}: {grown} bytes, not {expected}");
                let rest = small - 4 * each;
                let close = rest.abs_diff(weights) < weights / 20;
                assert!(close, "{name}, {what}: {rest} of weights, not {weights}");
            }
        }
    }

    /// Of batches in flight, as many as are kept.
    #[test]
    fn what_batches_in_flight_took_is_trimmed() {
        const BATCH: u64 = 4;
        // A slot or two is all there is besides.
        const GRAIN: u64 = 2 << 10;
        let network = network();
        let Memory { readback, upload, frames, .. } = memory(&network);
        // SwiftShader takes its time, and its memory is counted by the same code.
        for gpu in devices(&network).iter().filter(|gpu| !gpu.name().contains("SwiftShader")) {
            let name = gpu.name();
            let is = |what: &str, found: u64, expected: u64| {
                assert!(found.abs_diff(expected) <= GRAIN, "{name}, {what}: {found} bytes, not {expected}");
            };
            let generator = generator(gpu, &network, BATCH);
            let latents = generator.sample_latents(7, 0..BATCH).expect("latents");
            // There is one slot without an upload, and one with.
            generator.decode(&latents).expect("images");
            let before = bytes(gpu);

            // Frames are T times as large as images.
            let job = || Job::latents(&latents).giving(Outputs::frames());
            let mut task = generator.start(job()).expect("a task");
            let mut most = 0;
            while task.try_next().is_pending() {
                let counters = gpu.device().get_internal_counters();
                most = most.max(counters.hal.buffer_memory.read() as u64 - before);
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            drop(task);
            assert!(most > 0, "{name}: nothing was in flight");
            // Latents are on their way through a buffer of the queue's.
            is("frames in flight", most, BATCH * (frames + upload + 4 * latents.channels() as u64));
            for _ in 0..3 {
                generator.frames(&latents).expect("frames");
            }
            is("frames that are done", bytes(gpu), before);

            let job = Job::prior(7, 0..8 * BATCH).expect("a range").in_flight(size(8));
            generator.start(job).expect("a task").wait().expect("images");
            is("eight batches that are done", bytes(gpu) - before, 2 * BATCH * readback);
        }
    }
}
