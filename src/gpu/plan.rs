//! Memory for a batch and the dispatches on it, made once: of generation and decoding with the plan, of encoding
//! and of frames when they are first asked for.

use std::sync::OnceLock;

use wgpu::BufferUsages as Usage;

use super::device::Gpu;
use super::kernels::{Pass, proof, readout, sample};
use super::layer::DeviceLayer;
use super::limits::{ImageBytes, capacity};
use super::model::{EncoderModel, Model};
use super::variants::Size;
use crate::error::Result;

/// Every buffer and dispatch of a batch.
#[derive(Debug)]
pub(crate) struct Plan {
    /// [`sample::Run`]
    pub(crate) run: wgpu::Buffer,
    /// `[capacity, latent words]`
    pub(crate) latents: wgpu::Buffer,
    pub(super) maps: [wgpu::Buffer; 2],
    /// u8 `[capacity, side, side, channels]`
    pub(crate) pixels: wgpu::Buffer,
    /// What [`proof`] writes.
    pub(super) proved: wgpu::Buffer,
    /// Images of a batch.
    pub(crate) capacity: usize,
    /// Draws latents from the prior, in batches of each [`Size`].
    priors: [Pass; 2],
    /// Latents to the spikes of the last layer, in batches of each [`Size`].
    decoders: [Vec<Pass>; 2],
    /// Those spikes to the picture as of each time step; the last is the image.
    pub(crate) readouts: Vec<Pass>,
    /// The last dispatch of each compute pass of a batch.
    pub(super) proof: Pass,
    /// Made when images are first encoded.
    pub(super) encoder: OnceLock<EncoderPlan>,
}

/// What encoding needs besides.
#[derive(Debug)]
pub(crate) struct EncoderPlan {
    /// u8 `[capacity, side, side, channels]`
    pub(crate) images: wgpu::Buffer,
    /// Images to latents drawn from the posterior.
    pub(crate) passes: Vec<Pass>,
    /// `[capacity, latent words]`: the encoder's spikes.
    pub(super) encoded: wgpu::Buffer,
}

impl Plan {
    /// Buffers for `batch` images, or as many as the device's limits allow. Not [`Gpu::checked`] yet.
    pub(crate) fn new(model: &Model, batch: usize) -> Result<Self> {
        let Model { gpu, network, .. } = model;
        let capacity = capacity(gpu, network, batch)?;
        let image = ImageBytes::new(&network.architecture);
        let batch = |label, bytes, usage| gpu.buffer(label, bytes * capacity as u64, Usage::STORAGE | usage);
        let run = gpu.buffer("fsvae.run", size_of::<sample::Run>() as u64, Usage::STORAGE | Usage::COPY_DST);
        let latents = batch("fsvae.latents", image.latents, Usage::COPY_SRC | Usage::COPY_DST);
        // Copied from by `verify` and debuggers only.
        let maps = image.maps.map(|bytes| batch("fsvae.map", bytes, Usage::COPY_SRC));
        let pixels = batch("fsvae.pixels", image.pixels, Usage::COPY_SRC);

        let priors = Size::ALL.map(|size| model.prior.pass(gpu, size, &run, &maps[0], &latents));
        let decoders = Size::ALL.map(|size| in_turns(gpu, size, &model.decoder, &latents, &maps, None));
        let input = &maps[(model.decoder.len() - 1) % 2];
        let readouts = readout::passes(gpu, &model.readout, &model.readout_buffers, input, &pixels);
        let proved = gpu.buffer("fsvae.proved", proof::BYTES, Usage::STORAGE | Usage::COPY_SRC);
        let proof = proof::pass(gpu, &model.proof, &run, &proved);
        let encoder = OnceLock::new();
        Ok(Plan { run, latents, maps, pixels, proved, capacity, priors, decoders, readouts, proof, encoder })
    }

    /// Draws latents from the prior, in a batch of so many images.
    pub(crate) fn prior(&self, images: usize) -> &Pass {
        &self.priors[Size::of(images) as usize]
    }

    /// Latents to the spikes of the last layer, in a batch of so many images.
    pub(crate) fn decoder(&self, images: usize) -> &[Pass] {
        &self.decoders[Size::of(images) as usize]
    }

    /// The pass that makes the images.
    pub(crate) fn readout(&self) -> &[Pass] {
        &self.readouts[self.readouts.len() - 1..]
    }

    /// The passes of generation of so many images, each with the buffer that it writes.
    #[cfg(feature = "verify")]
    pub(crate) fn generation(&self, images: usize) -> Vec<(&Pass, &wgpu::Buffer)> {
        let decoder = self.decoder(images).iter().enumerate().map(|(i, pass)| (pass, &self.maps[i % 2]));
        let readout = self.readout().iter().map(|pass| (pass, &self.pixels));
        std::iter::once((self.prior(images), &self.latents)).chain(decoder).chain(readout).collect()
    }

    /// The passes of encoding, each with the buffer that it writes.
    #[cfg(feature = "verify")]
    pub(crate) fn encoding<'a>(&'a self, encoder: &'a EncoderPlan) -> Vec<(&'a Pass, &'a wgpu::Buffer)> {
        let convolutions = encoder.passes.len() - 2;
        let maps = (0..convolutions).map(|i| &self.maps[i % 2]);
        encoder.passes.iter().zip(maps.chain([&encoder.encoded, &self.latents])).collect()
    }

    /// What encoding needs besides; not [`Gpu::checked`] yet.
    pub(crate) fn encoder(&self, model: &Model, weights: &EncoderModel) -> EncoderPlan {
        let gpu = &model.gpu;
        let image = ImageBytes::new(model.architecture());
        let batch =
            |label, bytes, usage| gpu.buffer(label, bytes * self.capacity as u64, Usage::STORAGE | usage);
        let images = batch("fsvae.images", image.pixels, Usage::COPY_DST);
        let encoded = batch("fsvae.encoded", image.latents, Usage::COPY_SRC);

        let mut passes = in_turns(gpu, Size::Large, &weights.layers, &images, &self.maps, Some(&encoded));
        passes.push(weights.posterior.pass(gpu, Size::Large, &self.run, &encoded, &self.latents));
        EncoderPlan { images, passes, encoded }
    }

    /// Makes what encoding needs, the first time.
    pub(crate) async fn prepare_encoder(&self, model: &Model) -> Result<()> {
        if self.encoder.get().is_none() {
            let weights = model.prepare_encoder().await?;
            let plan = model.gpu.checked(|| self.encoder(model, weights)).await?;
            // Two tasks at once may both make one; the first is kept.
            let _ = self.encoder.set(plan);
        }
        Ok(())
    }
}

/// The passes of layers from `input` through two maps in turns, the last to `output` if there is one.
fn in_turns(
    gpu: &Gpu,
    size: Size,
    layers: &[DeviceLayer],
    input: &wgpu::Buffer,
    maps: &[wgpu::Buffer; 2],
    output: Option<&wgpu::Buffer>,
) -> Vec<Pass> {
    let pass = |(i, layer): (usize, &DeviceLayer)| {
        let from = if i == 0 { input } else { &maps[(i - 1) % 2] };
        let to = output.filter(|_| i + 1 == layers.len()).unwrap_or(&maps[i % 2]);
        layer.pass(gpu, size, from, to)
    };
    layers.iter().enumerate().map(pass).collect()
}
