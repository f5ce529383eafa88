//! Which variant of the kernels is fastest on a device for a network.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::device::Gpu;
use super::drive;
use super::engine::Engine;
use super::model::Model;
use super::variant::Variant;
use crate::cpu::Cpu;
use crate::error::{Error, Result};
use crate::network::Network;

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
        let model = Arc::new(Model::new(gpu, network, variant).await?);
        let mut engine = Engine::new(&model, batch.get(), 1)?;
        times.push((variant, time(&mut engine, &expected)?));
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
fn time(engine: &mut Engine, expected: &[u8]) -> Result<Option<Duration>> {
    let mut pixels = Vec::new();
    engine.drive_images(PROBE, drive::prior(SEED, 0), &mut pixels)?;
    if pixels != expected {
        return Ok(None);
    }
    let batch = engine.capacity();
    let mut shortest = Duration::MAX;
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        pixels.clear();
        let start = Instant::now();
        engine.drive_images(batch, drive::prior(SEED, 0), &mut pixels)?;
        shortest = shortest.min(start.elapsed() / batch as u32);
        if begin.elapsed() > LONG {
            break;
        }
    }
    Ok(Some(shortest))
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
            let model = pollster::block_on(Model::new(gpu, &network, Variant::default())).expect("a model");
            let mut engine = Engine::new(&Arc::new(model), 1, 1).expect("an engine");
            assert!(time(&mut engine, &images).expect("it runs").is_some(), "{}", gpu.name());
            let mut wrong = images.clone();
            *wrong.last_mut().expect("pixels") ^= 1;
            assert_eq!(time(&mut engine, &wrong).expect("it runs"), None, "{}", gpu.name());
        }
    }
}
