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

/// Width and height of [`raster`].
pub(super) fn raster_size(layer: &Layer, time_steps: usize) -> [u64; 2] {
    let [column, cell, gap] = [COLUMN, CELL, GAP].map(u64::from);
    let (neurons, steps) = (layer.neurons() as u64, time_steps as u64);
    [neurons.div_ceil(column) * (steps * cell + gap) - gap, column.min(neurons) * cell]
}

/// The caller has seen to it that it is not too large.
fn blank([width, height]: [u64; 2]) -> GrayImage {
    GrayImage::from_pixel(width as u32, height as u32, BACKGROUND)
}

/// Neurons from top to bottom, time from left to right, in columns of 128 neurons.
pub(super) fn raster(spikes: &LayerSpikes) -> GrayImage {
    let steps = spikes.time_steps() as u32;
    let mut picture = blank(raster_size(spikes.layer(), spikes.time_steps()));
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

    fn size(&self) -> [u64; 2] {
        [self.columns, self.rows].map(|maps| u64::from(maps) * u64::from(self.pitch) - u64::from(self.gap))
    }

    /// With a level for each word `[y, x, channels]`.
    fn draw(&self, spikes: &LayerSpikes, level: impl Fn(u32) -> u8) -> GrayImage {
        let mut picture = blank(self.size());
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
pub(super) fn rates_size(layer: &Layer) -> [u64; 2] {
    Mosaic::new(layer).size()
}

/// A map of each channel, row by row; white is a spike at every time step.
pub(super) fn rates(spikes: &LayerSpikes) -> GrayImage {
    let steps = spikes.time_steps() as u32;
    Mosaic::new(spikes.layer()).draw(spikes, |word| ((word.count_ones() * 510 + steps) / (2 * steps)) as u8)
}

/// How many times as large an image of this side is shown beside maps of this height.
fn enlarged(height: u64, side: u64) -> u64 {
    (height / side).max(1)
}

/// Width and height of each picture of [`animation`].
pub(super) fn animation_size(layer: &Layer, image_side: usize) -> [u64; 2] {
    let [width, height] = Mosaic::new(layer).size();
    let image = image_side as u64 * enlarged(height, image_side as u64);
    [width + u64::from(GAP) + image, height.max(image)]
}

/// Each time step: the channels' maps as they fire, and to their right the image so far.
pub(super) fn animation(spikes: &LayerSpikes, frames: &[Images]) -> Vec<DynamicImage> {
    let mosaic = Mosaic::new(spikes.layer());
    let picture = |(step, frame): (usize, &Images)| {
        let maps = mosaic.draw(spikes, |word| if word >> step & 1 == 1 { 255 } else { 0 });
        let image = frame.to_grid().to_rgb8();
        let [width, height] = animation_size(spikes.layer(), image.width() as usize);
        let side = width as u32 - maps.width() - GAP;
        let image = imageops::resize(&image, side, side, imageops::FilterType::Nearest);
        let mut both = RgbImage::from_pixel(width as u32, height as u32, Rgb([BACKGROUND.0[0]; 3]));
        let behind = i64::from(maps.width() + GAP);
        imageops::replace(&mut both, &DynamicImage::from(maps).to_rgb8(), 0, 0);
        imageops::replace(&mut both, &image, behind, 0);
        DynamicImage::from(both)
    };
    frames.iter().enumerate().map(picture).collect()
}
