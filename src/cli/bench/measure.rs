//! The measurements of one backend, in the order in which they are made.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use fsvae::gpu::Variant;
use fsvae::{Generator, Gpu, Images, Network, StreamOptions, instruction_set, wgpu};
use indicatif::ProgressBar;

use super::keep::Keeper;

use super::energy::Meters;
use super::place::{Place, generator};
use super::sampling::{nanoseconds, sample, warm_up};
use super::schema::{Dispatch, Energy, Kernels, Outcome, Peaks, Point, Scores, Verified};
use super::statistics::median;
use super::verify::{Reference, Unfit, verify};
use crate::cli::tuning::{self, Found};

/// How much is measured.
#[derive(Clone, Debug)]
pub(super) struct Effort {
    pub(super) seed: u64,
    /// What was asked for, or what is tried in turn.
    pub(super) batches: Vec<NonZeroUsize>,
    /// Whether to stop where larger batches bring nothing.
    pub(super) until_best: bool,
    /// The least that a point takes.
    pub(super) point: Duration,
    /// The most that warming up takes.
    pub(super) warm_up: Duration,
    /// Batches of a stream in flight. A sample is of as many, because they may come in pairs.
    pub(super) in_flight: NonZeroUsize,
    /// Images of the batches by which the kernels' variant is chosen, if not the usual ones.
    pub(super) calibration: Option<usize>,
    /// The work of a roofline's dispatch.
    pub(super) roofline: Duration,
}

/// A larger batch that brings less than this factor brings nothing.
const WORTHWHILE: f64 = 1.03;
/// What is used to measure one backend.
struct Session<'a> {
    network: &'a Network,
    gpu: Option<Gpu>,
    variant: Variant,
    effort: &'a Effort,
    reference: &'a mut Reference,
    meters: Meters,
    verified: Verified,
    progress: &'a ProgressBar,
    keeper: &'a Keeper,
    name: String,
}

pub(super) fn measure(
    place: &Place,
    network: &Network,
    effort: &Effort,
    reference: &mut Reference,
    progress: &ProgressBar,
    keeper: &Keeper,
) -> Outcome {
    keeper.begin(place);
    match scores(place, network, effort, reference, progress, keeper) {
        Ok(scores) => Outcome::Ok(Box::new(scores)),
        Err(Unfit::Wrong(reason)) => Outcome::Wrong { reason },
        Err(Unfit::Failed(error)) => Outcome::Failed { reason: error.to_string() },
    }
}

fn scores(
    place: &Place,
    network: &Network,
    effort: &Effort,
    reference: &mut Reference,
    progress: &ProgressBar,
    keeper: &Keeper,
) -> Result<Scores, Unfit> {
    let name = place.name();
    progress.set_message(format!("{name}: opening"));
    // The only start that is cold is the first, so it is timed before its image is looked at.
    let start = Instant::now();
    let gpu = place.open(network)?;
    let mut single = generator(gpu.as_ref(), network, NonZeroUsize::MIN, Variant::default())?;
    single.generate(effort.seed, 0..1)?;
    let cold_start = start.elapsed();

    progress.set_message(format!("{name}: comparing images"));
    let expected = match place {
        Place::Cpu => reference.known().to_vec(),
        Place::Gpu(..) => reference.expected()?,
    };
    let verified = verify(&expected, |seed, index| Ok(single.generate(seed, index..=index)?.into_bytes()))?;
    keeper.so_far(|partial| (partial.verified, partial.cold_start_ns) = (verified, nanoseconds(cold_start)));

    progress.set_message(format!("{name}: choosing kernels"));
    let calibration = match &gpu {
        None => None,
        Some(gpu) => match effort.calibration {
            // As for any other command, which it is remembered for.
            None => Some(tuning::make(gpu, network)?),
            Some(batch) => Some(tuning::measure(gpu, network, batch)?),
        },
    };
    let variant = calibration.as_ref().map(Found::variant).unwrap_or_default();
    if variant != Variant::default() {
        single = generator(gpu.as_ref(), network, NonZeroUsize::MIN, variant)?;
    }

    let meters = Meters::new(gpu.as_ref());
    let mut session =
        Session { network, gpu, variant, effort, reference, meters, verified, progress, keeper, name };
    let latency = session.latency(&mut single)?;
    drop(single);
    let throughput = session.throughput()?;
    let kernels = session.kernels(best(&throughput))?;
    session.say("additions and bytes a second");
    let peaks = match &session.gpu {
        None => fsvae::roofline::cpu(effort.roofline),
        Some(gpu) => fsvae::roofline::gpu(gpu, effort.roofline)?,
    };
    Ok(Scores {
        verified: session.verified,
        instructions: session.gpu.is_none().then(|| instruction_set().into()),
        calibration,
        cold_start_ns: nanoseconds(cold_start),
        latency_ns: latency,
        throughput,
        kernels,
        peaks: Peaks {
            additions: peaks.additions,
            multiply_adds: peaks.multiply_adds,
            bytes: peaks.bytes,
            device_clock: peaks.device_clock,
        },
    })
}

impl Session<'_> {
    fn say(&self, what: &str) {
        self.progress.set_message(format!("{}: {what}", self.name));
    }

    /// Times of one image after the other, none begun before the last was there.
    fn latency(&mut self, generator: &mut Generator) -> Result<Vec<u64>, Unfit> {
        self.say("latency");
        let (mut index, mut last) = (0, None);
        let mut run = || {
            last = Some(generator.generate(self.effort.seed, index..=index)?);
            index += 1;
            Ok(())
        };
        warm_up(self.effort.warm_up, &mut run)?;
        let samples = sample(self.effort.point, &mut run)?;
        self.check(last)?;
        self.keeper.so_far(|partial| {
            (partial.verified, partial.latency_ns) = (self.verified, samples.clone());
        });
        Ok(samples)
    }

    fn check(&mut self, images: Option<Images>) -> Result<(), Unfit> {
        if let Some(images) = images {
            self.verified.with_cpu += self.reference.check_batch(&images)?.with_cpu;
        }
        Ok(())
    }

    fn throughput(&mut self) -> Result<Vec<Point>, Unfit> {
        let mut points: Vec<Point> = Vec::new();
        let mut fruitless = 0;
        for &batch in &self.effort.batches {
            self.say(&format!("throughput at batch {batch}"));
            let before = points.iter().map(images_per_second).fold(0.0, f64::max);
            let Some(point) = self.point(batch)? else { break };
            fruitless = if images_per_second(&point) < WORTHWHILE * before { fruitless + 1 } else { 0 };
            points.push(point);
            self.keeper.so_far(|partial| {
                (partial.verified, partial.throughput) = (self.verified, points.clone());
            });
            if self.effort.until_best && fruitless == 2 {
                break;
            }
        }
        Ok(points)
    }

    /// `None` if the device cannot make so many images at once.
    fn point(&mut self, batch: NonZeroUsize) -> Result<Option<Point>, Unfit> {
        let generator = generator(self.gpu.as_ref(), self.network, batch, self.variant)?;
        let batch = batch.get();
        if generator.batch() < batch {
            return Ok(None);
        }
        let in_flight = self.effort.in_flight;
        let options = StreamOptions { in_flight, ..StreamOptions::throughput() };
        let mut stream = generator.stream_with(options, self.effort.seed, ..)?;
        let mut last = None;
        let mut run = || {
            for _ in 0..in_flight.get() {
                last = stream.next().transpose()?;
            }
            Ok(())
        };
        warm_up(self.effort.warm_up, &mut run)?;
        let before = self.meters.read();
        let samples_ns = sample(self.effort.point, &mut run)?;
        let energy: Vec<Energy> = self.meters.since(&before);
        drop(stream);
        self.check(last)?;
        Ok(Some(Point { batch, images_per_sample: in_flight.get() * batch, samples_ns, energy }))
    }

    /// Times of the dispatches of the best batch.
    fn kernels(&mut self, best: Option<&Point>) -> Result<Option<Kernels>, Unfit> {
        let timestamps = |gpu: &Gpu| gpu.device().features().contains(wgpu::Features::TIMESTAMP_QUERY);
        if !self.gpu.as_ref().is_some_and(timestamps) {
            return Ok(None);
        }
        let Some(batch) = best.and_then(|point| NonZeroUsize::new(point.batch)) else { return Ok(None) };
        self.say("kernels");
        let generator = generator(self.gpu.as_ref(), self.network, batch, self.variant)?;
        let (mut first, mut dispatches) = (0, Vec::<Dispatch>::new());
        let mut run = || {
            let times = pollster::block_on(generator.timings(self.effort.seed, first))?.unwrap_or_default();
            first += batch.get() as u64;
            for (at, time) in times.iter().enumerate() {
                if dispatches.len() == at {
                    let layers = layers(self.network, times.len(), at);
                    dispatches.push(Dispatch { kernel: time.kernel.into(), layers, samples_ns: Vec::new() });
                }
                dispatches[at].samples_ns.push(nanoseconds(time.time));
            }
            Ok(())
        };
        warm_up(self.effort.warm_up, &mut run)?;
        let kept = sample(self.effort.point, &mut run)?.len();
        for dispatch in &mut dispatches {
            let warm = dispatch.samples_ns.len() - kept;
            dispatch.samples_ns.drain(..warm);
        }
        Ok(Some(Kernels { batch: batch.get(), dispatches }))
    }
}

/// The layers of generation that the `at`-th of `count` dispatches computes: the first draws the latents with the whole
/// prior, and each other is a layer. Nothing where the dispatches are not like that.
fn layers(network: &Network, count: usize, at: usize) -> Vec<String> {
    let names: Vec<String> = network.layers_of_generation().iter().map(|layer| layer.name.clone()).collect();
    let prior = names.iter().position(|name| name == "decoder_input").unwrap_or(0);
    match at {
        _ if names.len() + 1 != count + prior => Vec::new(),
        0 => names[..prior].to_vec(),
        _ => vec![names[at + prior - 1].clone()],
    }
}

pub(super) fn images_per_second(point: &Point) -> f64 {
    1e9 * point.images_per_sample as f64 / median(&point.samples_ns)
}

/// The point of most images a second.
pub(super) fn best(points: &[Point]) -> Option<&Point> {
    points.iter().max_by(|a, b| images_per_second(a).total_cmp(&images_per_second(b)))
}
