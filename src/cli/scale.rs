//! `--scale`: pictures enlarged pixel by pixel, for models whose images are too small to look at.

use std::path::Path;

use fsvae::image::{DynamicImage, ImageBuffer, Pixel};

use super::Failure;
use super::formats::Format;
use super::model::number;
use super::output::{Size, is_stdout};

const LARGEST: u32 = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale(u32);

impl Scale {
    /// Pictures stay as they are.
    pub(super) const ONE: Scale = Scale(1);

    /// The size of an enlarged picture.
    pub(super) fn size(self, (width, height, channels): Size) -> Size {
        let scale = self.0 as usize;
        (width * scale, height * scale, channels)
    }

    /// Raw frames have no header that would say their size: it is always the model's.
    pub(super) fn check(self, path: &Path, format: Format) -> Result<(), Failure> {
        if self == Scale::ONE || !format.is_raw() {
            return Ok(());
        }
        let place = if is_stdout(path) { "standard output".into() } else { path.display().to_string() };
        let name = format.name();
        Err(Failure::Input(format!(
            "{place}: --scale is for pictures, frames of {name} have the model's size"
        )))
    }

    /// Every pixel becomes a square of them.
    pub(super) fn enlarge(self, picture: DynamicImage) -> DynamicImage {
        match picture {
            _ if self == Scale::ONE => picture,
            DynamicImage::ImageLuma8(picture) => self.nearest(&picture).into(),
            picture => self.nearest(&picture.into_rgb8()).into(),
        }
    }

    fn nearest<P: Pixel>(
        self,
        picture: &ImageBuffer<P, Vec<P::Subpixel>>,
    ) -> ImageBuffer<P, Vec<P::Subpixel>> {
        let (width, height) = picture.dimensions();
        ImageBuffer::from_fn(width * self.0, height * self.0, |x, y| {
            *picture.get_pixel(x / self.0, y / self.0)
        })
    }
}

pub(super) fn parse(text: &str) -> Result<Scale, String> {
    let scale = number(text)
        .ok()
        .and_then(|scale| u32::try_from(scale).ok())
        .filter(|scale| (1..=LARGEST).contains(scale));
    scale.map(Scale).ok_or_else(|| format!("expected a number from 1 to {LARGEST}"))
}

#[cfg(test)]
mod tests {
    use fsvae::image::{GrayImage, Rgb, RgbImage};

    use super::*;

    #[test]
    fn a_pixel_becomes_a_square() {
        let grey = GrayImage::from_raw(2, 1, vec![7, 9]).expect("two pixels");
        let found = Scale(3).enlarge(grey.clone().into());
        assert_eq!((found.width(), found.height()), (6, 3));
        assert_eq!(found.as_bytes(), [7, 7, 7, 9, 9, 9].repeat(3));
        assert_eq!(Scale::ONE.enlarge(grey.clone().into()), grey.into());
        let colours = RgbImage::from_fn(3, 2, |x, y| Rgb([x as u8, y as u8, 5]));
        let found = Scale(2).enlarge(colours.clone().into()).into_rgb8();
        assert!(found.enumerate_pixels().all(|(x, y, pixel)| pixel == colours.get_pixel(x / 2, y / 2)));
        assert_eq!(Scale(2).size((3, 2, 3)), (6, 4, 3));
    }

    #[test]
    fn scales() {
        assert_eq!(["1", "8", "256"].map(parse), [Ok(Scale(1)), Ok(Scale(8)), Ok(Scale(256))]);
        for text in ["0", "257", "-1", "1.5", "x", "", "99999999999"] {
            assert_eq!(parse(text), Err("expected a number from 1 to 256".into()), "{text}");
        }
    }
}
