//! What users hold: images from a network, on either backend.

use std::ops::RangeBounds;
use std::sync::Arc;

use crate::architecture::Architecture;
use crate::backend::Backend;
use crate::builder::{Builder, Options};
use crate::error::{Error, Result};
use crate::family::Family;
use crate::gpu::{self, Gpu, GpuBackend, Layout, Origin, Target, Variants};
use crate::job::{Job, Outputs};
use crate::network::Network;
use crate::stream::{ImageStream, StreamOptions};
use crate::task::Task;
#[cfg(not(target_arch = "wasm32"))]
use crate::{images::Images, latents::Latents, rates::Rates};

/// Generates images. An image is a function of the network, the seed and its index, and of nothing
/// else: not of the backend, the batch, or what was generated before.
///
/// [`Generator::start`] starts any [`Job`]; many may be under way at a time. The other methods are short ways to common
/// ones. Those that wait do not exist in browsers.
#[derive(Debug)]
pub struct Generator {
    backend: Arc<dyn Backend>,
    options: Options,
    fallback: Option<String>,
}

impl Generator {
    /// Starts the choice of a backend.
    pub fn builder(network: &Network) -> Builder<'_> {
        Builder::new(network)
    }

    pub(crate) fn on(backend: Arc<dyn Backend>, options: Options, fallback: Option<String>) -> Self {
        Generator { backend, options, fallback }
    }

    /// A generator on the best backend there is; see [`Builder::auto`]. It waits for the GPU's driver.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(network: &Network) -> Self {
        pollster::block_on(Generator::builder(network).auto())
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    /// The sizes of the network.
    pub fn architecture(&self) -> &Architecture {
        &self.backend.network().architecture
    }

    /// Images that are made at once, at most.
    pub fn batch(&self) -> usize {
        self.backend.batch()
    }

    /// The GPU it runs on; `None` on the CPU.
    pub fn gpu(&self) -> Option<&Gpu> {
        self.backend.gpu().map(GpuBackend::device)
    }

    /// The backend in one phrase, such as `CPU` or `NVIDIA H200 (Vulkan)`.
    pub fn backend_name(&self) -> String {
        self.gpu().map_or_else(|| "CPU".into(), Gpu::name)
    }

    /// The variants of the layers' kernels; `None` on the CPU.
    pub fn variants(&self) -> Option<Variants> {
        self.backend.gpu().map(GpuBackend::variants)
    }

    /// Why [`Builder::auto`] took the CPU, if it did.
    pub fn fallback(&self) -> Option<&str> {
        self.fallback.as_deref()
    }

    /// Compiles what encoding and recording need, too, so that the first use of them is as fast as the second. Drivers do
    /// it on other threads meanwhile. On the CPU there is nothing to do.
    ///
    /// # Errors
    /// The device's errors.
    pub async fn prepare(&self) -> Result<()> {
        let Some(gpu) = self.backend.gpu() else { return Ok(()) };
        gpu.prepare().await
    }

    /// Starts a job. Nothing is computed before the task is asked for its first part.
    ///
    /// # Errors
    /// [`Error::Pixels`] if the pixels to encode are not whole images, [`Error::Latents`] if the latents are of another T
    /// or C, [`Error::Range`] if the indices pass `u64::MAX`, [`Error::Layer`] if spikes are wanted of a layer that is not
    /// there.
    pub fn start<'a>(&self, job: Job<'a>) -> Result<Task<'a>> {
        Task::new(self.backend(), job)
    }

    /// The images of a range of indices, such as `0..64` or `u64::MAX..=u64::MAX`, in index order.
    ///
    /// # Errors
    /// [`Error::Range`] if the range starts past `u64::MAX` or its images do not fit in memory; the
    /// device's errors.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn generate(&self, seed: u64, range: impl RangeBounds<u64>) -> Result<Images> {
        wanted(self.start(Job::prior(seed, range)?)?.wait()?.images)
    }

    /// The latents that [`Generator::generate`] draws for the same seed and range.
    ///
    /// # Errors
    /// As [`Generator::generate`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn sample_latents(&self, seed: u64, range: impl RangeBounds<u64>) -> Result<Latents> {
        wanted(self.start(Job::prior(seed, range)?.giving(Outputs::latents()))?.wait()?.latents)
    }

    /// Encodes images, u8 `[n, side, side, channels]`, and draws their latents from the posterior. The
    /// n-th image has index `first` + n.
    ///
    /// # Errors
    /// [`Error::Pixels`] if these are not whole images, [`Error::Range`] if the indices pass
    /// `u64::MAX`; the device's errors.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn encode(&self, pixels: &[u8], seed: u64, first: u64) -> Result<Latents> {
        wanted(self.start(Job::posterior(pixels, seed, first).giving(Outputs::latents()))?.wait()?.latents)
    }

    /// The rates of images, u8 `[n, side, side, channels]`, as the encoder has them: how often each channel of its last
    /// layer spikes (ESVAE), or the latents that [`Generator::encode`] draws for the same seed and index (FSVAE).
    ///
    /// # Errors
    /// As [`Generator::encode`], and [`Error::Range`] if there are no images.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn encode_rates(&self, pixels: &[u8], seed: u64, first: u64) -> Result<Rates> {
        Rates::of_part(self.start(self.rates_job(pixels, seed, first))?.wait()?)
    }

    /// The job of [`Generator::encode_rates`], to be awaited; [`Rates::of_part`] has what it is for.
    pub fn rates_job<'a>(
        &self,
        pixels: impl Into<std::borrow::Cow<'a, [u8]>>,
        seed: u64,
        first: u64,
    ) -> Job<'a> {
        let outputs = match self.architecture().family {
            Family::Esvae => Outputs::spikes(["before_latent_layer"]),
            Family::Fsvae { .. } => Outputs::latents(),
        };
        Job::posterior(pixels, seed, first).giving(outputs)
    }

    /// The images of some latents, with indices from 0 on.
    ///
    /// # Errors
    /// [`Error::Latents`] if they are of another T or C; the device's errors.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn decode(&self, latents: &Latents) -> Result<Images> {
        wanted(self.start(Job::latents(latents))?.wait()?.images)
    }

    /// Encodes and decodes images, u8 `[n, side, side, channels]`; the n-th has index `first` + n. The
    /// same as [`Generator::decode`] of [`Generator::encode`], without the way through the host.
    ///
    /// # Errors
    /// As [`Generator::encode`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn reconstruct(&self, pixels: &[u8], seed: u64, first: u64) -> Result<Images> {
        wanted(self.start(Job::posterior(pixels, seed, first))?.wait()?.images)
    }

    /// The T pictures that the membrane of the readout passes through while some latents are decoded,
    /// each as if the run ended after that time step (integer machine, section 6). One [`Images`] a
    /// time step, with a picture for each latent; the last is [`Generator::decode`]'s.
    ///
    /// # Errors
    /// As [`Generator::decode`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn frames(&self, latents: &Latents) -> Result<Vec<Images>> {
        wanted(self.start(Job::latents(latents).giving(Outputs::frames()))?.wait()?.frames)
    }

    /// The images of a range of indices as they come, in index order: an iterator, and a
    /// [`futures_core::Stream`].
    ///
    /// # Errors
    /// [`Error::Range`] if the range starts past `u64::MAX`.
    pub fn stream(&self, seed: u64, range: impl RangeBounds<u64>) -> Result<ImageStream> {
        self.stream_with(StreamOptions::throughput(), seed, range)
    }

    /// [`Generator::stream`] for latency, or of a certain batch and number of batches in flight.
    ///
    /// # Errors
    /// As [`Generator::stream`].
    pub fn stream_with(
        &self,
        options: StreamOptions,
        seed: u64,
        range: impl RangeBounds<u64>,
    ) -> Result<ImageStream> {
        let job = Job::prior(seed, range)?.in_flight(options.in_flight);
        let job = options.batch.map_or(job.clone(), |batch| job.batch(batch));
        Ok(ImageStream::new(self.start(job)?, self.backend.network(), self.options))
    }

    /// Records a job into commands of the application, which submits them, when it likes and in any order. Nothing is
    /// submitted or waited for here. Recordings share this generator's memory on the device.
    ///
    /// # Errors
    /// [`Error::Target`] if an origin or a target does not fit or the generator is on the CPU, [`Error::Layer`] for spikes
    /// of a layer that is not there, [`Error::Range`] if the indices pass `u64::MAX`; the device's errors. Nothing was
    /// recorded then.
    pub fn record(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        origin: Origin<'_>,
        targets: &[Target<'_>],
    ) -> Result<Layout> {
        let gpu = self.recorder()?;
        gpu.record(encoder, origin, &at_step(gpu.last_step(), targets))
    }

    /// Records a job part by part, so that no submission takes longer than the [budget](Builder::budget): of the images from
    /// the `done`-th on as many as fit it, into their places in the targets. Returns how many are done with these commands:
    /// the `done` of the next call, with the same origin and targets. The first call says 0; the last returns the origin's
    /// count.
    ///
    /// How many fit is known from this generator's own batches; [`Generator::measure`] sees to that. Before, a part is one
    /// image. Where the builder was told a [batch](Builder::batch), a part is one.
    ///
    /// # Errors
    /// As [`Generator::record`], and [`Error::Target`] if more are done than there are.
    pub fn record_part(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        origin: Origin<'_>,
        targets: &[Target<'_>],
        done: u32,
    ) -> Result<u32> {
        let gpu = self.recorder()?;
        gpu.record_part(encoder, origin, &at_step(gpu.last_step(), targets), done)
    }

    /// Makes batches of images until it is known how many fit the [budget](Builder::budget) of a submission; their number.
    /// On the CPU there is nothing to measure.
    ///
    /// # Errors
    /// The device's errors.
    pub async fn measure(&self) -> Result<usize> {
        let Some(gpu) = self.backend.gpu() else { return Ok(self.batch()) };
        // The first submissions of a device are slow.
        let mut steady = 0;
        while steady < 3 {
            let fits = gpu.fits_of_the_prior();
            self.start(Job::prior(0, 0..fits as u64)?)?.finish().await?;
            steady = if gpu.fits_of_the_prior() > fits { 0 } else { steady + 1 };
        }
        Ok(gpu.fits_of_the_prior())
    }

    /// [`Generator::record`] as commands to submit, for applications that do not hand out their encoder.
    ///
    /// # Errors
    /// As [`Generator::record`].
    pub fn commands(
        &self,
        origin: Origin<'_>,
        targets: &[Target<'_>],
    ) -> Result<(wgpu::CommandBuffer, Layout)> {
        let gpu = self.recorder()?;
        gpu.commands(origin, &at_step(gpu.last_step(), targets))
    }

    /// Records the T pictures that the readout's membrane passes through (see [`Outputs::frames`](crate::Outputs::frames)),
    /// each time step into a target of its own; the last are the images.
    ///
    /// # Errors
    /// As [`Generator::record`], and [`Error::Target`] if there are not T targets.
    pub fn record_frames(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        origin: Origin<'_>,
        targets: &[Target<'_>],
    ) -> Result<Layout> {
        let (gpu, steps) = (self.recorder()?, self.architecture().time_steps);
        if targets.len() != steps {
            let found = targets.len();
            return Err(Error::Target(format!("expected {steps} targets, one a time step, found {found}")));
        }
        gpu.record(encoder, origin, &targets.iter().copied().enumerate().collect::<Vec<_>>())
    }

    fn recorder(&self) -> Result<&GpuBackend> {
        let cpu = || Error::Target("expected a generator on a GPU, this one is on the CPU".into());
        self.backend.gpu().ok_or_else(cpu)
    }

    /// How long each dispatch of a batch of generation takes, by the GPU's own clock: images `first` and on, as many
    /// as [`Generator::batch`]. `None` on the CPU and where the device has no timestamps
    /// ([`wgpu::Features::TIMESTAMP_QUERY`]).
    ///
    /// # Errors
    /// The device's errors.
    pub async fn timings(&self, seed: u64, first: u64) -> Result<Option<Vec<gpu::KernelTime>>> {
        let Some(gpu) = self.backend.gpu() else { return Ok(None) };
        gpu.timings(seed, first, gpu.batch()).await
    }

    /// The same generator, with the builder's options, on another device, after this one was lost, say. The images stay the
    /// same.
    ///
    /// # Errors
    /// As [`Builder::gpu`]; the generator is then as it was.
    pub async fn rebuild(&mut self, gpu: &Gpu) -> Result<()> {
        *self = Builder::with(self.backend.network(), self.options).gpu(gpu).await?;
        Ok(())
    }
}

fn at_step<'a>(step: usize, targets: &[Target<'a>]) -> Vec<(usize, Target<'a>)> {
    targets.iter().map(|&target| (step, target)).collect()
}

/// What a job was asked for is in its parts.
#[cfg(not(target_arch = "wasm32"))]
fn wanted<T>(output: Option<T>) -> Result<T> {
    output.ok_or_else(|| unreachable!("a part has what its job gives"))
}
