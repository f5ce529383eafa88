//! Several pictures in one stream, as ffmpeg and others write them: raw frames, or PNG or JPEG files one after the other.

use std::path::Path;

use clap::ValueEnum;
use fsvae::Architecture;
use fsvae::image::{DynamicImage, GrayImage, RgbImage};

use super::Failure;

/// What the bytes of an input are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum InputFormat {
    /// Pictures of any format; on standard input and from pipes also PNG or JPEG files one after the other (ffmpeg -f
    /// image2pipe)
    #[default]
    #[value(alias = "png-stream", alias = "image2pipe")]
    Pictures,
    /// Frames of the model's size: bytes R, G, B of each pixel and nothing else (ffmpeg -f rawvideo -pix_fmt rgb24)
    Rgb24,
    /// Frames of the model's size: a byte of each pixel and nothing else (ffmpeg -f rawvideo -pix_fmt gray)
    #[value(alias = "grey")]
    Gray,
}

impl InputFormat {
    /// Frames without headers as pictures.
    pub(super) fn raw(
        self,
        path: &Path,
        bytes: &[u8],
        architecture: &Architecture,
    ) -> Result<Vec<DynamicImage>, Failure> {
        let side = architecture.image_side();
        let frame = side * side * if self == InputFormat::Gray { 1 } else { 3 };
        let (frames, rest) = (bytes.chunks_exact(frame), bytes.len() % frame);
        if bytes.is_empty() || rest != 0 {
            let name = self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
            return Err(Failure::Input(format!(
                "{}: expected frames of {frame} bytes ({name}, {side} x {side} pixels), found {} and {rest} bytes",
                path.display(),
                frames.len(),
            )));
        }
        let side = side as u32;
        let picture = |frame: &[u8]| match self {
            InputFormat::Gray => GrayImage::from_raw(side, side, frame.to_vec()).map(DynamicImage::from),
            _ => RgbImage::from_raw(side, side, frame.to_vec()).map(DynamicImage::from),
        };
        Ok(frames.filter_map(picture).collect())
    }
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const JPEG: &[u8] = &[0xff, 0xd8, 0xff];

/// The files of a stream; all of it, if it is not of PNG and JPEG files alone.
pub(super) fn split(bytes: &[u8]) -> Vec<&[u8]> {
    let (mut files, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let end = if rest.starts_with(PNG) {
            end_of_png(rest)
        } else if rest.starts_with(JPEG) {
            end_of_jpeg(rest)
        } else {
            return vec![bytes];
        };
        // Of a file that is cut the decoder will say so.
        let (file, others) = rest.split_at(end.unwrap_or(rest.len()));
        files.push(file);
        rest = others;
    }
    if files.is_empty() { vec![bytes] } else { files }
}

/// Chunks of length, type, data and checksum, up to IEND.
fn end_of_png(bytes: &[u8]) -> Option<usize> {
    let mut at = PNG.len();
    loop {
        let head = bytes.get(at..at.checked_add(8)?)?;
        let (length, kind) = head.split_at(4);
        at = at.checked_add(12)?.checked_add(u32::from_be_bytes(length.try_into().ok()?) as usize)?;
        if kind == b"IEND" {
            return (at <= bytes.len()).then_some(at);
        }
    }
}

/// Segments that say how long they are, and after each start of a scan bytes up to the next marker.
fn end_of_jpeg(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        let [0xff, marker] = *bytes.get(at..at + 2)? else { return None };
        match marker {
            0xff => at += 1, // fill
            0xd9 => return Some(at + 2),
            0x01 | 0xd0..=0xd8 => at += 2,
            _ => {
                let length = bytes.get(at + 2..at + 4)?;
                at += 2 + usize::from(u16::from_be_bytes(length.try_into().ok()?));
                if marker == 0xda {
                    // 0 makes a byte of 255 data, and markers of restarts belong to it.
                    let is_marker =
                        |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff);
                    at += bytes.get(at..)?.windows(2).position(is_marker)?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use fsvae::image::{ImageFormat, Luma};

    use super::*;

    fn encoded(n: u8, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let picture = GrayImage::from_fn(40, 30, |x, y| Luma([(x * y) as u8 ^ n]));
        picture.write_to(&mut bytes, format).expect("encoded");
        bytes.into_inner()
    }

    #[test]
    fn streams_are_split_where_files_end() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let files = [encoded(0, format), encoded(9, format), encoded(200, format)];
            let stream = files.concat();
            assert_eq!(split(&stream), files);
            // The last is cut: it is still one of three.
            assert_eq!(split(&stream[..stream.len() - 5]).len(), 3);
            assert_eq!(split(&files[0]), [&files[0]]);
            // What follows is no picture: the decoder sees it all.
            let trailed = [&files[0][..], b"and more"].concat();
            assert_eq!(split(&trailed), [&trailed]);
        }
        assert_eq!(split(b""), [b""]);
        assert_eq!(split(b"GIF89a"), [b"GIF89a"]);
    }

    /// Nothing that a stream may hold is read past its end.
    #[test]
    fn every_cut_is_taken() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let file = encoded(0, format);
            for length in 0..file.len() {
                assert_eq!(split(&file[..length]).concat(), &file[..length]);
            }
        }
    }
}
