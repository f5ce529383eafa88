//! Which variants of the kernels are fastest on a device for a network.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::adapters::is_software;
use super::backend::GpuBackend;
use super::device::Gpu;
use super::pace::Clock;
#[cfg(not(target_arch = "wasm32"))]
use super::timing::is_wrapped;
use super::variant::Variant;
use super::variants::{Size, Variants};
use crate::backend::Backend;
use crate::cpu::Cpu;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::network::Network;
use crate::task::Task;

/// Images that a variant has to get right before it is timed, one alone and all at once: a batch of each [`Size`].
const PROBE: usize = 6;
/// Measurements of a kind, unless that takes too long. Each is of as many runs as clocks that are not fine can tell, a
/// browser's say.
const ROUNDS: u32 = 3;
const FINE: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_millis(250);
/// If an image takes longer, it is not measured more often than it must be, nor each layer by itself: minutes would go by.
const SLOW: Duration = Duration::from_millis(100);
/// What is no faster than by so much may well be noise.
const NOTABLE: f64 = 0.97;
const SEED: u64 = 7;

/// What [`calibrate`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calibration {
    /// The fastest of those that are right: for each layer, where the layers were timed and their best are better
    /// together, too; else one for batches of each size.
    pub best: Variants,
    /// The times of each variant for all layers; `None` for one whose images are wrong on this device.
    pub times: Vec<(Variant, Option<Times>)>,
    /// The sampler, as `sampler`, and the decoder's layers in their order.
    pub layers: Vec<LayerTimes>,
    /// The times of the best of each together, where that is no single variant.
    pub mixed: Option<Times>,
}

/// The shortest of some times of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Of one alone.
    pub single: Duration,
    /// Of one of many that are made at once.
    pub batch: Duration,
}

/// A layer's times by the device's own clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerTimes {
    /// Its name in checkpoints; `sampler` for what draws latents.
    pub layer: String,
    /// Of the variants that are right; nothing in browsers, and where the device has no clock or takes long for an image.
    pub times: Vec<(Variant, Times)>,
}

impl Times {
    #[cfg(not(target_arch = "wasm32"))]
    fn shorter(self, other: Times) -> Times {
        Times { single: self.single.min(other.single), batch: self.batch.min(other.batch) }
    }

    fn of(&self, size: Size) -> Duration {
        match size {
            Size::Small => self.single,
            Size::Large => self.batch,
        }
    }
}

/// Tries every variant on a network (but [`Variant::Shared`] on an adapter in software), one image at a time and in batches of `batch`: compares a few images with the CPU's,
/// then measures, each layer by itself where the device has a clock and an image does not take a tenth of a second. The best
/// are measured again, for whatever else a machine does slows some of them down. Takes a second or two, on a slow adapter
/// more. The CPU is busy while it lasts.
///
/// # Errors
/// [`Error::Gpu`] if no variant makes the right images; the device's errors.
pub async fn calibrate(gpu: &Gpu, network: &Network, batch: NonZeroUsize) -> Result<Calibration> {
    let batch = batch.get();
    let mut expected = vec![0; PROBE * network.architecture.image_bytes()];
    Cpu::new(network).generate(SEED, 0, &mut expected);

    let decoder = network.decoder.iter().map(|layer| layer.name.clone());
    let names = std::iter::once(Calibration::SAMPLER.into()).chain(decoder);
    let layers = names.map(|layer| LayerTimes { layer, times: Vec::new() }).collect();
    let (best, times) = (Variants::default(), Vec::new());
    let mut found = Calibration { best, times, layers, mixed: None };
    // An adapter in software is never idle, and takes several times as long to share.
    let tried = |variant: &Variant| *variant != Variant::Shared || !is_software(gpu.info());
    for variant in Variant::ALL.into_iter().filter(tried) {
        let backend = GpuBackend::new(gpu, network, variant.into(), batch, None).await?;
        let times = time(&backend, &expected).await?;
        found.times.push((variant, times));
        #[cfg(not(target_arch = "wasm32"))]
        found.time_layers(variant, &backend).await?;
    }
    #[cfg(not(target_arch = "wasm32"))]
    found.measure_again(gpu, network, batch, &expected).await?;

    let Some(uniform) = uniform(&found.right(), found.layers.len()) else {
        let message = "no variant of the kernels makes the CPU's images".into();
        return Err(Error::Gpu { adapter: gpu.name(), message });
    };
    found.best = uniform;
    #[cfg(not(target_arch = "wasm32"))]
    found.mix(gpu, network, batch, &expected).await?;
    Ok(found)
}

/// Each layer by itself. In browsers there is none of it, for the module is to be small.
#[cfg(not(target_arch = "wasm32"))]
impl Calibration {
    async fn time_layers(&mut self, variant: Variant, backend: &GpuBackend) -> Result<()> {
        if !self.is_quick(variant) {
            return Ok(());
        }
        for (layer, times) in self.layers.iter_mut().zip(time_layers(backend).await?) {
            match layer.times.iter_mut().find(|(known, _)| *known == variant) {
                Some((_, known)) => *known = known.shorter(times),
                None => layer.times.push((variant, times)),
            }
        }
        Ok(())
    }

    /// The fastest and the usual one, where an image does not take long: another program may have slowed one of them down.
    async fn measure_again(
        &mut self,
        gpu: &Gpu,
        network: &Network,
        batch: usize,
        expected: &[u8],
    ) -> Result<()> {
        let right = self.right();
        let mut again = vec![Variant::default()];
        for (variant, _) in Size::ALL.into_iter().filter_map(|size| fastest(&right, size)) {
            if !again.contains(&variant) {
                again.push(variant);
            }
        }
        again.retain(|&variant| self.is_quick(variant));
        for variant in again {
            let backend = GpuBackend::new(gpu, network, variant.into(), batch, None).await?;
            let times = time(&backend, expected).await?;
            if let Some((_, known)) = self.times.iter_mut().find(|(known, _)| *known == variant) {
                *known = known.zip(times).map(|(known, times)| known.shorter(times));
            }
            self.time_layers(variant, &backend).await?;
        }
        Ok(())
    }

    /// Tries the best of each layer together, and takes them where they are faster.
    async fn mix(&mut self, gpu: &Gpu, network: &Network, batch: usize, expected: &[u8]) -> Result<()> {
        let (uniform, count) = (self.best, self.layers.len());
        let mut mixture = mixture(uniform, &self.layers);
        if Size::of(batch) == Size::Small {
            // Of large batches nothing was measured but small ones.
            (0..count).for_each(|place| mixture.set(place, Size::Large, uniform.at(place, Size::Large)));
        }
        if mixture != uniform {
            let backend = GpuBackend::new(gpu, network, mixture, batch, None).await?;
            self.mixed = time(&backend, expected).await?;
            if let Some(mixed) = self.mixed {
                self.best = faster(uniform, &self.right(), (mixture, mixed), count);
            }
        }
        Ok(())
    }

    fn is_quick(&self, variant: Variant) -> bool {
        self.right().iter().any(|(known, times)| *known == variant && times.single < SLOW)
    }
}

impl Calibration {
    /// What the sampler is called among the layers.
    pub(crate) const SAMPLER: &'static str = "sampler";

    /// The variants that are right.
    fn right(&self) -> Vec<(Variant, Times)> {
        self.times.iter().filter_map(|&(variant, times)| Some((variant, times?))).collect()
    }
}

fn fastest(times: &[(Variant, Times)], size: Size) -> Option<(Variant, Duration)> {
    times.iter().map(|(variant, times)| (*variant, times.of(size))).min_by_key(|&(_, time)| time)
}

fn notably_faster(time: Duration, than: Duration) -> bool {
    time < than.mul_f64(NOTABLE)
}

/// The fastest; or the usual one, if that is right and none is notably faster.
fn best(times: &[(Variant, Times)], usual: Variant, size: Size) -> Option<Variant> {
    let (fastest, time) = fastest(times, size)?;
    let usual = times.iter().find(|(variant, _)| *variant == usual);
    let usual = usual.filter(|(_, times)| !notably_faster(time, times.of(size)));
    Some(usual.map_or(fastest, |&(variant, _)| variant))
}

/// One variant for all places in batches of a size. All else runs the one that is best in large batches. So what is best in
/// small ones was timed with other readouts, unless both have their loops counted or neither has.
fn uniform(right: &[(Variant, Times)], places: usize) -> Option<Variants> {
    let rest = best(right, Variant::default(), Size::Large)?;
    let alike = right.iter().copied().filter(|(variant, _)| variant.loops() == rest.loops());
    let small = best(&alike.collect::<Vec<_>>(), rest, Size::Small)?;
    let mut variants = Variants::from(rest);
    (0..places).for_each(|place| variants.set(place, Size::Small, small));
    Some(variants)
}

/// The best variant of each layer.
#[cfg(not(target_arch = "wasm32"))]
fn mixture(uniform: Variants, layers: &[LayerTimes]) -> Variants {
    let mut variants = uniform;
    for (at, layer) in layers.iter().enumerate() {
        for size in Size::ALL {
            if let Some(variant) = best(&layer.times, uniform.at(at, size), size) {
                variants.set(at, size, variant);
            }
        }
    }
    variants
}

/// Of one variant and a mixture, what is faster in batches of each size.
#[cfg(not(target_arch = "wasm32"))]
fn faster(
    uniform: Variants,
    right: &[(Variant, Times)],
    (mixture, mixed): (Variants, Times),
    places: usize,
) -> Variants {
    let mut best = uniform;
    for size in Size::ALL {
        if fastest(right, size).is_some_and(|(_, time)| notably_faster(mixed.of(size), time)) {
            (0..places).for_each(|place| best.set(place, size, mixture.at(place, size)));
        }
    }
    best
}

/// The shortest times of an image, or `None` if the first images are not the expected ones.
async fn time(backend: &GpuBackend, expected: &[u8]) -> Result<Option<Times>> {
    let (image, batch) = (expected.len() / PROBE, backend.batch());
    let mut probed = Duration::ZERO;
    for images in [1, batch.min(PROBE)] {
        let start = Clock::now();
        if generate(backend, images).await? != expected[..images * image] {
            return Ok(None);
        }
        probed = Clock::now().since(start) / images as u32;
    }
    let single = shortest(async || generate(backend, 1).await.map(drop)).await?;
    if single >= SLOW {
        return Ok(Some(Times { single, batch: probed }));
    }
    let all = shortest(async || generate(backend, batch).await.map(drop)).await?;
    Ok(Some(Times { single, batch: all / batch as u32 }))
}

/// The shortest of some runs.
async fn shortest(run: impl AsyncFn() -> Result<()>) -> Result<Duration> {
    let (mut shortest, mut runs, mut rounds) = (Duration::MAX, 1, 0);
    let begin = Clock::now();
    while shortest == Duration::MAX || (rounds < ROUNDS && Clock::now().since(begin) < LONG) {
        let start = Clock::now();
        for _ in 0..runs {
            run().await?;
        }
        let took = Clock::now().since(start);
        if took < FINE {
            runs *= 2;
        } else {
            shortest = shortest.min(took / runs);
            rounds += 1;
        }
    }
    Ok(shortest)
}

/// The shortest times of the sampler and the decoder's layers; nothing where the device has no clock.
#[cfg(not(target_arch = "wasm32"))]
async fn time_layers(backend: &GpuBackend) -> Result<Vec<Times>> {
    let mut sizes = Vec::new();
    for images in [1, backend.batch()] {
        let mut shortest: Vec<Duration> = Vec::new();
        let begin = Clock::now();
        for _ in 0..ROUNDS {
            let found = match backend.timings(SEED, 0, images).await {
                Ok(Some(found)) => found,
                Ok(None) => return Ok(Vec::new()),
                Err(error) if is_wrapped(&error) => return Ok(Vec::new()),
                Err(error) => return Err(error),
            };
            // The last makes pixels.
            let layers = &found[..found.len() - 1];
            shortest.resize(layers.len(), Duration::MAX);
            for (shortest, found) in shortest.iter_mut().zip(layers) {
                *shortest = found.time.min(*shortest);
            }
            if Clock::now().since(begin) > LONG {
                break;
            }
        }
        sizes.push(shortest.into_iter().map(|time| time / images as u32).collect::<Vec<_>>());
    }
    let pairs = sizes[0].iter().zip(&sizes[1]);
    Ok(pairs.map(|(&single, &batch)| Times { single, batch }).collect())
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
            let backend = GpuBackend::new(gpu, &network, Variant::default().into(), PROBE, None);
            let backend = pollster::block_on(backend).expect("a model");
            let time = |images: &[u8]| pollster::block_on(time(&backend, images)).expect("it runs");
            assert!(time(&images).is_some(), "{}", gpu.name());
            let mut wrong = images.clone();
            *wrong.last_mut().expect("pixels") ^= 1;
            assert_eq!(time(&wrong), None, "{}", gpu.name());
        }
    }

    fn times(single: u64, batch: u64) -> Times {
        Times { single: Duration::from_micros(single), batch: Duration::from_micros(batch) }
    }

    #[test]
    fn each_layer_and_size_has_the_fastest_if_they_are_faster_together() {
        use Variant::{Dense, Events, Quads};
        let right = [(Dense, times(9, 9)), (Events, times(5, 8)), (Quads, times(7, 4))];
        let uniform = uniform(&right, 2).expect("some are right");
        assert_eq!(uniform, Variants::from(Quads).with_sampler(1, Events).with(0, 1, Events));
        let layer = |times: [Times; 3]| LayerTimes {
            layer: "decoder.0".into(),
            times: [Dense, Events, Quads].into_iter().zip(times).collect(),
        };
        let layers =
            [layer([times(1, 3), times(2, 2), times(3, 2)]), layer([times(3, 3), times(4, 1), times(2, 2)])];
        let mixed = mixture(uniform, &layers);
        let of = |size| [mixed.at(0, size), mixed.at(1, size)];
        // Of two that take the same time, it stays with the one for all.
        assert_eq!((of(Size::Small), of(Size::Large)), ([Dense, Quads], [Quads, Events]));
        let better = |single, batch| faster(uniform, &right, (mixed, times(single, batch)), 2);
        assert_eq!(better(5, 4), uniform);
        // Nor is what may be noise.
        let noisy = [(Events, times(100, 100)), (Quads, times(98, 98))];
        let layer = LayerTimes { layer: "decoder.0".into(), times: noisy.to_vec() };
        assert_eq!(mixture(Events.into(), &[layer]), Events.into());
        assert_eq!(better(4, 3), mixed);
        assert_eq!(better(4, 4), uniform.with_sampler(1, Dense).with(0, 1, Quads));
        // Without a clock there is nothing to mix.
        assert_eq!(mixture(uniform, &[]), uniform);
    }
}
