//! What recordings are made of and where they go, and whether it fits.

use super::backend::Shared;
use super::kernels::sample::latent_words;
use super::limits::ImageBytes;
use super::steps::layer_bytes;
use crate::backend::{Entry, Wants};
use crate::error::{Error, Result};
use crate::indices::Indices;

/// Where recorded latents come from.
#[derive(Clone, Copy, Debug)]
pub enum Origin<'a> {
    /// Drawn from the prior for images `first..first + count`.
    Prior {
        /// The seed.
        seed: u64,
        /// The first index.
        first: u64,
        /// How many.
        count: u32,
    },
    /// Drawn from the posterior of images that a buffer holds when the commands are carried out, u8
    /// `[count, side, side, channels]`.
    Images {
        /// Needs [`wgpu::BufferUsages::COPY_SRC`].
        buffer: &'a wgpu::Buffer,
        /// Of the first image, in bytes: a multiple of 4.
        offset: u64,
        /// The seed.
        seed: u64,
        /// The index of the first image.
        first: u64,
        /// How many.
        count: u32,
    },
    /// Latents that a buffer holds when the commands are carried out: words `[count, C rounded up to a multiple of 4]`, bit t =
    /// step t, as [`Target::Latents`] writes them.
    Latents {
        /// Needs [`wgpu::BufferUsages::COPY_SRC`].
        buffer: &'a wgpu::Buffer,
        /// Of the first image, in bytes: a multiple of 4.
        offset: u64,
        /// How many.
        count: u32,
    },
}

impl Origin<'_> {
    /// Drawn from the prior for a range of indices, such as `0..64`.
    ///
    /// # Errors
    /// [`Error::Range`] if the range starts past `u64::MAX`, or for 2^32 images and more.
    pub fn prior(seed: u64, range: impl std::ops::RangeBounds<u64>) -> Result<Self> {
        let Indices { next: first, remaining } = Indices::new(range)?;
        let count = u32::try_from(remaining)
            .map_err(|_| Error::Range(format!("{remaining} images are too many to record at once")))?;
        Ok(Origin::Prior { seed, first, count })
    }

    pub(super) fn count(&self) -> u32 {
        let (Origin::Prior { count, .. } | Origin::Images { count, .. } | Origin::Latents { count, .. }) =
            *self;
        count
    }

    pub(super) fn entry(&self) -> Entry {
        match self {
            Origin::Prior { .. } => Entry::Prior,
            Origin::Images { .. } => Entry::Posterior,
            Origin::Latents { .. } => Entry::Latents,
        }
    }

    pub(super) fn run(&self) -> (u64, u64) {
        match *self {
            Origin::Prior { seed, first, .. } | Origin::Images { seed, first, .. } => (seed, first),
            Origin::Latents { .. } => (0, 0),
        }
    }
}

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
        /// Of format [`Rgba8Unorm`](wgpu::TextureFormat::Rgba8Unorm) (it may have views of an sRGB format besides, to be
        /// shown). Needs [`wgpu::TextureUsages::STORAGE_BINDING`]. Its largest mip level is written.
        texture: &'a wgpu::Texture,
        /// Of an array; 0 where it is none.
        layer: u32,
        /// Tiles of a row; 1 for images below each other, and for one image.
        columns: u32,
        /// The tile of the first image.
        first: u32,
        /// After so many tiles the next image is tile 0 again; 0 where that never happens.
        wrap: u32,
    },
    /// Latents, words `[n, C rounded up to a multiple of 4]`, bit t = step t.
    Latents {
        /// Needs [`wgpu::BufferUsages::COPY_DST`].
        buffer: &'a wgpu::Buffer,
        /// Of the first image, in bytes: a multiple of 4.
        offset: u64,
    },
    /// The spike trains of a layer, words `[n, side, side, channels rounded up to a multiple of 4]`, bit t = step t.
    Spikes {
        /// Its name in [`Architecture::layers`](crate::Architecture::layers).
        layer: &'a str,
        /// Needs [`wgpu::BufferUsages::COPY_DST`].
        buffer: &'a wgpu::Buffer,
        /// Of the first image, in bytes: a multiple of 4.
        offset: u64,
    },
}

impl<'a> Target<'a> {
    /// Tiles of a texture from its upper left corner on, `columns` in a row.
    pub fn tiles(texture: &'a wgpu::Texture, columns: u32) -> Self {
        Target::Texture { texture, layer: 0, columns, first: 0, wrap: 0 }
    }
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

impl Shared {
    /// What the targets have in common, after a look at all of them.
    pub(super) fn layout(&self, origin: Origin<'_>, targets: &[(usize, Target<'_>)]) -> Result<Layout> {
        let image = ImageBytes::new(self.model.architecture());
        match origin {
            Origin::Prior { .. } => {}
            Origin::Images { buffer, offset, count, .. } => {
                in_buffer(buffer, wgpu::BufferUsages::COPY_SRC, offset, 4, image.pixels, count)?;
            }
            Origin::Latents { buffer, offset, count } => {
                in_buffer(buffer, wgpu::BufferUsages::COPY_SRC, offset, 4, image.latents, count)?;
            }
        }
        let side = self.model.architecture().image_side() as u32;
        let mut layout = Layout { images: origin.count(), columns: 1, side };
        for (_, target) in targets {
            layout.columns = self.check(&origin, target)?;
        }
        Ok(layout)
    }

    /// Compares a target with what it is to take; the tiles of a row.
    fn check(&self, origin: &Origin<'_>, target: &Target<'_>) -> Result<u32> {
        let architecture = self.model.architecture();
        let (side, count) = (architecture.image_side() as u32, origin.count());
        let limits = self.model.gpu.device.limits();
        let copied = wgpu::BufferUsages::COPY_DST;
        match *target {
            Target::Pixels { buffer, offset } => {
                in_buffer(buffer, copied, offset, 4, architecture.image_bytes() as u64, count)?;
            }
            Target::Latents { buffer, offset } => {
                let image = 4 * latent_words(architecture.latent_channels) as u64;
                in_buffer(buffer, copied, offset, 4, image, count)?;
            }
            Target::Spikes { layer, buffer, offset } => {
                let image = layer_bytes(&architecture.layers()[self.layer(origin, layer)?]);
                in_buffer(buffer, copied, offset, 4, image, count)?;
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
                in_buffer(buffer, wgpu::BufferUsages::STORAGE, offset, step, image, count)?;
            }
            Target::Texture { texture, layer, columns, first, wrap } => {
                if columns == 0 {
                    return refuse("expected at least 1 column of tiles, found 0".into());
                }
                if wrap > 0 && (first >= wrap || count > wrap) {
                    return refuse(format!(
                        "expected at most {wrap} images, the first at a tile below {wrap}, found {count} from tile {first} on"
                    ));
                }
                let end = if wrap > 0 { u64::from(wrap) } else { u64::from(first) + u64::from(count) };
                let needed = [end.clamp(1, u64::from(columns)), end.div_ceil(u64::from(columns))]
                    .map(|tiles| tiles * u64::from(side));
                let found = [texture.width(), texture.height()].map(u64::from);
                let usage = wgpu::TextureUsages::STORAGE_BINDING;
                if texture.format() != wgpu::TextureFormat::Rgba8Unorm {
                    return refuse(format!(
                        "expected a texture of format Rgba8Unorm, found {:?}",
                        texture.format()
                    ));
                }
                if texture.dimension() != wgpu::TextureDimension::D2 || texture.sample_count() != 1 {
                    return refuse(format!(
                        "expected a 2-d texture of 1 sample, found {:?} of {}",
                        texture.dimension(),
                        texture.sample_count()
                    ));
                }
                if layer >= texture.depth_or_array_layers() {
                    return refuse(format!(
                        "expected a layer below {}, found {layer}",
                        texture.depth_or_array_layers()
                    ));
                }
                if !texture.usage().contains(usage) {
                    return refuse(format!(
                        "expected a texture of usage {usage:?}, found {:?}",
                        texture.usage()
                    ));
                }
                if needed[0] > found[0] || needed[1] > found[1] {
                    return refuse(format!(
                        "expected a texture of {} x {} texels at least, found {} x {}",
                        needed[0], needed[1], found[0], found[1]
                    ));
                }
                return Ok(columns);
            }
        }
        Ok(1)
    }

    /// The number of a layer that comes by.
    pub(super) fn layer(&self, origin: &Origin<'_>, name: &str) -> Result<usize> {
        let outputs = crate::job::Outputs::spikes([name]);
        let encodes = matches!(origin, Origin::Images { .. });
        Ok(Wants::new(&outputs, encodes, self.model.architecture())?.spikes[0])
    }
}

fn refuse<T>(what: String) -> Result<T> {
    Err(Error::Target(what))
}

/// Whether `count` things of `each` bytes are in a buffer from an offset on.
fn in_buffer(
    buffer: &wgpu::Buffer,
    usage: wgpu::BufferUsages,
    offset: u64,
    step: u64,
    each: u64,
    count: u32,
) -> Result<()> {
    let bytes = each * u64::from(count);
    if !buffer.usage().contains(usage) {
        return refuse(format!("expected a buffer of usage {usage:?}, found {:?}", buffer.usage()));
    }
    if !offset.is_multiple_of(step) {
        return refuse(format!("expected a buffer offset that is a multiple of {step}, found {offset}"));
    }
    if offset.checked_add(bytes).is_none_or(|end| end > buffer.size()) {
        let size = buffer.size();
        return refuse(format!(
            "expected a buffer of {bytes} bytes and more from offset {offset} on, found {size} in all"
        ));
    }
    Ok(())
}
