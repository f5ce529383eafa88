//! Jobs recorded into the application's own commands: the same steps as our own, between what the application has.

use std::ops::Range;

use super::backend::{GpuBackend, Shared};
use super::kernels::sample::{Run, latent_words};
use super::kernels::{Pass, constant_buffer, rgba, tiles};
use super::limits::ImageBytes;
use super::pace::Kind;
use super::steps::{From, Place, RUN_BYTES, To, layer_bytes, record, steps};
use super::target::{Layout, Origin, Target};
use crate::backend::{Entry, Wants};
use crate::error::{Error, Result};

impl GpuBackend {
    /// Records a job, with the readout after certain time steps (counted from 0) for targets of pixels.
    pub(crate) fn record(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        origin: Origin<'_>,
        targets: &[(usize, Target<'_>)],
    ) -> Result<Layout> {
        let layout = self.shared.layout(origin, targets)?;
        self.record_images(encoder, origin, targets, layout, 0..layout.images)?;
        Ok(layout)
    }

    /// Records the images from the `done`-th on, as many as fit the budget; how many are done then.
    pub(crate) fn record_part(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        origin: Origin<'_>,
        targets: &[(usize, Target<'_>)],
        done: u32,
    ) -> Result<u32> {
        let layout = self.shared.layout(origin, targets)?;
        let left = layout.images.checked_sub(done).ok_or_else(|| {
            Error::Target(format!("expected at most {} images to be done, found {done}", layout.images))
        })?;
        let fits = self.fits(Kind::new(origin.entry(), &self.shared.recorded_wants(targets)));
        let end = done + left.min(u32::try_from(fits).unwrap_or(u32::MAX));
        self.record_images(encoder, origin, targets, layout, done..end)?;
        Ok(end)
    }

    /// Images of the prior that fit the budget of a submission, as far as is known.
    pub(crate) fn fits_of_the_prior(&self) -> usize {
        self.fits(Kind::new(Entry::Prior, &Wants { images: true, ..Wants::default() }))
    }

    fn fits(&self, kind: Kind) -> usize {
        self.shared.pace.images(kind, self.shared.plan.capacity)
    }

    /// Records some of the images, in their places.
    fn record_images(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        origin: Origin<'_>,
        targets: &[(usize, Target<'_>)],
        layout: Layout,
        images: Range<u32>,
    ) -> Result<()> {
        trace!("fsvae.record");
        if images.is_empty() {
            return Ok(());
        }
        let recording = self.shared.recording(origin, targets, layout, images)?;
        encoder.push_debug_group("fsvae");
        recording.record(&self.shared, encoder);
        encoder.pop_debug_group();
        Ok(())
    }

    /// The same as commands of their own.
    pub(crate) fn commands(
        &self,
        origin: Origin<'_>,
        targets: &[(usize, Target<'_>)],
    ) -> Result<(wgpu::CommandBuffer, Layout)> {
        let gpu = self.device();
        let (mut encoder, verdict) = gpu.watch(|| {
            gpu.device
                .create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("fsvae.recording") })
        });
        drop(verdict);
        let layout = self.record(&mut encoder, origin, targets)?;
        let commands = gpu.checked_now(|| encoder.finish())?;
        Ok((commands, layout))
    }

    /// The last time step, whose pictures are the images.
    pub(crate) fn last_step(&self) -> usize {
        self.shared.plan.readouts.len() - 1
    }
}

/// Everything that a recording needs, made and checked before anything of it is recorded.
struct Recording<'a> {
    origin: Origin<'a>,
    /// Of the origin's.
    images: Range<u32>,
    /// A [`Run`] for each batch. A buffer of its own for every recording: the application submits it when it likes, in any
    /// order.
    starts: wgpu::Buffer,
    outputs: Vec<Output<'a>>,
}

impl Shared {
    fn recording<'a>(
        &self,
        origin: Origin<'a>,
        targets: &[(usize, Target<'a>)],
        layout: Layout,
        images: Range<u32>,
    ) -> Result<Recording<'a>> {
        let count = layout.images;
        let (seed, first) = origin.run();
        if first.checked_add(u64::from(count) - 1).is_none() {
            return Err(Error::Range(format!("{count} images from index {first} on pass {}", u64::MAX)));
        }
        if let Origin::Images { .. } = origin
            && self.plan.encoder.get().is_none()
        {
            self.prepare_now()?;
        }
        let starts: Vec<Run> = (images.clone().step_by(self.plan.capacity))
            .map(|place| Run::new(seed, first + u64::from(place)).presented(place, layout.side))
            .collect();
        let made = self.model.gpu.checked_now(|| -> Result<Recording<'a>> {
            let starts =
                constant_buffer(&self.model.gpu, "fsvae.starts", &starts, wgpu::BufferUsages::COPY_SRC);
            let outputs = targets.iter().map(|(step, target)| self.output(&origin, *step, target));
            let made = Recording { origin, images, starts, outputs: outputs.collect::<Result<_>>()? };
            // A buffer or a texture that is no more, or of another device, would break the application's encoder. In
            // browsers nothing is known before later.
            #[cfg(not(target_arch = "wasm32"))]
            {
                let label = Some("fsvae.trial");
                let mut trial =
                    self.model.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label });
                made.record(self, &mut trial);
                drop(trial.finish());
            }
            Ok(made)
        })??;
        self.note_recording();
        Ok(made)
    }

    /// What targets ask for, as far as it decides how long images take.
    fn recorded_wants(&self, targets: &[(usize, Target<'_>)]) -> Wants {
        let last = self.plan.readouts.len() - 1;
        let mut wants = Wants::default();
        for (step, target) in targets {
            match target {
                Target::Latents { .. } => wants.latents = true,
                Target::Spikes { .. } => wants.spikes = vec![0],
                _ if *step == last => wants.images = true,
                _ => wants.frames = true,
            }
        }
        wants
    }

    /// Waits for the driver's compiler; an application that does not want that calls `prepare` first.
    fn prepare_now(&self) -> Result<()> {
        #[cfg(not(target_arch = "wasm32"))]
        return pollster::block_on(self.plan.prepare_encoder(&self.model));
        #[cfg(target_arch = "wasm32")]
        return Err(Error::Target("expected a generator that was prepared".into()));
    }

    /// Not checked yet; the target was.
    fn output<'a>(&self, origin: &Origin<'_>, step: usize, target: &Target<'a>) -> Result<Output<'a>> {
        let Shared { model, plan, .. } = self;
        let (side, gpu) = (model.architecture().image_side(), &model.gpu);
        let architecture = model.architecture();
        Ok(match *target {
            Target::Pixels { buffer, offset } => {
                Output::Pixels(step, Place { buffer, offset }, architecture.image_bytes() as u64)
            }
            Target::Latents { buffer, offset } => Output::Latents(
                Place { buffer, offset },
                4 * latent_words(architecture.latent_channels) as u64,
            ),
            Target::Spikes { layer, buffer, offset } => {
                let layer = self.layer(origin, layer)?;
                Output::Spikes(layer, Place { buffer, offset }, layer_bytes(&architecture.layers()[layer]))
            }
            Target::Rgba { buffer, offset } => {
                let size = std::num::NonZeroU64::new(4 * (side * side) as u64 * u64::from(origin.count()));
                let part = wgpu::BufferBinding { buffer, offset, size };
                Output::Present(step, rgba::pass(gpu, model.rgba()?, &plan.run, &plan.pixels, part, side))
            }
            Target::Texture { texture, layer, columns, first, wrap } => {
                let grid = tiles::Grid::new(columns, first, wrap);
                let view = texture.create_view(&wgpu::TextureViewDescriptor {
                    label: Some("fsvae.tiles"),
                    dimension: Some(wgpu::TextureViewDimension::D2),
                    usage: Some(wgpu::TextureUsages::STORAGE_BINDING),
                    mip_level_count: Some(1),
                    base_array_layer: layer,
                    array_layer_count: Some(1),
                    ..Default::default()
                });
                let pass = tiles::pass(gpu, model.tiles()?, &plan.run, &plan.pixels, &view, grid, side);
                Output::Present(step, pass)
            }
        })
    }
}

/// How the outputs of all batches reach a target.
enum Output<'a> {
    /// With the bytes of an image.
    Latents(Place<'a>, u64),
    Spikes(usize, Place<'a>, u64),
    Pixels(usize, Place<'a>, u64),
    Present(usize, Pass),
}

impl Output<'_> {
    /// Of the batch whose first image is the `n`-th.
    fn of_batch(&self, n: u64) -> To<'_> {
        match self {
            Output::Latents(place, bytes) => To::Latents(place.after(n * bytes)),
            Output::Spikes(layer, place, bytes) => To::Spikes(*layer, place.after(n * bytes)),
            Output::Pixels(step, place, bytes) => To::Pixels(*step, place.after(n * bytes)),
            Output::Present(step, pass) => To::Present(*step, pass),
        }
    }
}

impl Recording<'_> {
    fn record(&self, shared: &Shared, encoder: &mut wgpu::CommandEncoder) {
        let Shared { model, plan, .. } = shared;
        let image = ImageBytes::new(model.architecture());
        for (batch, start) in self.images.clone().step_by(plan.capacity).enumerate() {
            let images = plan.capacity.min((self.images.end - start) as usize);
            let n = u64::from(start);
            let from = match (self.origin, plan.encoder.get()) {
                (Origin::Images { buffer, offset, .. }, Some(encoder)) => {
                    From::Images(encoder, Place { buffer, offset: offset + n * image.pixels })
                }
                (Origin::Images { .. }, None) => unreachable!("it was prepared"),
                (Origin::Latents { buffer, offset, .. }, _) => {
                    From::Latents(Place { buffer, offset: offset + n * image.latents })
                }
                (Origin::Prior { .. }, _) => From::Prior,
            };
            let run = Place { buffer: &self.starts, offset: batch as u64 * RUN_BYTES };
            let outputs: Vec<To<'_>> = self.outputs.iter().map(|output| output.of_batch(n)).collect();
            record(encoder, &steps(model, plan, (run, None), from, &outputs, images), images);
        }
    }
}
