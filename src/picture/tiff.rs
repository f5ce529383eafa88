//! What `image` leaves out of TIFF: palettes, grey with alpha, colours that are multiplied by their alpha.

use std::io::Cursor;

use image::error::{DecodingError, ImageFormatHint};
use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer, ImageError, ImageFormat, ImageResult, Limits};
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::{ExtraSamples, Tag};

use super::check_size;

fn failure(problem: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ImageError {
    ImageError::Decoding(DecodingError::new(ImageFormatHint::Exact(ImageFormat::Tiff), problem))
}

/// A picture of a kind that `image` does not know; None if it is of no kind that is known here.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> ImageResult<Option<DynamicImage>> {
    let indices = as_grey(bytes);
    let is_indexed = indices.is_some();
    let bytes = indices.as_deref().unwrap_or(bytes);
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(failure)?;
    let (width, height) = decoder.dimensions().map_err(failure)?;
    check_size(limits, width, height)?;
    let color = decoder.colortype().map_err(failure)?;
    let orientation = decoder.find_tag_unsigned::<u8>(Tag::Orientation).ok().flatten();

    let picture = if is_indexed {
        let map = decoder.get_tag_u16_vec(Tag::ColorMap).map_err(failure)?;
        match (color, decoder.read_image().map_err(failure)?) {
            (ColorType::Gray(bits @ (1 | 2 | 4 | 8)), DecodingResult::U8(packed)) => {
                coloured(&packed, width, bits, &map).and_then(|pixels| {
                    ImageBuffer::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
                })
            }
            _ => return Ok(None),
        }
    } else {
        let ColorType::Multiband { num_samples: 2, .. } = color else { return Ok(None) };
        match decoder.read_image().map_err(failure)? {
            DecodingResult::U8(samples) => {
                ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLumaA8)
            }
            DecodingResult::U16(samples) => {
                ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLumaA16)
            }
            _ => return Ok(None),
        }
    };
    let mut picture = picture.ok_or_else(|| failure("pixels are missing"))?;
    if let Some(orientation) = orientation.and_then(Orientation::from_exif) {
        picture.apply_orientation(orientation);
    }
    Ok(Some(over_black(bytes, picture)))
}

/// Colours that are already multiplied by their alpha, as few programs store them, are what they are over black.
pub(super) fn over_black(bytes: &[u8], picture: DynamicImage) -> DynamicImage {
    if !picture.color().has_alpha() {
        return picture;
    }
    let associated = u32::from(ExtraSamples::AssociatedAlpha.to_u16());
    let extra = Decoder::new(Cursor::new(bytes))
        .and_then(|mut decoder| decoder.find_tag_unsigned_vec::<u32>(Tag::ExtraSamples));
    if !extra.is_ok_and(|extra| extra.is_some_and(|extra| extra.first() == Some(&associated))) {
        return picture;
    }
    match picture {
        DynamicImage::ImageLumaA8(_) => picture.into_luma8().into(),
        DynamicImage::ImageLumaA16(_) => picture.into_luma16().into(),
        DynamicImage::ImageRgba16(_) => picture.into_rgb16().into(),
        _ => picture.into_rgb8().into(),
    }
}

/// A file with a palette as one without, whose greys are the indices: the decoder takes no other.
fn as_grey(bytes: &[u8]) -> Option<Vec<u8>> {
    const PHOTOMETRIC: u16 = 262;
    const PALETTE: u16 = 3;
    let big = bytes.starts_with(b"MM");
    let u16_at = |at: usize| {
        let pair = *bytes.get(at..)?.first_chunk()?;
        Some(if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) })
    };
    let quad = *bytes.get(4..)?.first_chunk()?;
    let directory = if big { u32::from_be_bytes(quad) } else { u32::from_le_bytes(quad) };
    let first = usize::try_from(directory).ok()?;
    let entries = usize::from(u16_at(first)?);
    let entry = (0..entries)
        .map_while(|i| first.checked_add(2 + 12 * i))
        .find(|&at| u16_at(at) == Some(PHOTOMETRIC))?;
    if u16_at(entry + 8)? != PALETTE {
        return None;
    }
    let mut grey = bytes.to_vec();
    grey[entry + 8..entry + 10].copy_from_slice(&if big { 1_u16.to_be_bytes() } else { 1_u16.to_le_bytes() });
    Some(grey)
}

/// The palette has all reds, all greens, all blues. Some writers store a level as its upper byte only, so
/// the lower one counts for nothing.
fn coloured(packed: &[u8], width: u32, bits: u8, map: &[u16]) -> Option<Vec<u8>> {
    let (width, bits, colours) = (width as usize, usize::from(bits), 1 << bits);
    let mut pixels = Vec::new();
    for row in packed.chunks((width * bits).div_ceil(8).max(1)) {
        for x in 0..width {
            let shift = 8 - bits - x * bits % 8;
            let index = usize::from(*row.get(x * bits / 8)? >> shift) % colours;
            for channel in 0..3 {
                pixels.push((map.get(channel * colours + index)? >> 8) as u8);
            }
        }
    }
    Some(pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_of_few_bits_are_unpacked_row_by_row() {
        let map: Vec<u16> = (0..12).map(|i| i * 257).collect();
        // 0 1 2 3 3 and padding, 3 2 1 0 0 and padding.
        let packed = [0b0001_1011, 0b1100_0000, 0b1110_0100, 0];
        let pixels = coloured(&packed, 5, 2, &map).expect("pixels");
        let reds: Vec<u8> = pixels.chunks(3).map(|pixel| pixel[0]).collect();
        assert_eq!(reds, [0, 1, 2, 3, 3, 3, 2, 1, 0, 0]);
        assert!(pixels.chunks(3).all(|pixel| pixel[1] == pixel[0] + 4 && pixel[2] == pixel[0] + 8));
        assert_eq!(coloured(&packed, 5, 2, &map[..11]), None);
        assert_eq!(coloured(&packed[..3], 5, 2, &map), None);
    }
}
