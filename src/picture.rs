//! Pictures of any kind to pixels of the model's kind.

#[cfg(feature = "cli")]
mod tiff;
mod whole;

use std::cell::Cell;
use std::io::{self, Cursor};
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::error::{DecodingError, ImageFormatHint};
use image::imageops::{FilterType, resize};
use image::metadata::Orientation;
use image::{
    DynamicImage, ImageBuffer, ImageDecoder, ImageError, ImageFormat, ImageReader, ImageResult, Limits,
    Pixel, Rgb, RgbImage, RgbaImage,
};

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
/// decoding them, and so are those of no pixels; files that were cut are refused, though part of the picture could be shown.
/// A decoder that panics is an error, too, where panics unwind.
pub fn read_picture(bytes: &[u8]) -> ImageResult<DynamicImage> {
    READING.set(true);
    let read = catch_unwind(AssertUnwindSafe(|| decode(bytes)));
    READING.set(false);
    read.unwrap_or_else(|_| Err(unreadable("the file is damaged")))
}

/// An error in these words and no others.
fn unreadable(problem: impl Into<String>) -> ImageError {
    ImageError::IoError(io::Error::new(io::ErrorKind::InvalidData, problem.into()))
}

thread_local! {
    static READING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread decodes a picture. A panic then is a decoder's that met a file its authors did not think of, and
/// is caught.
#[doc(hidden)]
pub fn is_reading_a_picture() -> bool {
    READING.get()
}

fn decode(bytes: &[u8]) -> ImageResult<DynamicImage> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST_SIDE);
    limits.max_image_height = Some(LARGEST_SIDE);
    limits.max_alloc = Some(LARGEST_BYTES);
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    match reader.format() {
        None if ImageFormat::Tga.reading_enabled() && is_tga(bytes) => reader.set_format(ImageFormat::Tga),
        Some(format) if !whole::is_whole(bytes, format) => {
            let cut =
                DecodingError::new(ImageFormatHint::Exact(format), "the file was cut, its end is missing");
            return Err(ImageError::Decoding(cut));
        }
        _ => {}
    }
    reader.limits(limits.clone());
    #[cfg(feature = "cli")]
    let is_tiff = reader.format() == Some(ImageFormat::Tiff);
    let decoder = reader.into_decoder();
    #[cfg(feature = "cli")]
    if is_tiff
        && let Err(ImageError::Unsupported(_)) = &decoder
        && let Some(picture) = tiff::read(bytes, &limits)?
    {
        return Ok(picture);
    }
    let mut decoder = decoder?;
    let (width, height) = decoder.dimensions();
    check_size(&limits, width, height)?;
    limits.reserve(decoder.total_bytes())?;
    decoder.set_limits(limits)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    #[cfg(feature = "cli")]
    if is_tiff {
        picture = tiff::over_black(bytes, picture);
    }
    Ok(picture)
}

/// Decoders take pictures of no pixels, which formats such as PNM can say.
fn check_size(limits: &Limits, width: u32, height: u32) -> ImageResult<()> {
    if width == 0 || height == 0 {
        return Err(unreadable(format!("it has no pixels ({width} x {height})")));
    }
    limits.check_dimensions(width, height)
}

/// TGA has no signature, and `image` does not guess it: a header in which every field is one of those that
/// the format has. No text and no other format's signature passes for one.
fn is_tga(bytes: &[u8]) -> bool {
    let Some(header) = bytes.first_chunk::<18>() else { return false };
    let [_, map_type, kind, _, _, _, _, map_depth, _, _, _, _, w0, w1, h0, h1, depth, descriptor] = *header;
    let fits = match kind {
        // Indexed, plain and run-length encoded.
        1 | 9 => map_type == 1 && [15, 16, 24, 32].contains(&map_depth) && [8, 16].contains(&depth),
        2 | 10 => map_type <= 1 && [15, 16, 24, 32].contains(&depth),
        3 | 11 => map_type <= 1 && [8, 16].contains(&depth),
        _ => false,
    };
    // Two bits for interleaving are no longer used, four count the bits of alpha.
    fits && (w0 | w1) != 0 && (h0 | h1) != 0 && descriptor & 0xc0 == 0 && descriptor & 0x0f <= 8
}

impl Architecture {
    /// A picture as the network's pixels, u8 `[side, side, channels]`: 16-bit channels are rounded to
    /// 8, alpha is laid over black, colours become grey (luma, Rec. 709) or grey becomes RGB, and
    /// where the size differs the picture is resized, without keeping its proportions, by `image`'s
    /// `Triangle` filter (bilinear, with the support widened when shrinking), which computes the same
    /// everywhere.
    pub fn fit(&self, picture: &DynamicImage) -> Vec<u8> {
        if picture.color().has_alpha() {
            self.fit_rgba(picture.to_rgba8())
        } else if picture.color().has_color() {
            self.fit_rgb(picture.to_rgb8())
        } else if self.image_channels == 1 {
            self.resized(picture.to_luma8()).into_raw() // grey stays grey: its luma is itself, to the bit
        } else {
            DynamicImage::from(self.resized(picture.to_luma8())).into_rgb8().into_raw()
        }
    }

    /// [`fit`](Architecture::fit) for what canvases and textures hold, without code for other pictures.
    pub fn fit_rgba(&self, picture: RgbaImage) -> Vec<u8> {
        let (width, height) = picture.dimensions();
        let mut picture = picture.pixels();
        self.fit_rgb(RgbImage::from_fn(width, height, |_, _| {
            let [r, g, b, a] = picture.next().map_or([0; 4], |pixel| pixel.0);
            Rgb([r, g, b].map(|value| ((u16::from(value) * u16::from(a) + 127) / 255) as u8))
        }))
    }

    fn fit_rgb(&self, picture: RgbImage) -> Vec<u8> {
        let pixels = self.resized(picture).into_raw();
        if self.image_channels == 1 { grey(&pixels) } else { pixels }
    }

    /// At the network's size.
    fn resized<P: Pixel<Subpixel = u8> + 'static>(
        &self,
        picture: ImageBuffer<P, Vec<u8>>,
    ) -> ImageBuffer<P, Vec<u8>> {
        let side = self.image_side() as u32;
        if picture.dimensions() == (side, side) {
            return picture;
        }
        resize(&picture, side, side, FilterType::Triangle)
    }
}

/// Luma of RGB in integers: `image` computes it in floating point, fused on some machines and not on others.
fn grey(pixels: &[u8]) -> Vec<u8> {
    let luma = |&[r, g, b]: &[u8; 3]| {
        ((2126 * u32::from(r) + 7152 * u32::from(g) + 722 * u32::from(b) + 5000) / 10_000) as u8
    };
    pixels.as_chunks::<3>().0.iter().map(luma).collect()
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, ImageFormat, Rgba, RgbaImage};

    use super::*;

    fn architecture(image_channels: usize) -> Architecture {
        Architecture {
            time_steps: 1,
            latent_channels: 1,
            family: crate::Family::Esvae,
            rate_widths: Vec::new(),
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
    fn a_canvas_is_resized_as_any_picture() {
        let canvas =
            RgbaImage::from_fn(37, 11, |x, y| Rgba([(7 * x) as u8, (13 * y) as u8, (x * y) as u8, 255]));
        let picture = DynamicImage::ImageRgba8(canvas.clone());
        let resized =
            DynamicImage::ImageRgb8(picture.to_rgb8()).resize_exact(4, 4, FilterType::Triangle).into_rgb8();
        assert_eq!(architecture(3).fit_rgba(canvas.clone()), resized.into_raw());
        let opaque = DynamicImage::ImageRgb8(picture.to_rgb8());
        assert_eq!(architecture(1).fit_rgba(canvas), architecture(1).fit(&opaque));
    }

    #[test]
    fn colours_become_their_luma_to_the_nearest() {
        let colours = [([255, 255, 255], 255), ([255, 0, 0], 54), ([0, 255, 0], 182), ([0, 0, 255], 18)];
        for (colour, luma) in colours {
            let picture = image::RgbImage::from_pixel(4, 4, image::Rgb(colour));
            assert_eq!(architecture(1).fit(&picture.into()), [luma; 16], "{colour:?}");
        }
    }

    #[test]
    fn sixteen_bits_are_rounded() {
        // 0x80ff / 257 is 128.49, 0x8101 / 257 is 128.5.
        for (level, expected) in [(0, 0), (0x80ff, 128), (0x8101, 129), (0xffff, 255)] {
            let deep = image::ImageBuffer::<image::Luma<u16>, _>::from_pixel(4, 4, image::Luma([level]));
            assert_eq!(architecture(1).fit(&DynamicImage::ImageLuma16(deep)), [expected; 16]);
        }
    }

    /// `cli` has the decoder; the header is known without it.
    #[test]
    fn a_tga_is_known_by_its_header() {
        let header = |map, kind, depth, descriptor| {
            [0, map, kind, 0, 0, 0, 0, 24 * map, 0, 0, 0, 0, 8, 0, 8, 0, depth, descriptor]
        };
        for (map, kind, depth) in [(0, 2, 24), (0, 10, 32), (0, 3, 8), (0, 11, 8), (1, 1, 8), (0, 2, 16)] {
            assert!(is_tga(&header(map, kind, depth, 0x20)), "{kind}");
        }
        for (map, kind, depth, descriptor) in
            [(0, 1, 8, 0), (0, 0, 24, 0), (0, 4, 24, 0), (0, 2, 23, 0), (2, 2, 24, 0), (0, 2, 24, 0x80)]
        {
            assert!(!is_tga(&header(map, kind, depth, descriptor)), "{map} {kind} {depth} {descriptor}");
        }
        assert!(!is_tga(&header(0, 2, 24, 0)[..17]));
        assert!(!is_tga(&[0; 100]));
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
