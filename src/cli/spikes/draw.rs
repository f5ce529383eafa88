//! Spike trains as pictures: black, and white where something fires.

use fsvae::image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage, imageops};
use fsvae::{Images, Layer, LayerSpikes};

/// Neurons below each other; the next ones are in the next column.
const COLUMN: u32 = 128;
/// Height and width of a spike in a raster.
const CELL: u32 = 4;
/// Between columns, maps and pictures.
const GAP: u32 = 4;
const BACKGROUND: Luma<u8> = Luma([64]);
/// Height and width that a picture of maps has at least.
const MAPS: u32 = 256;

fn neurons(layer: &Layer) -> u32 {
    layer.neurons() as u32
}

/// Width and height of [`raster`].
pub(super) fn raster_size(layer: &Layer, time_steps: usize) -> [u32; 2] {
    let columns = neurons(layer).div_ceil(COLUMN);
    [columns * (time_steps as u32 * CELL + GAP) - GAP, COLUMN.min(neurons(layer)) * CELL]
}

/// Neurons from top to bottom, time from left to right, in columns of 128 neurons.
pub(super) fn raster(spikes: &LayerSpikes) -> GrayImage {
    let steps = spikes.time_steps() as u32;
    let [width, height] = raster_size(spikes.layer(), spikes.time_steps());
    let mut picture = GrayImage::from_pixel(width, height, BACKGROUND);
    for (neuron, word) in (0..).zip(spikes.image(0)) {
        let (left, top) = (neuron / COLUMN * (steps * CELL + GAP), neuron % COLUMN * CELL);
        for step in 0..steps {
            let level = Luma([if word >> step & 1 == 1 { 255 } else { 0 }]);
            fill(&mut picture, left + step * CELL, top, CELL, level);
        }
    }
    picture
}

fn fill(picture: &mut GrayImage, left: u32, top: u32, side: u32, level: Luma<u8>) {
    for y in top..top + side {
        for x in left..left + side {
            picture.put_pixel(x, y, level);
        }
    }
}

/// How the maps of a layer's channels lie beside each other.
struct Mosaic {
    /// Maps of a row.
    columns: u32,
    rows: u32,
    /// Height and width of a neuron in pixels.
    scale: u32,
    /// Height and width of a map in pixels, with the gap behind it.
    pitch: u32,
    gap: u32,
}

impl Mosaic {
    fn new(layer: &Layer) -> Self {
        let (side, channels) = (layer.side as u32, layer.channels as u32);
        let root = channels.isqrt();
        let columns = root + u32::from(root * root < channels);
        let gap = if side == 1 { 0 } else { 1 };
        let scale = MAPS.div_ceil(columns * (side + gap)).max(1);
        let gap = gap * scale.min(GAP);
        Mosaic { columns, rows: channels.div_ceil(columns), scale, pitch: side * scale + gap, gap }
    }

    fn size(&self) -> [u32; 2] {
        [self.columns, self.rows].map(|maps| maps * self.pitch - self.gap)
    }

    /// With a level for each word `[y, x, channels]`.
    fn draw(&self, spikes: &LayerSpikes, level: impl Fn(u32) -> u8) -> GrayImage {
        let [width, height] = self.size();
        let mut picture = GrayImage::from_pixel(width, height, BACKGROUND);
        let (side, channels) = (spikes.layer().side as u32, spikes.layer().channels as u32);
        for (at, &word) in (0..).zip(spikes.image(0)) {
            let (pixel, channel) = (at / channels, at % channels);
            let left = channel % self.columns * self.pitch + pixel % side * self.scale;
            let top = channel / self.columns * self.pitch + pixel / side * self.scale;
            fill(&mut picture, left, top, self.scale, Luma([level(word)]));
        }
        picture
    }
}

/// Width and height of [`rates`].
pub(super) fn rates_size(layer: &Layer) -> [u32; 2] {
    Mosaic::new(layer).size()
}

/// A map of each channel, row by row; white is a spike at every time step.
pub(super) fn rates(spikes: &LayerSpikes) -> GrayImage {
    let steps = spikes.time_steps() as u32;
    Mosaic::new(spikes.layer()).draw(spikes, |word| ((word.count_ones() * 510 + steps) / (2 * steps)) as u8)
}

/// How many times as large an image is shown.
fn enlarged(height: u32, side: u32) -> u32 {
    (height / side).max(1)
}

/// Width and height of each picture of [`animation`].
pub(super) fn animation_size(layer: &Layer, image_side: usize) -> [u32; 2] {
    let [width, height] = Mosaic::new(layer).size();
    let side = image_side as u32;
    let image = side * enlarged(height, side);
    [width + GAP + image, height.max(image)]
}

/// Each time step: the channels' maps as they fire, and to their right the image so far.
pub(super) fn animation(spikes: &LayerSpikes, frames: &[Images]) -> Vec<DynamicImage> {
    let mosaic = Mosaic::new(spikes.layer());
    let picture = |(step, frame): (usize, &Images)| {
        let maps = mosaic.draw(spikes, |word| if word >> step & 1 == 1 { 255 } else { 0 });
        let image = frame.to_grid().to_rgb8();
        let side = image.width() * enlarged(maps.height(), image.width());
        let image = imageops::resize(&image, side, side, imageops::FilterType::Nearest);
        let [width, height] = animation_size(spikes.layer(), frame.to_grid().width() as usize);
        let mut all = RgbImage::from_pixel(width, height, Rgb([BACKGROUND.0[0]; 3]));
        imageops::replace(&mut all, &DynamicImage::from(maps.clone()).to_rgb8(), 0, 0);
        imageops::replace(&mut all, &image, i64::from(maps.width() + GAP), 0);
        DynamicImage::from(all)
    };
    frames.iter().enumerate().map(picture).collect()
}
