//! Generated images.

use image::{DynamicImage, GrayImage, RgbImage, RgbaImage};

use crate::architecture::Architecture;
use crate::error::Result;

/// Some images with consecutive indices, as u8 pixels `[count, height, width, channels]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    pub(crate) first: u64,
    pub(crate) side: usize,
    pub(crate) channels: usize,
    pub(crate) pixels: Vec<u8>,
}

/// One of [`Images`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image<'a> {
    /// Its index: with the model and the seed it determines the pixels.
    pub index: u64,
    /// Height and width in pixels.
    pub side: usize,
    /// 1 (grey) or 3 (RGB).
    pub channels: usize,
    /// u8 `[height, width, channels]`: row by row, channels interleaved.
    pub pixels: &'a [u8],
}

impl Images {
    /// Images of some network's size from pixels, u8 `[count, height, width, channels]`, with indices
    /// from `first` on.
    ///
    /// # Errors
    /// [`Error::Pixels`](crate::Error::Pixels) if these are not whole images.
    pub fn new(architecture: &Architecture, first: u64, pixels: Vec<u8>) -> Result<Self> {
        architecture.check_pixels(pixels.len())?;
        let (side, channels) = (architecture.image_side(), architecture.image_channels);
        Ok(Images { first, side, channels, pixels })
    }

    /// The same images with indices from `first` on.
    pub fn with_first(self, first: u64) -> Self {
        Images { first, ..self }
    }

    fn image_bytes(&self) -> usize {
        self.side * self.side * self.channels
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.pixels.len() / self.image_bytes()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// The n-th of them, counted from 0.
    pub fn get(&self, n: usize) -> Option<Image<'_>> {
        self.iter().nth(n)
    }

    /// All of them, in index order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Image<'_>> {
        self.pixels.chunks_exact(self.image_bytes()).enumerate().map(|(n, pixels)| Image {
            index: self.first + n as u64,
            side: self.side,
            channels: self.channels,
            pixels,
        })
    }

    /// All pixels, `[count, height, width, channels]`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.pixels
    }

    /// All pixels without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.pixels
    }

    /// One picture with all images, row by row, as near to a square as can be; the rest is black.
    pub fn to_grid(&self) -> DynamicImage {
        let mut grid = Grid::new(self.len(), self.side, self.side, self.channels);
        self.iter().for_each(|image| grid.add(image.pixels));
        grid.finish()
    }
}

impl Image<'_> {
    /// A copy as the `image` crate's type, grey or RGB.
    pub fn to_dynamic(&self) -> DynamicImage {
        to_dynamic(self.pixels.to_vec(), self.side, self.side, self.channels)
    }

    /// A copy as a grey image; `None` for an RGB model.
    pub fn to_gray(&self) -> Option<GrayImage> {
        match self.to_dynamic() {
            DynamicImage::ImageLuma8(image) => Some(image),
            _ => None,
        }
    }

    /// A copy as an RGBA image with alpha 255; grey is repeated in all colours. What
    /// [`Target::Rgba`](crate::gpu::Target::Rgba) and [`Target::Texture`](crate::gpu::Target::Texture) hold.
    pub fn to_rgba(&self) -> RgbaImage {
        self.to_dynamic().into_rgba8()
    }

    /// A copy as an RGB image; grey is repeated in all channels.
    pub fn to_rgb(&self) -> RgbImage {
        self.to_dynamic().into_rgb8()
    }
}

/// A picture that is filled tile by tile, row by row.
#[derive(Debug)]
pub struct Grid {
    columns: usize,
    rows: usize,
    /// Width and height of a tile.
    tile: (usize, usize),
    channels: usize,
    filled: usize,
    pixels: Vec<u8>,
}

impl Grid {
    /// An empty, black grid for `count` tiles, with as many rows as columns or one less.
    pub fn new(count: usize, width: usize, height: usize, channels: usize) -> Self {
        let root = count.isqrt();
        let columns = if root * root == count { root } else { root + 1 };
        Grid::with_columns(columns, count, width, height, channels)
    }

    /// An empty, black grid for `count` tiles in so many columns.
    pub fn with_columns(columns: usize, count: usize, width: usize, height: usize, channels: usize) -> Self {
        let columns = columns.max(1);
        let rows = count.div_ceil(columns);
        let pixels = vec![0; columns * rows * width * height * channels];
        Grid { columns, rows, tile: (width, height), channels, filled: 0, pixels }
    }

    /// Puts a tile, u8 `[height, width, channels]`, into the next place; one too many is left out.
    pub fn add(&mut self, tile: &[u8]) {
        let (column, row) = (self.filled % self.columns, self.filled / self.columns);
        let (width, height) = self.tile;
        let line = width * self.channels;
        for (y, pixels) in tile.chunks_exact(line).enumerate() {
            let start = ((row * height + y) * self.columns + column) * line;
            if let Some(place) = self.pixels.get_mut(start..start + line) {
                place.copy_from_slice(pixels);
            }
        }
        self.filled += 1;
    }

    /// The picture.
    pub fn finish(self) -> DynamicImage {
        let (width, height) = self.tile;
        to_dynamic(self.pixels, self.columns * width, self.rows * height, self.channels)
    }
}

/// u8 `[height, width, channels]` as the `image` crate's type.
fn to_dynamic(pixels: Vec<u8>, width: usize, height: usize, channels: usize) -> DynamicImage {
    let (width, height) = (width as u32, height as u32);
    let image = if channels == 1 {
        GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
    };
    image.unwrap_or_default()
}
