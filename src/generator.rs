//! What users hold: images from a network, on either backend.

use std::num::NonZeroUsize;
use std::ops::{Bound, RangeBounds};

use crate::architecture::Architecture;
use crate::cpu::Cpu;
use crate::error::{Error, Result};
use crate::gpu::{self, Engine, Gpu, Product, Source};
use crate::images::Images;
use crate::latents::Latents;
use crate::network::Network;

/// Images of a batch unless the builder says otherwise.
const DEFAULT_BATCH: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not 0");

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
    Cpu(Box<Cpu>),
    Gpu(Box<Engine>),
}

/// Options of a [`Generator`] that are the same on all backends.
#[derive(Clone, Copy, Debug)]
pub struct Builder<'a> {
    network: &'a Network,
    batch: NonZeroUsize,
}

impl Builder<'_> {
    /// How many images are made at once, 64 by default. It decides speed and memory, never pixels.
    /// Fewer are made where memory or a GPU's limits ask for it.
    pub fn batch(self, batch: NonZeroUsize) -> Self {
        Builder { batch, ..self }
    }

    /// A generator on the CPU, which always works.
    pub fn cpu(self) -> Generator {
        Generator {
            architecture: self.network.architecture.clone(),
            backend: Backend::Cpu(Box::new(Cpu::new(self.network))),
            batch: self.batch.get().min(LARGEST_CPU_BATCH / self.network.architecture.image_bytes()).max(1),
            fallback: None,
        }
    }

    /// A generator on a GPU.
    ///
    /// # Errors
    /// [`Error::DeviceLimit`] if the network does not fit the device, [`Error::Gpu`] if the device
    /// is out of memory or cannot compile the kernels.
    pub async fn gpu(self, gpu: &Gpu) -> Result<Generator> {
        let engine = Engine::new(gpu, self.network, self.batch.get()).await?;
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
        Builder { network, batch: DEFAULT_BATCH }
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
            Backend::Gpu(engine) => Some(engine.gpu()),
        }
    }

    /// The backend in one phrase, such as `CPU` or `NVIDIA H200 (Vulkan)`.
    pub fn backend_name(&self) -> String {
        self.gpu().map_or_else(|| "CPU".into(), Gpu::name)
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
        let indices = Indices::new(range)?;
        let mut pixels = Vec::new();
        reserve(&mut pixels, indices.remaining, self.architecture.image_bytes())?;
        let first = indices.next;
        let mut batches = Batches { generator: self, seed, to_submit: indices, to_collect: indices };
        while batches.advance(&mut pixels)? > 0 {}
        drop(batches);
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
            Backend::Gpu(engine) => {
                let source = |at: usize, _| Source::Prior { seed, first: first + at as u64 };
                drive_latents(engine, count, &self.architecture, source, &mut words)?;
            }
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
                let source = posterior(pixels, self.architecture.image_bytes(), seed, first);
                drive_latents(engine, count, &self.architecture, source, &mut words)?;
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
                let batch = engine.capacity();
                drive(engine, latents.len(), batch, Product::Images, given(latents), |_, bytes| {
                    pixels.extend_from_slice(bytes);
                })?;
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
                let source = posterior(pixels, self.architecture.image_bytes(), seed, first);
                let batch = engine.capacity();
                drive(engine, count, batch, Product::Images, source, |_, bytes| {
                    result.extend_from_slice(bytes);
                })?;
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
                engine.prepare_frames()?;
                let batch = engine.frames_capacity();
                drive(engine, latents.len(), batch, Product::Frames, given(latents), |images, bytes| {
                    for (frame, pictures) in frames.iter_mut().zip(bytes.chunks(images * image)) {
                        frame.extend_from_slice(pictures);
                    }
                })?;
            }
        }
        Ok(frames.into_iter().map(|pixels| self.images(0, pixels)).collect())
    }

    /// The images of a range of indices, batch by batch in index order, with memory for a few
    /// batches only. On a GPU the next batch is computed while one is looked at.
    ///
    /// # Errors
    /// [`Error::Range`] if the range starts past `u64::MAX`.
    pub fn batches(&mut self, seed: u64, range: impl RangeBounds<u64>) -> Result<Batches<'_>> {
        let indices = Indices::new(range)?;
        Ok(Batches { generator: self, seed, to_submit: indices, to_collect: indices })
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

/// Images `at..at + count` for the posterior.
fn posterior<'a>(
    pixels: &'a [u8],
    image: usize,
    seed: u64,
    first: u64,
) -> impl Fn(usize, usize) -> Source<'a> {
    move |at, count| Source::Posterior {
        images: &pixels[at * image..][..count * image],
        seed,
        first: first + at as u64,
    }
}

/// Latents `at..at + count` as they are.
fn given<'a>(latents: &'a Latents) -> impl Fn(usize, usize) -> Source<'a> {
    let channels = latents.channels();
    move |at, count| Source::Latents(&latents.words()[at * channels..][..count * channels])
}

/// Runs `count` images through a GPU, `batch` at a time; `take` gets the bytes of each batch and how
/// many images it was, in order.
fn drive<'a>(
    engine: &mut Engine,
    count: usize,
    batch: usize,
    product: Product,
    source: impl Fn(usize, usize) -> Source<'a>,
    mut take: impl FnMut(usize, &[u8]),
) -> Result<()> {
    let sizes = |at: usize| batch.min(count - at);
    let (mut submitted, mut collected) = (0, 0);
    let mut bytes = Vec::new();
    while collected < count {
        while submitted < count && engine.has_room() {
            let images = sizes(submitted);
            engine.submit(source(submitted, images), product, images);
            submitted += images;
        }
        bytes.clear();
        if let Err(error) = engine.collect(&mut bytes) {
            engine.cancel();
            return Err(error);
        }
        let images = sizes(collected);
        take(images, &bytes);
        collected += images;
    }
    Ok(())
}

/// [`drive`] for latents, appended as words `[n, C]`.
fn drive_latents<'a>(
    engine: &mut Engine,
    count: usize,
    architecture: &Architecture,
    source: impl Fn(usize, usize) -> Source<'a>,
    words: &mut Vec<u32>,
) -> Result<()> {
    let channels = architecture.latent_channels;
    let batch = engine.capacity();
    drive(engine, count, batch, Product::Latents, source, |_, bytes| {
        let padded: Vec<u32> = bytemuck::pod_collect_to_vec(bytes);
        for image in padded.chunks(channels.next_multiple_of(4)) {
            words.extend_from_slice(&image[..channels]);
        }
    })
}

/// Consecutive indices that are still to do. All of u64 is 2^64 of them.
#[derive(Clone, Copy, Debug)]
struct Indices {
    next: u64,
    remaining: u128,
}

impl Indices {
    fn new(range: impl RangeBounds<u64>) -> Result<Self> {
        let past_the_end = || Error::Range(format!("the range of indices starts past {}", u64::MAX));
        let first = match range.start_bound() {
            Bound::Included(&first) => first,
            Bound::Excluded(&before) => before.checked_add(1).ok_or_else(past_the_end)?,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&last) => u128::from(last) + 1,
            Bound::Excluded(&end) => u128::from(end),
            Bound::Unbounded => 1 << 64,
        };
        Ok(Indices { next: first, remaining: end.saturating_sub(u128::from(first)) })
    }

    /// Takes up to `most` indices off the front: the first and how many.
    fn take(&mut self, most: usize) -> (u64, usize) {
        let count = self.remaining.min(most as u128) as usize;
        let first = self.next;
        self.remaining -= count as u128;
        self.next = self.next.wrapping_add(count as u64); // wraps only when nothing remains
        (first, count)
    }
}

/// Batches of images in index order; see [`Generator::batches`]. Dropping it cancels what is left.
#[derive(Debug)]
pub struct Batches<'a> {
    generator: &'a mut Generator,
    seed: u64,
    to_submit: Indices,
    to_collect: Indices,
}

impl Batches<'_> {
    /// Appends the pixels of the next batch and says how many images that were.
    fn advance(&mut self, pixels: &mut Vec<u8>) -> Result<usize> {
        let batch = self.generator.batch;
        let (first, count) = self.to_collect.take(batch);
        if count == 0 {
            return Ok(0);
        }
        match &mut self.generator.backend {
            Backend::Cpu(cpu) => {
                let start = pixels.len();
                pixels.resize(start + count * self.generator.architecture.image_bytes(), 0);
                cpu.generate(self.seed, first, &mut pixels[start..]);
            }
            Backend::Gpu(engine) => {
                while engine.has_room() && self.to_submit.remaining > 0 {
                    let (first, count) = self.to_submit.take(batch);
                    let source = Source::Prior { seed: self.seed, first };
                    engine.submit(source, Product::Images, count);
                }
                engine.collect(pixels)?;
            }
        }
        Ok(count)
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<Images>;

    /// After an error there is nothing more.
    fn next(&mut self) -> Option<Self::Item> {
        let first = self.to_collect.next;
        let mut pixels = Vec::new();
        match self.advance(&mut pixels) {
            Ok(0) => None,
            Ok(_) => Some(Ok(self.generator.images(first, pixels))),
            Err(error) => {
                self.to_collect.remaining = 0;
                Some(Err(error))
            }
        }
    }
}

impl Drop for Batches<'_> {
    fn drop(&mut self) {
        if let Backend::Gpu(engine) = &mut self.generator.backend {
            engine.cancel();
        }
    }
}
