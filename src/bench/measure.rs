//! The measurements of one backend, in the order in which they are made.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::event::{Event, Meter, Row, Step};
use super::place::Place;
use super::plan::Plan;
use super::reference::{Reference, Unfit, verify};
use super::sampling::{nanoseconds, sample, since, warm_up};
use super::schema::{Dispatch, Kernels, Partial, Peaks, Point, Scores};
use super::statistics::median;
use super::{Bench, Found, run};
use crate::cpu::vectors::instruction_set;
use crate::error::Result;
use crate::generator::Generator;
use crate::gpu::{Clock, Gpu, Variant, Variants};
use crate::images::Images;
use crate::network::Network;
use crate::stream::StreamOptions;

/// A larger batch that brings less than this factor brings nothing.
const WORTHWHILE: f64 = 1.03;
/// Samples' worth of time that a point needs at least: to fill the stream, to warm up, one that counts, and what is in
/// flight at the end.
const LEAST_SAMPLES: f64 = 4.0;
/// Of a budget, when choosing the kernels' variant, measuring batches and measuring kernels should be over.
const CHOSEN: f64 = 0.3;
const BATCHES_DONE: f64 = 0.75;
const KERNELS_DONE: f64 = 0.9;

/// Batches that a calibration makes of each variant on a slow adapter, about.
const CALIBRATIONS: f64 = 2.0;

/// What is used to measure one backend.
struct Session<'a> {
    network: &'a Network,
    gpu: Option<Gpu>,
    variants: Variants,
    plan: &'a Plan,
    reference: &'a Reference,
    meter: &'a mut dyn Meter,
    tell: &'a mut dyn FnMut(Event<'_>),
    begin: Clock,
    /// What is known.
    known: Partial,
    left_out: Vec<String>,
}

pub(super) async fn scores(
    bench: &Bench,
    place: &Place,
    meter: &mut dyn Meter,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<Scores, Unfit> {
    let Bench { network, plan, reference } = bench;
    tell(Event::Begins(Step::Opening));
    // The only start that is cold is the first, so it is timed before its image is looked at.
    let begin = Clock::now();
    let gpu = place.open(network).await?;
    let single = generator(gpu.as_ref(), network, NonZeroUsize::MIN, Variants::default()).await?;
    run::images(&single, plan.seed, 0, 1).await?;
    let cold_start_ns = nanoseconds(since(begin));

    tell(Event::Begins(Step::Comparing));
    let expected = match place {
        Place::Cpu => reference.known().to_vec(),
        Place::Gpu(..) => reference.expected().await?,
    };
    let start = Clock::now();
    let verified =
        verify(&expected, async |seed, index| Ok(run::images(&single, seed, index, 1).await?.into_bytes()))
            .await?;
    let image = since(start) / expected.len().max(1) as u32;
    let known = Partial { verified, cold_start_ns, ..Partial::default() };
    let left_out = Vec::new();
    let mut session = Session {
        network,
        gpu,
        variants: Variants::default(),
        plan,
        reference,
        meter,
        tell,
        begin,
        known,
        left_out,
    };
    session.measured(Row::FirstImage);

    let calibration = session.choose(image).await?;
    let single = match &calibration {
        Some(found) if found.variants() != session.variants => {
            session.variants = found.variants();
            drop(single);
            generator(session.gpu.as_ref(), network, NonZeroUsize::MIN, session.variants).await?
        }
        _ => single,
    };
    session.latency(single).await?;
    session.throughput().await?;
    let kernels = session.kernels().await?;
    let peaks = session.peaks(bench)?;
    Ok(Scores {
        verified: session.known.verified,
        instructions: session.gpu.is_none().then(|| instruction_set().into()),
        calibration,
        cold_start_ns,
        latency_ns: session.known.latency_ns,
        throughput: session.known.throughput,
        kernels,
        peaks,
        left_out: session.left_out,
    })
}

impl Session<'_> {
    fn begins(&mut self, step: Step) {
        (self.tell)(Event::Begins(step));
    }

    fn measured(&mut self, row: Row<'_>) {
        (self.tell)(Event::Measured { row, so_far: &self.known });
    }

    fn leave_out(&mut self, what: String) {
        self.measured(Row::LeftOut(&what));
        self.left_out.push(what);
    }

    /// How long is left until this share of the budget is over; without one, for ever.
    fn left(&self, share: f64) -> Duration {
        self.plan
            .budget
            .map_or(Duration::MAX, |budget| budget.mul_f64(share).saturating_sub(since(self.begin)))
    }

    async fn warm_up(&self, until: f64, run: &mut impl AsyncFnMut() -> Result<()>) -> Result<()> {
        warm_up(self.plan.warm_up.min(self.left(until)), run).await
    }

    async fn sample(&self, until: f64, run: &mut impl AsyncFnMut() -> Result<()>) -> Result<Vec<u64>> {
        let Plan { point, patience, .. } = *self.plan;
        sample(point, (point * patience).min(self.left(until)), run).await
    }

    /// The fastest variants of the kernels, where there are kernels. An image alone takes so long.
    async fn choose(&mut self, image: Duration) -> Result<Option<Found>> {
        let Some(gpu) = self.gpu.clone() else { return Ok(None) };
        self.begins(Step::Choosing);
        let usual = self.plan.calibration.unwrap_or_else(|| Found::usual_batch(gpu.info()));
        // A variant makes a few images alone, and some batches.
        let affordable = self.left(CHOSEN).as_secs_f64() / (Variant::ALL.len() as f64 * image.as_secs_f64());
        let batch = usual.min(NonZeroUsize::MIN.saturating_add((affordable / CALIBRATIONS) as usize));
        let found = Found::calibrate(&gpu, self.network, batch).await?;
        self.measured(Row::Chosen(&found));
        Ok(Some(found))
    }

    /// Times of one image after the other, none begun before the last was there.
    async fn latency(&mut self, generator: Generator) -> Result<(), Unfit> {
        self.begins(Step::Latency);
        let (mut index, mut last) = (0, None);
        let mut run = async || {
            last = Some(run::images(&generator, self.plan.seed, index, 1).await?);
            index += 1;
            Ok(())
        };
        self.warm_up(BATCHES_DONE, &mut run).await?;
        let samples = self.sample(BATCHES_DONE, &mut run).await?;
        self.check(last).await?;
        self.known.latency_ns.clone_from(&samples);
        self.measured(Row::Latency(&samples));
        Ok(())
    }

    async fn check(&mut self, images: Option<Images>) -> Result<(), Unfit> {
        if let Some(images) = images {
            self.known.verified.with_cpu += self.reference.check_batch(&images).await?.with_cpu;
        }
        Ok(())
    }

    async fn throughput(&mut self) -> Result<(), Unfit> {
        let (mut fruitless, mut best) = (0, 0.0);
        let mut image = median(&self.known.latency_ns);
        for &batch in &self.plan.batches {
            let least = LEAST_SAMPLES * image * (self.plan.in_flight.get() * batch.get()) as f64 / 1e9;
            let too_long = least > self.left(BATCHES_DONE).as_secs_f64();
            if self.plan.until_best && !self.known.throughput.is_empty() && too_long {
                self.leave_out(format!("batches of {batch} and more"));
                break;
            }
            self.begins(Step::Throughput(batch.get()));
            let Some(point) = self.point(batch).await? else {
                // Growing batches only grow; of those that were asked for, others may fit.
                if self.plan.until_best { break } else { continue }
            };
            let rate = point.images_per_second().unwrap_or(0.0);
            fruitless = if rate < WORTHWHILE * best { fruitless + 1 } else { 0 };
            best = rate.max(best);
            image = median(&point.samples_ns) / point.images_per_sample as f64;
            self.known.throughput.push(point.clone());
            self.measured(Row::Throughput(&point));
            if self.plan.until_best && fruitless == 2 {
                break;
            }
        }
        Ok(())
    }

    /// `None` if the device cannot make so many images at once.
    async fn point(&mut self, batch: NonZeroUsize) -> Result<Option<Point>, Unfit> {
        let generator = generator(self.gpu.as_ref(), self.network, batch, self.variants).await?;
        let batch = batch.get();
        if generator.batch() < batch {
            return Ok(None);
        }
        let in_flight = self.plan.in_flight;
        let options = StreamOptions { in_flight, ..StreamOptions::throughput() };
        let mut stream = generator.stream_with(options, self.plan.seed, ..)?;
        let mut last = None;
        let mut run = async || {
            for _ in 0..in_flight.get() {
                last = run::next(&mut stream).await.transpose()?;
            }
            Ok(())
        };
        self.warm_up(BATCHES_DONE, &mut run).await?;
        self.meter.start();
        let samples_ns = self.sample(BATCHES_DONE, &mut run).await?;
        let energy = self.meter.used();
        drop(stream);
        self.check(last).await?;
        Ok(Some(Point { batch, images_per_sample: in_flight.get() * batch, samples_ns, energy }))
    }

    /// Times of the dispatches of the best batch.
    async fn kernels(&mut self) -> Result<Option<Kernels>, Unfit> {
        let timestamps = |gpu: &Gpu| gpu.device().features().contains(wgpu::Features::TIMESTAMP_QUERY);
        if !self.gpu.as_ref().is_some_and(timestamps) {
            return Ok(None);
        }
        let Some((best, rate)) = Point::best(&self.known.throughput) else { return Ok(None) };
        let Some(batch) = NonZeroUsize::new(best.batch) else { return Ok(None) };
        if LEAST_SAMPLES * batch.get() as f64 / rate > self.left(1.0).as_secs_f64() {
            self.leave_out("the time of each kernel".into());
            return Ok(None);
        }
        self.begins(Step::Kernels);
        let generator = generator(self.gpu.as_ref(), self.network, batch, self.variants).await?;
        let (mut first, mut dispatches) = (0, Vec::<Dispatch>::new());
        let mut run = async || {
            let times = generator.timings(self.plan.seed, first).await?.unwrap_or_default();
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
        self.warm_up(KERNELS_DONE, &mut run).await?;
        let kept = self.sample(KERNELS_DONE, &mut run).await?.len();
        for dispatch in &mut dispatches {
            let warm = dispatch.samples_ns.len() - kept;
            dispatch.samples_ns.drain(..warm);
        }
        let kernels = Kernels { batch: batch.get(), dispatches };
        self.measured(Row::Kernels(&kernels));
        Ok(Some(kernels))
    }

    /// The limits of the device. Browsers' are not measured.
    #[cfg(target_arch = "wasm32")]
    fn peaks(&mut self, _: &Bench) -> Result<Option<Peaks>> {
        Ok(None)
    }

    /// The limits of the device, which its images did not exceed.
    #[cfg(not(target_arch = "wasm32"))]
    fn peaks(&mut self, bench: &Bench) -> Result<Option<Peaks>> {
        self.begins(Step::Limits);
        let target = self.plan.roofline;
        let additions = bench.operations()?.least_additions();
        let done = Point::best(&self.known.throughput).map_or(0.0, |(_, rate)| additions * rate);
        let measured = super::limits::at_least(done, || match &self.gpu {
            None => Ok(crate::roofline::cpu(target)),
            Some(gpu) => crate::roofline::gpu(gpu, target),
        });
        let crate::roofline::Peaks { additions, multiply_adds, bytes, device_clock } = measured?;
        let peaks = Peaks { additions, multiply_adds, bytes, device_clock };
        self.measured(Row::Peaks(&peaks));
        Ok(Some(peaks))
    }
}

/// A generator that makes `batch` images at once, or as many as the device can.
async fn generator(
    gpu: Option<&Gpu>,
    network: &Network,
    batch: NonZeroUsize,
    variants: Variants,
) -> Result<Generator> {
    let builder = Generator::builder(network).batch(batch).variants(variants);
    match gpu {
        None => Ok(builder.cpu()),
        Some(gpu) => builder.gpu(gpu).await,
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
