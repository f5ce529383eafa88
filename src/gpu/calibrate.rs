//! Which variant of the kernels is fastest on a device for a network.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::backend::GpuBackend;
use super::device::Gpu;
use super::pace::Clock;
use super::variant::Variant;
use crate::backend::Backend;
use crate::cpu::Cpu;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::network::Network;
use crate::task::Task;

/// Images that a variant has to get right before it is timed.
const PROBE: usize = 4;
/// Batches that are timed, unless that takes too long.
const ROUNDS: usize = 3;
const LONG: Duration = Duration::from_millis(500);
const SEED: u64 = 7;

/// What [`calibrate`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calibration {
    /// The fastest of those that are right.
    pub best: Variant,
    /// The shortest time of an image; `None` for a variant whose images are wrong on this device.
    pub times: Vec<(Variant, Option<Duration>)>,
}

/// Tries every variant on a network in batches of `batch` images: compares a few images with the CPU's, then measures.
/// Takes seconds on a slow adapter. The CPU is busy while it lasts.
///
/// # Errors
/// [`Error::Gpu`] if no variant makes the right images; the device's errors.
pub async fn calibrate(gpu: &Gpu, network: &Network, batch: NonZeroUsize) -> Result<Calibration> {
    let bytes = network.architecture.image_bytes();
    let mut expected = vec![0; PROBE * bytes];
    Cpu::new(network).generate(SEED, 0, &mut expected);

    let mut times = Vec::new();
    for variant in Variant::ALL {
        let backend = GpuBackend::new(gpu, network, variant, batch.get(), None).await?;
        times.push((variant, time(&backend, &expected).await?));
    }
    let best =
        times.iter().filter_map(|&(variant, time)| Some((time?, variant))).min_by_key(|&(time, _)| time);
    let Some((_, best)) = best else {
        let message = "no variant of the kernels makes the CPU's images".into();
        return Err(Error::Gpu { adapter: gpu.name(), message });
    };
    Ok(Calibration { best, times })
}

/// The shortest time of an image, or `None` if the first images are not the expected ones.
async fn time(backend: &GpuBackend, expected: &[u8]) -> Result<Option<Duration>> {
    if generate(backend, PROBE).await? != expected {
        return Ok(None);
    }
    let mut shortest = Duration::MAX;
    let begin = Clock::now();
    for _ in 0..ROUNDS {
        let start = Clock::now();
        generate(backend, backend.batch()).await?;
        shortest = shortest.min(Clock::now().since(start) / backend.batch() as u32);
        if Clock::now().since(begin) > LONG {
            break;
        }
    }
    Ok(Some(shortest))
}

async fn generate(backend: &GpuBackend, images: usize) -> Result<Vec<u8>> {
    let part = Task::new(backend, Job::prior(SEED, 0..images as u64)?)?.finish().await?;
    Ok(part.images.map(crate::Images::into_bytes).unwrap_or_default())
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use super::*;
    use crate::Checkpoint;
    use crate::gpu::testing::gpus;

    #[test]
    fn a_variant_with_a_wrong_bit_has_no_time() {
        let network =
            Network::new(&Checkpoint::bundled("mnist").expect("bundled").expect("valid")).expect("valid");
        let mut images = vec![0; PROBE * network.architecture.image_bytes()];
        Cpu::new(&network).generate(SEED, 0, &mut images);
        for gpu in gpus() {
            let backend = GpuBackend::new(gpu, &network, Variant::default(), 1, None);
            let backend = pollster::block_on(backend).expect("a model");
            let time = |images: &[u8]| pollster::block_on(time(&backend, images)).expect("it runs");
            assert!(time(&images).is_some(), "{}", gpu.name());
            let mut wrong = images.clone();
            *wrong.last_mut().expect("pixels") ^= 1;
            assert_eq!(time(&wrong), None, "{}", gpu.name());
        }
    }
}
