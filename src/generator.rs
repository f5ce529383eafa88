//! What users hold: images from a network, on either backend.

use std::num::NonZeroUsize;
use std::ops::RangeBounds;
use std::sync::Arc;

use crate::architecture::Architecture;
use crate::cpu::Cpu;
use crate::error::{Error, Result};
use crate::gpu::{self, Engine, Gpu, Layout, Model, Product, Recording, Target, Variant, drive};
use crate::images::Images;
use crate::indices::Indices;
use crate::latents::Latents;
use crate::network::Network;
use crate::stream::{ImageStream, Order, StreamOptions};

/// Images of a batch on the CPU and on software adapters, unless the builder says otherwise.
const DEFAULT_BATCH: usize = 64;

/// Images of a batch on a GPU, which has thousands of lanes to fill, unless the builder says otherwise.
const DEFAULT_GPU_BATCH: usize = 256;

/// Batches of a generator's own calls that are in flight at once.
const DEPTH: usize = 2;

/// Bytes of pixels of a batch on the CPU: more would take memory and gain nothing.
const LARGEST_CPU_BATCH: usize = 1 << 26;

/// Generates images. An image is a function of the network, the seed and its index, and of nothing
/// else: not of the backend, the batch, or what was generated before.
#[derive(Debug)]
pub struct Generator {
    architecture: Architecture,
    backend: Backend,
    batch: usize,
    fallback: Option<String>,
}

#[derive(Debug)]
enum Backend {
    Cpu(Arc<Cpu>),
    Gpu(Box<Engine>),
}

/// Options of a [`Generator`] that are the same on all backends.
#[derive(Clone, Copy, Debug)]
pub struct Builder<'a> {
    network: &'a Network,
    batch: Option<NonZeroUsize>,
    most: NonZeroUsize,
    variant: Variant,
}

impl Builder<'_> {
    /// How many images are made at once: by default 256 on a GPU, 64 on the CPU and on software adapters. It
    /// decides speed and memory, never pixels. Fewer are made where memory or a GPU's limits ask for it.
    pub fn batch(self, batch: NonZeroUsize) -> Self {
        Builder { batch: Some(batch), ..self }
    }

    /// Makes no room for more images than will be asked for at once.
    pub fn at_most(self, images: NonZeroUsize) -> Self {
        Builder { most: images, ..self }
    }

    /// Which variant of the layers' kernels a GPU runs: what [`calibrate`](gpu::calibrate) found, say. It decides speed,
    /// never pixels.
    pub fn variant(self, variant: Variant) -> Self {
        Builder { variant, ..self }
    }

    fn batch_or(self, default: usize) -> usize {
        self.batch.map_or(default, NonZeroUsize::get).min(self.most.get())
    }

    /// A generator on the CPU, which always works.
    pub fn cpu(self) -> Generator {
        Generator {
            architecture: self.network.architecture.clone(),
            backend: Backend::Cpu(Arc::new(Cpu::new(self.network))),
            batch: self
                .batch_or(DEFAULT_BATCH)
                .min(LARGEST_CPU_BATCH / self.network.architecture.image_bytes())
                .max(1),
            fallback: None,
        }
    }

    /// A generator on a GPU.
    ///
    /// # Errors
    /// [`Error::DeviceLimit`] if the network does not fit the device, [`Error::Gpu`] if the device
    /// is out of memory or cannot compile the kernels.
    pub async fn gpu(self, gpu: &Gpu) -> Result<Generator> {
        let software = gpu::is_software(gpu.info());
        let batch = self.batch_or(if software { DEFAULT_BATCH } else { DEFAULT_GPU_BATCH });
        let model = Arc::new(Model::new(gpu, self.network, self.variant).await?);
        let engine = Engine::new(&model, batch, DEPTH)?;
        Ok(Generator {
            architecture: self.network.architecture.clone(),
            batch: engine.capacity(),
            backend: Backend::Gpu(Box::new(engine)),
            fallback: None,
        })
    }

    /// A generator on the adapter of highest performance, or on the CPU where that is a software
    /// adapter, missing, or does not fit; [`Generator::fallback`] then says why. `WGPU_BACKEND`
    /// limits the choice, and an adapter that `WGPU_ADAPTER_NAME` names is taken even if it is
    /// software.
    pub async fn auto(self) -> Generator {
        match self.auto_gpu().await {
            Ok(generator) => generator,
            Err(reason) => Generator { fallback: Some(reason), ..self.cpu() },
        }
    }

    async fn auto_gpu(self) -> Result<Generator, String> {
        let text = |error: Error| error.to_string();
        let adapters = gpu::adapters().await;
        let adapter = gpu::auto_adapter(&adapters)?;
        let gpu = Gpu::request(adapter, &gpu::required_limits(self.network)).await.map_err(text)?;
        self.gpu(&gpu).await.map_err(text)
    }
}

impl Generator {
    /// Starts the choice of a backend.
    pub fn builder(network: &Network) -> Builder<'_> {
        Builder { network, batch: None, most: NonZeroUsize::MAX, variant: Variant::default() }
    }

    /// A generator on the best backend there is; see [`Builder::auto`]. It waits for the GPU's
    /// driver, so browsers use the builder.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(network: &Network) -> Self {
        pollster::block_on(Generator::builder(network).auto())
    }

    /// The sizes of the network.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Images that are made at once.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The GPU it runs on; `None` on the CPU.
    pub fn gpu(&self) -> Option<&Gpu> {
        match &self.backend {
            Backend::Cpu(_) => None,
            Backend::Gpu(engine) => Some(&engine.model().gpu),
        }
    }

    /// The backend in one phrase, such as `CPU` or `NVIDIA H200 (Vulkan)`.
    pub fn backend_name(&self) -> String {
        self.gpu().map_or_else(|| "CPU".into(), Gpu::name)
    }

    /// The variant of the layers' kernels; `None` on the CPU.
    pub fn variant(&self) -> Option<Variant> {
        match &self.backend {
            Backend::Cpu(_) => None,
            Backend::Gpu(engine) => Some(engine.model().variant),
        }
    }

    /// Why [`Builder::auto`] took the CPU, if it did.
    pub fn fallback(&self) -> Option<&str> {
        self.fallback.as_deref()
    }

    /// The images of a range of indices, such as `0..64` or `u64::MAX..=u64::MAX`, in index order.
    ///
    /// # Errors
    /// [`Error::Range`] if the range starts past `u64::MAX` or its images do not fit in memory; the
    /// device's errors.
    pub fn generate(&mut self, seed: u64, range: impl RangeBounds<u64>) -> Result<Images> {
        let Indices { next: first, remaining } = Indices::new(range)?;
        let mut pixels = Vec::new();
        let count = reserve(&mut pixels, remaining, self.architecture.image_bytes())?;
        match &mut self.backend {
            Backend::Cpu(cpu) => {
                pixels.resize(count * self.architecture.image_bytes(), 0);
                cpu.generate(seed, first, &mut pixels);
            }
            Backend::Gpu(engine) => engine.drive_images(count, drive::prior(seed, first), &mut pixels)?,
        }
        Ok(self.images(first, pixels))
    }

    /// The latents that [`Generator::generate`] draws for the same seed and range.
    ///
    /// # Errors
    /// As [`Generator::generate`].
    pub fn sample_latents(&mut self, seed: u64, range: impl RangeBounds<u64>) -> Result<Latents> {
        let Indices { next: first, remaining } = Indices::new(range)?;
        let mut words = Vec::new();
        let count = reserve(&mut words, remaining, self.architecture.latent_channels)?;
        match &mut self.backend {
            Backend::Cpu(cpu) => {
                words.resize(count * self.architecture.latent_channels, 0);
                cpu.sample(seed, first, &mut words);
            }
            Backend::Gpu(engine) => engine.drive_latents(count, drive::prior(seed, first), &mut words)?,
        }
        self.latents(words)
    }

    /// Encodes images, u8 `[n, side, side, channels]`, and draws their latents from the posterior. The
    /// n-th image has index `first` + n.
    ///
    /// # Errors
    /// [`Error::Pixels`] if these are not whole images, [`Error::Range`] if the indices pass
    /// `u64::MAX`; the device's errors.
    pub fn encode(&mut self, pixels: &[u8], seed: u64, first: u64) -> Result<Latents> {
        let count = self.check_images(pixels, first)?;
        let channels = self.architecture.latent_channels;
        let mut words = Vec::new();
        match &mut self.backend {
            Backend::Cpu(cpu) => {
                words.resize(count * channels, 0);
                cpu.encode(pixels, seed, first, &mut words);
            }
            Backend::Gpu(engine) => {
                engine.prepare_encoder()?;
                let source = drive::posterior(pixels, self.architecture.image_bytes(), seed, first);
                engine.drive_latents(count, source, &mut words)?;
            }
        }
        self.latents(words)
    }

    /// The images of some latents, with indices from 0 on.
    ///
    /// # Errors
    /// [`Error::Latents`] if they are of another T or C; the device's errors.
    pub fn decode(&mut self, latents: &Latents) -> Result<Images> {
        self.check_latents(latents)?;
        let mut pixels = Vec::new();
        match &mut self.backend {
            Backend::Cpu(cpu) => {
                pixels.resize(latents.len() * self.architecture.image_bytes(), 0);
                cpu.decode(latents.words(), &mut pixels);
            }
            Backend::Gpu(engine) => {
                engine.drive_images(latents.len(), drive::given(latents), &mut pixels)?;
            }
        }
        Ok(self.images(0, pixels))
    }

    /// Encodes and decodes images, u8 `[n, side, side, channels]`; the n-th has index `first` + n. The
    /// same as [`Generator::decode`] of [`Generator::encode`], without the way through the host.
    ///
    /// # Errors
    /// As [`Generator::encode`].
    pub fn reconstruct(&mut self, pixels: &[u8], seed: u64, first: u64) -> Result<Images> {
        let count = self.check_images(pixels, first)?;
        let mut result = Vec::new();
        match &mut self.backend {
            Backend::Cpu(cpu) => {
                let mut words = vec![0; count * self.architecture.latent_channels];
                cpu.encode(pixels, seed, first, &mut words);
                result.resize(pixels.len(), 0);
                cpu.decode(&words, &mut result);
            }
            Backend::Gpu(engine) => {
                engine.prepare_encoder()?;
                let source = drive::posterior(pixels, self.architecture.image_bytes(), seed, first);
                engine.drive_images(count, source, &mut result)?;
            }
        }
        Ok(self.images(first, result))
    }

    /// The T pictures that the membrane of the readout passes through while some latents are decoded,
    /// each as if the run ended after that time step (integer machine, section 6). One [`Images`] a
    /// time step, with a picture for each latent; the last is [`Generator::decode`]'s.
    ///
    /// # Errors
    /// As [`Generator::decode`].
    pub fn frames(&mut self, latents: &Latents) -> Result<Vec<Images>> {
        self.check_latents(latents)?;
        let (steps, image) = (self.architecture.time_steps, self.architecture.image_bytes());
        let mut frames = vec![Vec::with_capacity(latents.len() * image); steps];
        match &mut self.backend {
            Backend::Cpu(cpu) => {
                let mut pictures = vec![0; latents.len() * steps * image];
                cpu.frames(latents.words(), &mut pictures);
                for (at, picture) in pictures.chunks(image).enumerate() {
                    frames[at % steps].extend_from_slice(picture);
                }
            }
            Backend::Gpu(engine) => {
                engine.drive(latents.len(), Product::Frames, drive::given(latents), |images, bytes| {
                    for (frame, pictures) in frames.iter_mut().zip(bytes.chunks(images * image)) {
                        frame.extend_from_slice(pictures);
                    }
                })?;
            }
        }
        Ok(frames.into_iter().map(|pixels| self.images(0, pixels)).collect())
    }

    /// The images of a range of indices as they come, in index order: an iterator, and a
    /// [`futures_core::Stream`]. It has its own memory on the device and goes on when this generator does other things.
    ///
    /// # Errors
    /// [`Error::Range`] if the range starts past `u64::MAX`, [`Error::Gpu`] if the device is out of memory.
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
        let order = Order {
            seed,
            batch: options.batch.map_or(self.batch, NonZeroUsize::get),
            depth: options.in_flight.get(),
            indices: Indices::new(range)?,
        };
        match &self.backend {
            Backend::Cpu(cpu) => Ok(ImageStream::on_cpu(cpu, &self.architecture, order)),
            Backend::Gpu(engine) => ImageStream::on_gpu(engine.model(), &self.architecture, order),
        }
    }

    /// Records the generation of images into commands of the application, which submits them. Nothing is submitted
    /// or waited for here. Recordings share this generator's memory on the device and may be submitted in any order.
    ///
    /// # Errors
    /// [`Error::Target`] if the target does not fit or the generator is on the CPU, [`Error::Range`] for 2^32 images
    /// and more; the device's errors. Nothing was recorded then.
    pub fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        seed: u64,
        range: impl RangeBounds<u64>,
        target: Target<'_>,
    ) -> Result<Layout> {
        let (engine, recording) = self.recording(seed, range)?;
        engine.record(encoder, recording, target)
    }

    /// Records the T pictures that the readout's membrane passes through (see [`Generator::frames`]), each time step
    /// into a target of its own; the last are the images.
    ///
    /// # Errors
    /// As [`Generator::record`], and [`Error::Target`] if there are not T targets.
    pub fn record_frames(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        seed: u64,
        range: impl RangeBounds<u64>,
        targets: &[Target<'_>],
    ) -> Result<Layout> {
        let (engine, recording) = self.recording(seed, range)?;
        engine.record_frames(encoder, recording, targets)
    }

    fn recording(&mut self, seed: u64, range: impl RangeBounds<u64>) -> Result<(&mut Engine, Recording)> {
        let Indices { next: first, remaining } = Indices::new(range)?;
        let count = u32::try_from(remaining)
            .map_err(|_| Error::Range(format!("{remaining} images are too many to record at once")))?;
        match &mut self.backend {
            Backend::Gpu(engine) => Ok((engine, Recording { seed, first, count })),
            Backend::Cpu(_) => {
                Err(Error::Target("expected a generator on a GPU, this one is on the CPU".into()))
            }
        }
    }

    /// How long each dispatch of a batch of generation takes, by the GPU's own clock: images `first` and on, as many
    /// as [`Generator::batch`]. `None` on the CPU and where the device has no timestamps
    /// ([`wgpu::Features::TIMESTAMP_QUERY`]). Waits.
    ///
    /// # Errors
    /// The device's errors.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn timings(&mut self, seed: u64, first: u64) -> Result<Option<Vec<gpu::KernelTime>>> {
        match &self.backend {
            Backend::Cpu(_) => Ok(None),
            Backend::Gpu(engine) => engine.timings(seed, first, self.batch),
        }
    }

    /// The same generator on another device, after this one was lost, say. The images stay the same.
    ///
    /// # Errors
    /// As [`Builder::gpu`]; the generator is then as it was.
    pub async fn rebuild(&mut self, gpu: &Gpu) -> Result<()> {
        let (network, variant) = match &self.backend {
            Backend::Cpu(cpu) => (cpu.network(), Variant::default()),
            Backend::Gpu(engine) => (&engine.model().network, engine.model().variant),
        };
        let batch = NonZeroUsize::new(self.batch);
        let builder = Builder { batch, variant, ..Generator::builder(network) };
        *self = builder.gpu(gpu).await?;
        Ok(())
    }

    fn check_images(&self, pixels: &[u8], first: u64) -> Result<usize> {
        let count = self.architecture.check_pixels(pixels.len())?;
        if first.checked_add((count as u64).saturating_sub(1)).is_none() {
            return Err(Error::Range(format!("{count} images from index {first} on pass {}", u64::MAX)));
        }
        Ok(count)
    }

    fn check_latents(&self, latents: &Latents) -> Result<()> {
        latents.check(self.architecture.time_steps, self.architecture.latent_channels)
    }

    fn latents(&self, words: Vec<u32>) -> Result<Latents> {
        Latents::from_words(self.architecture.time_steps, self.architecture.latent_channels, words)
    }

    fn images(&self, first: u64, pixels: Vec<u8>) -> Images {
        let (side, channels) = (self.architecture.image_side(), self.architecture.image_channels);
        Images { first, side, channels, pixels }
    }
}

/// Makes room for `count` things of `size` elements, and says how many things that are.
fn reserve<T>(elements: &mut Vec<T>, count: u128, size: usize) -> Result<usize> {
    let things = usize::try_from(count).ok();
    let fits = things.filter(|things| {
        things.checked_mul(size).is_some_and(|total| elements.try_reserve_exact(total).is_ok())
    });
    fits.ok_or_else(|| Error::Range(format!("{count} images do not fit in memory; use batches")))
}
