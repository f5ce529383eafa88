//! Pictures of any kind to pixels of the model's kind.

use std::io::Cursor;

use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, ImageResult, Limits};

use crate::architecture::Architecture;

/// A picture may have this many pixels a side; larger ones are refused before they are decoded.
const LARGEST_SIDE: u32 = 8192;
/// Bytes that decoding may take: four channels of 16 bits at the largest size.
const LARGEST_BYTES: u64 = 8 * (LARGEST_SIDE as u64).pow(2);

/// Decodes a picture in any format that the `image` crate is built with, told by its contents, and
/// turns it as its EXIF orientation says. Of an animation this is the first picture.
///
/// # Errors
/// The decoder's; pictures of more than 8192 pixels a side are refused by its limits, without
/// decoding them.
pub fn read_picture(bytes: &[u8]) -> ImageResult<DynamicImage> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST_SIDE);
    limits.max_image_height = Some(LARGEST_SIDE);
    limits.max_alloc = Some(LARGEST_BYTES);
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    limits.check_dimensions(width, height)?;
    limits.reserve(decoder.total_bytes())?;
    decoder.set_limits(limits)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

impl Architecture {
    /// A picture as the network's pixels, u8 `[side, side, channels]`: 16-bit channels are rounded to
    /// 8, alpha is laid over black, colours become grey (luma, Rec. 709) or grey becomes RGB, and
    /// where the size differs the picture is resized, without keeping its proportions, by `image`'s
    /// `Triangle` filter (bilinear, with the support widened when shrinking), which computes the same
    /// everywhere.
    pub fn fit(&self, picture: &DynamicImage) -> Vec<u8> {
        let mut picture = over_black(picture);
        let side = self.image_side() as u32;
        if (picture.width(), picture.height()) != (side, side) {
            picture = picture.resize_exact(side, side, FilterType::Triangle);
        }
        if self.image_channels == 1 {
            picture.into_luma8().into_raw()
        } else {
            picture.into_rgb8().into_raw()
        }
    }
}

fn over_black(picture: &DynamicImage) -> DynamicImage {
    if !picture.color().has_alpha() {
        // Grey stays grey: its luma is itself, to the bit.
        return if picture.color().has_color() {
            picture.to_rgb8().into()
        } else {
            picture.to_luma8().into()
        };
    }
    let mut picture = picture.to_rgba8();
    for pixel in picture.pixels_mut() {
        let [r, g, b, a] = pixel.0;
        let over = |value: u8| ((u16::from(value) * u16::from(a) + 127) / 255) as u8;
        pixel.0 = [over(r), over(g), over(b), 255];
    }
    DynamicImage::from(picture).into_rgb8().into()
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, ImageFormat, Rgba, RgbaImage};

    use super::*;

    fn architecture(image_channels: usize) -> Architecture {
        Architecture {
            time_steps: 1,
            latent_channels: 1,
            neurons_per_channel: 1,
            encoder_widths: vec![1],
            decoder_widths: vec![1, 1],
            image_channels,
        }
    }

    #[test]
    fn a_picture_of_the_right_kind_is_itself() {
        let grey = GrayImage::from_fn(4, 4, |x, y| image::Luma([(x * 60 + y) as u8]));
        assert_eq!(architecture(1).fit(&grey.clone().into()), grey.clone().into_raw());
        let rgb: Vec<u8> = grey.iter().flat_map(|&level| [level; 3]).collect();
        assert_eq!(architecture(3).fit(&grey.into()), rgb);
    }

    #[test]
    fn alpha_is_over_black() {
        let pixel = |x, _| Rgba([255, 100, 0, [0, 1, 128, 255][x as usize]]);
        let pixels = architecture(3).fit(&RgbaImage::from_fn(4, 4, pixel).into());
        assert_eq!(pixels[..12], [0, 0, 0, 1, 0, 0, 128, 50, 0, 255, 100, 0]);
    }

    #[test]
    fn another_size_is_resized() {
        let halves = GrayImage::from_fn(8, 2, |x, _| image::Luma([if x < 4 { 0 } else { 200 }]));
        let pixels = architecture(1).fit(&halves.into());
        assert_eq!(pixels.len(), 16);
        assert!(pixels.chunks(4).all(|row| row[0] < 20 && row[3] > 180 && row == &pixels[..4]));
    }

    #[test]
    fn sixteen_bits_are_rounded() {
        // 0x80ff / 257 is 128.49, 0x8101 / 257 is 128.5.
        for (level, expected) in [(0, 0), (0x80ff, 128), (0x8101, 129), (0xffff, 255)] {
            let deep = image::ImageBuffer::<image::Luma<u16>, _>::from_pixel(4, 4, image::Luma([level]));
            assert_eq!(architecture(1).fit(&DynamicImage::ImageLuma16(deep)), [expected; 16]);
        }
    }

    #[test]
    fn sizes_are_limited_before_decoding() {
        let encode = |width, height| {
            let mut bytes = Cursor::new(Vec::new());
            GrayImage::new(width, height).write_to(&mut bytes, ImageFormat::Png).expect("a PNG");
            bytes.into_inner()
        };
        assert!(read_picture(&encode(8192, 1)).is_ok());
        for (width, height) in [(8193, 1), (1, 60000), (10_000, 10_000)] {
            let error = read_picture(&encode(width, height)).expect_err("too large").to_string();
            assert!(error.contains("limit"), "{error}");
        }
    }
}
