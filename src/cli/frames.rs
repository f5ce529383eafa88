//! Several pictures in one stream, as ffmpeg and others write them: raw frames, or files one after the other.

mod ends;

use std::path::Path;

use clap::ValueEnum;
use fsvae::Architecture;
use fsvae::image::{DynamicImage, GrayImage, RgbImage};

use self::ends::{Start, start};
use super::Failure;

/// What the bytes of an input are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum InputFormat {
    /// Pictures of any format; on standard input and from pipes also files one after the other (ffmpeg -f image2pipe), of
    /// any format but TGA and plain PNM
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
            let found = if frames.len() == 1 { "1 frame".into() } else { format!("{} frames", frames.len()) };
            return Err(Failure::Input(format!(
                "{}: expected frames of {frame} bytes ({name}, {side} x {side} pixels), found {found} and {rest} bytes",
                path.display(),
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

/// What a stream holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stream<'a> {
    /// One file after the other.
    pub(super) pictures: Vec<&'a [u8]>,
    /// What is left, in words, where neither a picture nor an end is.
    pub(super) rest: Option<String>,
}

/// The files of a stream. White space and zeros behind a file are nothing, as programs fill up and end their output. What
/// begins with no picture is one file: what is wrong with it the decoder will say.
pub(super) fn split(bytes: &[u8]) -> Stream<'_> {
    let (mut pictures, mut at) = (Vec::new(), 0);
    loop {
        let rest = &bytes[at..];
        match start(rest) {
            Start::Picture(length) => {
                pictures.push(&rest[..length]);
                at += length;
            }
            Start::Open => {
                pictures.push(rest);
                break;
            }
            Start::Unknown if pictures.is_empty() => {
                pictures.push(rest);
                break;
            }
            Start::Unknown => {
                let found: String = rest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
                let after = pictures.len() - 1;
                let rest =
                    format!("after picture {after}, at byte {at}: expected a picture, found `{found}`");
                return Stream { pictures, rest: Some(rest) };
            }
        }
        let filling = |byte: &&u8| **byte == 0 || byte.is_ascii_whitespace();
        at += bytes[at..].iter().take_while(filling).count();
        if at == bytes.len() {
            break;
        }
    }
    Stream { pictures, rest: None }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use fsvae::image::ImageFormat;

    use super::*;

    /// Every format that says where it ends.
    const FORMATS: [ImageFormat; 8] = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Bmp,
        ImageFormat::Pnm,
        ImageFormat::WebP,
        ImageFormat::Gif,
        ImageFormat::Qoi,
        ImageFormat::Tiff,
    ];

    fn encoded(n: u8, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let picture = RgbImage::from_fn(41, 30, |x, y| fsvae::image::Rgb([(x * y) as u8 ^ n, n, x as u8]));
        picture.write_to(&mut bytes, format).expect("encoded");
        bytes.into_inner()
    }

    fn pictures(stream: &[u8]) -> Vec<&[u8]> {
        let found = split(stream);
        assert_eq!(found.rest, None);
        found.pictures
    }

    #[test]
    fn streams_are_split_where_files_end() {
        for format in FORMATS {
            let files = [encoded(0, format), encoded(9, format), encoded(200, format)];
            let stream = files.concat();
            assert_eq!(pictures(&stream), files, "{format:?}");
            // The last is cut: it is still one of three.
            assert_eq!(split(&stream[..stream.len() - 5]).pictures.len(), 3, "{format:?}");
            assert_eq!(pictures(&files[0]), [&files[0]], "{format:?}");
            for filling in [&b"\n"[..], b"\r\n", b"\0\0\0\0", b" "] {
                assert_eq!(pictures(&files.join(filling)), files, "{format:?}");
                assert_eq!(pictures(&[&stream[..], filling].concat()), files, "{format:?}");
            }
            let trailed = [&stream[..], b"\nand more"].concat();
            let Stream { pictures, rest } = split(&trailed);
            assert_eq!(pictures, files, "{format:?}");
            let place = stream.len() + 1;
            let expected = format!("after picture 2, at byte {place}: expected a picture, found `616e6420`");
            assert_eq!(rest, Some(expected));
        }
        assert_eq!(pictures(b""), [b""]);
        assert_eq!(pictures(b"GIF89a"), [b"GIF89a"]);
        assert_eq!(pictures(b"\0\0\x02"), [b"\0\0\x02"]);
    }

    #[test]
    fn files_of_many_kinds_follow_each_other() {
        let files = FORMATS.map(|format| encoded(7, format));
        assert_eq!(pictures(&files.concat()), files);
        let maps: [&[u8]; 5] = [
            b"P4\n# wide\n9 2\n\xff\x80\0\0",
            b"P5 2 2 255\n\n\n\n\n",
            b"P5 1 1 65535\nP5",
            b"P6\n1 1\n#x\n255\nabc",
            b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 2\nMAXVAL 255\nTUPLTYPE GRAYSCALE_ALPHA\nENDHDR\nabcd",
        ];
        assert_eq!(pictures(&maps.concat()), maps);
    }

    /// Nothing that a stream may hold is read past its end.
    #[test]
    fn every_cut_is_taken() {
        for format in FORMATS {
            let file = encoded(0, format);
            for length in 0..file.len() {
                let found = split(&file[..length]);
                assert_eq!(found.pictures[0], &file[..length], "{format:?}");
            }
            // Lengths that are none.
            for at in 0..file.len().min(400) {
                for value in [0, 0x7f, 0xff] {
                    let mut wrong = file.clone();
                    wrong[at] = value;
                    assert!(!split(&wrong).pictures.is_empty());
                }
            }
        }
    }
}
