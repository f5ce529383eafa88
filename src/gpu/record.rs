//! Generation recorded into the application's own commands.

use super::engine::Engine;
use super::kernels::sample::Run;
use super::kernels::{Pass, constant_buffer, rgba, tiles};
use super::plan::record;
use crate::error::{Error, Result};

/// Where recorded images go.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// u8 pixels `[n, side, side, channels]`, as [`Images::as_bytes`](crate::Images::as_bytes) has them.
    Pixels {
        /// Needs [`wgpu::BufferUsages::COPY_DST`].
        buffer: &'a wgpu::Buffer,
        /// Of the first image, in bytes: a multiple of 4.
        offset: u64,
    },
    /// RGBA8 words `[n, side, side]`: red in the lowest byte, alpha 255. Grey models have it in all three colours.
    Rgba {
        /// Needs [`wgpu::BufferUsages::STORAGE`].
        buffer: &'a wgpu::Buffer,
        /// Of the first image, in bytes: a multiple of the device's `min_storage_buffer_offset_alignment`.
        offset: u64,
    },
    /// Tiles of a 2-d texture, row by row from the upper left; the rest of the texture is left as it is.
    Texture {
        /// A view of the whole texture, of format [`Rgba8Unorm`](wgpu::TextureFormat::Rgba8Unorm) (the texture may
        /// have an sRGB view besides, to be shown). Needs [`wgpu::TextureUsages::STORAGE_BINDING`].
        view: &'a wgpu::TextureView,
        /// Tiles of a row; 1 for images below each other, and for one image.
        columns: u32,
    },
}

/// Where each recorded image lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Images recorded.
    pub images: u32,
    /// Images of a row; 1 in a buffer.
    pub columns: u32,
    /// Height and width of an image in pixels.
    pub side: u32,
}

impl Layout {
    /// Rows of images; the last may not be full.
    pub fn rows(&self) -> u32 {
        self.images.div_ceil(self.columns)
    }

    /// Width and height of all in pixels.
    pub fn size(&self) -> [u32; 2] {
        [self.columns * self.side, self.rows() * self.side]
    }

    /// The upper left pixel, x and y, of the n-th image.
    pub fn corner(&self, n: u32) -> [u32; 2] {
        [n % self.columns * self.side, n / self.columns * self.side]
    }
}

/// What is recorded: images `first..first + count` of a seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recording {
    pub(crate) seed: u64,
    pub(crate) first: u64,
    pub(crate) count: u32,
}

impl Engine {
    /// Records the images themselves.
    pub(crate) fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        recording: Recording,
        target: Target<'_>,
    ) -> Result<Layout> {
        let last = self.plan.readouts.len() - 1;
        self.record_moments(encoder, recording, &[(last, target)])
    }

    /// Records the pictures after each time step, each into a target of its own.
    pub(crate) fn record_frames(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        recording: Recording,
        targets: &[Target<'_>],
    ) -> Result<Layout> {
        let steps = self.plan.readouts.len();
        if targets.len() != steps {
            return Err(Error::Target(format!(
                "expected {steps} targets, one a time step, found {}",
                targets.len()
            )));
        }
        let moments: Vec<_> = targets.iter().copied().enumerate().collect();
        self.record_moments(encoder, recording, &moments)
    }

    fn record_moments(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        Recording { seed, first, count }: Recording,
        moments: &[(usize, Target<'_>)],
    ) -> Result<Layout> {
        trace!("fsvae.record");
        let side = self.model.architecture().image_side() as u32;
        let mut layout = Layout { images: count, columns: 1, side };
        for (_, target) in moments {
            layout = self.check(target, count)?;
        }
        if count == 0 {
            return Ok(layout);
        }
        let capacity = self.plan.capacity as u32;
        let starts: Vec<Run> = (0..count)
            .step_by(capacity as usize)
            .map(|place| Run::new(seed, first + u64::from(place)).presented(place, layout.columns, side))
            .collect();
        self.model.gpu.checked_now(|| -> Result<()> {
            // A buffer of its own for every recording: the application submits it when it likes, in any order.
            let copied = wgpu::BufferUsages::COPY_SRC;
            let starts_buffer = constant_buffer(&self.model.gpu, "fsvae.starts", &starts, copied);
            let outputs = moments.iter().map(|(_, target)| self.output(target, count));
            let outputs: Vec<Output<'_>> = outputs.collect::<Result<_>>()?;
            encoder.push_debug_group("fsvae");
            for (start, offset) in starts.iter().zip((0_u64..).step_by(size_of::<Run>())) {
                let images = (count - start.place).min(capacity) as usize;
                let run_bytes = size_of::<Run>() as u64;
                encoder.copy_buffer_to_buffer(&starts_buffer, offset, &self.plan.run, 0, run_bytes);
                record(encoder, "fsvae.prior", std::slice::from_ref(&self.plan.prior), images);
                record(encoder, "fsvae.decoder", &self.plan.decoder, images);
                for ((moment, _), output) in moments.iter().zip(&outputs) {
                    let readout = std::slice::from_ref(&self.plan.readouts[*moment]);
                    record(encoder, "fsvae.readout", readout, images);
                    output.record(self, encoder, start.place, images);
                }
            }
            encoder.pop_debug_group();
            Ok(())
        })??;
        Ok(layout)
    }

    /// Compares a target with what `count` images need.
    fn check(&self, target: &Target<'_>, count: u32) -> Result<Layout> {
        let architecture = self.model.architecture();
        let side = architecture.image_side() as u32;
        let limits = self.model.gpu.device.limits();
        let refuse = |what: String| Err(Error::Target(what));
        let in_buffer = |buffer: &wgpu::Buffer,
                         usage: wgpu::BufferUsages,
                         offset: u64,
                         step: u64,
                         image: u64| {
            let bytes = image * u64::from(count);
            let end = offset.checked_add(bytes);
            if !buffer.usage().contains(usage) {
                refuse(format!("expected a buffer of usage {usage:?}, found {:?}", buffer.usage()))
            } else if !offset.is_multiple_of(step) {
                refuse(format!("expected a buffer offset that is a multiple of {step}, found {offset}"))
            } else if end.is_none_or(|end| end > buffer.size()) {
                let size = buffer.size();
                refuse(format!(
                    "expected a buffer of {bytes} bytes and more from offset {offset} on, found {size} in all"
                ))
            } else {
                Ok(Layout { images: count, columns: 1, side })
            }
        };
        match *target {
            Target::Pixels { buffer, offset } => {
                in_buffer(buffer, wgpu::BufferUsages::COPY_DST, offset, 4, architecture.image_bytes() as u64)
            }
            Target::Rgba { buffer, offset } => {
                let step = u64::from(limits.min_storage_buffer_offset_alignment);
                let image = 4 * u64::from(side) * u64::from(side);
                let (bytes, most) = (image * u64::from(count), limits.max_storage_buffer_binding_size);
                if bytes > most {
                    return refuse(format!(
                        "{count} images are {bytes} bytes, the device binds {most} at most"
                    ));
                }
                in_buffer(buffer, wgpu::BufferUsages::STORAGE, offset, step, image)
            }
            Target::Texture { view, columns } => {
                let texture = view.texture();
                let layout = Layout { images: count, columns, side };
                if columns == 0 {
                    return refuse("expected at least 1 column of tiles, found 0".into());
                }
                let rows = count.div_ceil(columns);
                let needed =
                    [columns.min(count.max(1)), rows].map(|tiles| u64::from(tiles) * u64::from(side));
                let found = [texture.width(), texture.height()].map(u64::from);
                let usage = wgpu::TextureUsages::STORAGE_BINDING;
                if texture.format() != wgpu::TextureFormat::Rgba8Unorm {
                    refuse(format!("expected a texture of format Rgba8Unorm, found {:?}", texture.format()))
                } else if !texture.usage().contains(usage) {
                    refuse(format!("expected a texture of usage {usage:?}, found {:?}", texture.usage()))
                } else if needed[0] > found[0] || needed[1] > found[1] {
                    refuse(format!(
                        "expected a texture of {} x {} texels at least, found {} x {}",
                        needed[0], needed[1], found[0], found[1]
                    ))
                } else {
                    Ok(layout)
                }
            }
        }
    }

    fn output<'a>(&self, target: &Target<'a>, count: u32) -> Result<Output<'a>> {
        let (model, plan) = (&self.model, &self.plan);
        let side = model.architecture().image_side();
        Ok(match *target {
            Target::Pixels { buffer, offset } => Output::Copy { buffer, offset },
            Target::Rgba { buffer, offset } => {
                let size = std::num::NonZeroU64::new(4 * (side * side) as u64 * u64::from(count));
                let part = wgpu::BufferBinding { buffer, offset, size };
                Output::Present(rgba::pass(&model.gpu, model.rgba()?, &plan.run, &plan.pixels, part, side))
            }
            Target::Texture { view, .. } => {
                Output::Present(tiles::pass(&model.gpu, model.tiles()?, &plan.run, &plan.pixels, view, side))
            }
        })
    }
}

/// How the pixels of a batch reach a target.
enum Output<'a> {
    Copy { buffer: &'a wgpu::Buffer, offset: u64 },
    Present(Pass),
}

impl Output<'_> {
    fn record(&self, engine: &Engine, encoder: &mut wgpu::CommandEncoder, place: u32, images: usize) {
        let image = engine.model.architecture().image_bytes() as u64;
        match self {
            Output::Copy { buffer, offset } => {
                let at = offset + u64::from(place) * image;
                encoder.copy_buffer_to_buffer(&engine.plan.pixels, 0, buffer, at, image * images as u64);
            }
            Output::Present(pass) => record(encoder, "fsvae.present", std::slice::from_ref(pass), images),
        }
    }
}
