//! Every format that pictures are written in: what it is called, which colours it has, how large it may be. Asked
//! before anything is computed.

use std::borrow::Cow;
use std::io::Cursor;
use std::path::Path;

use clap::ValueEnum;
use fsvae::image::codecs::pnm::{PnmEncoder, PnmSubtype, SampleEncoding};
use fsvae::image::{DynamicImage, ImageFormat, ImageResult};

use super::Failure;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Png,
    /// PNG; as an animation, APNG
    Apng,
    #[value(alias = "jpeg")]
    Jpg,
    Bmp,
    Gif,
    Webp,
    #[value(alias = "tif")]
    Tiff,
    Tga,
    Qoi,
    /// Netpbm, 1 bit: a level of 128 or more is white
    Pbm,
    /// Netpbm, grey
    Pgm,
    /// Netpbm, RGB
    Ppm,
    /// PGM or PPM, as the model is
    Pnm,
    /// Netpbm's PAM, grey or RGB
    Pam,
    /// Frames: bytes R, G, B of each pixel and nothing else, image after image (ffmpeg -f rawvideo -pix_fmt rgb24)
    Rgb24,
    /// Frames: a byte of each pixel and nothing else, image after image (ffmpeg -f rawvideo -pix_fmt gray)
    #[value(alias = "grey")]
    Gray,
    /// Frames: PNG files one after the other (ffmpeg -f image2pipe)
    #[value(alias = "image2pipe")]
    PngStream,
}

/// The colours of a format. Grey becomes RGB without a loss; RGB becomes grey as luma (Rec. 709).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colours {
    GreyOrRgb,
    Grey,
    Rgb,
    BlackOrWhite,
}

/// What there is to know of a format.
struct Row {
    /// The first is the usual one. Empty where a name does not say it.
    extensions: &'static [&'static str],
    colours: Colours,
    /// Pixels a side.
    side: u32,
    /// Pixels in all.
    pixels: u64,
    /// Whether images are written one after the other.
    frames: bool,
}

/// Any size that there is memory for.
const ANY: Row = Row {
    extensions: &[],
    colours: Colours::GreyOrRgb,
    side: i32::MAX as u32,
    pixels: u64::MAX,
    frames: false,
};
const U16: u32 = u16::MAX as u32;

impl Format {
    fn row(self) -> Row {
        use Colours::{BlackOrWhite, Grey, Rgb};
        match self {
            Format::Png => Row { extensions: &["png"], ..ANY },
            Format::Apng => Row { extensions: &["apng"], ..ANY },
            Format::Jpg => Row { extensions: &["jpg", "jpeg", "jfif"], side: U16, ..ANY },
            // Its header counts the file's bytes in 32 bits.
            Format::Bmp => Row { extensions: &["bmp"], pixels: u32::MAX as u64 / 4, ..ANY },
            Format::Gif => Row { extensions: &["gif"], colours: Rgb, side: U16, ..ANY },
            Format::Webp => Row { extensions: &["webp"], side: 16383, ..ANY },
            // Offsets in 32 bits.
            Format::Tiff => Row { extensions: &["tiff", "tif"], pixels: u32::MAX as u64 / 4, ..ANY },
            Format::Tga => Row { extensions: &["tga"], side: U16, ..ANY },
            // Its readers refuse more.
            Format::Qoi => Row { extensions: &["qoi"], colours: Rgb, pixels: 400_000_000, ..ANY },
            Format::Pbm => Row { extensions: &["pbm"], colours: BlackOrWhite, ..ANY },
            Format::Pgm => Row { extensions: &["pgm"], colours: Grey, ..ANY },
            Format::Ppm => Row { extensions: &["ppm"], colours: Rgb, ..ANY },
            Format::Pnm => Row { extensions: &["pnm"], ..ANY },
            Format::Pam => Row { extensions: &["pam"], ..ANY },
            Format::Rgb24 => Row { colours: Rgb, frames: true, ..ANY },
            Format::Gray => Row { colours: Grey, frames: true, ..ANY },
            Format::PngStream => Row { frames: true, ..ANY },
        }
    }

    /// The format that a file name's extension says, if it is one's.
    pub(super) fn named(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_string_lossy().to_lowercase();
        let named = |format: &&Format| format.row().extensions.contains(&&*extension);
        Format::value_variants().iter().find(named).copied()
    }

    /// The format that a file name's extension says.
    pub(super) fn of_path(path: &Path) -> Result<Self, Failure> {
        Format::named(path).ok_or_else(|| Format::unknown(path, ""))
    }

    /// A file name says no format. `other` is what might stand there besides, with words around it.
    pub(super) fn unknown(path: &Path, other: &str) -> Failure {
        let mut known: Vec<&str> = Format::value_variants()
            .iter()
            .filter_map(|format| format.row().extensions.first().copied())
            .collect();
        known.sort_unstable();
        let extension = path.extension().filter(|extension| !extension.is_empty());
        Failure::Input(format!(
            "{}: expected {other}an image extension ({}) or --format, found {}",
            path.display(),
            known.join(", "),
            extension.map_or("none".into(), |extension| extension.to_string_lossy())
        ))
    }

    /// Refuses a picture's name for what is none: it may be a picture's that a shell's glob put there. `kind` says what
    /// kind of file it is.
    pub(super) fn check_none(path: &Path, kind: &str) -> Result<(), Failure> {
        match path.extension() {
            Some(found) if Format::named(path).is_some() || ImageFormat::from_extension(found).is_some() => {
                let (path, found) = (path.display(), found.to_string_lossy());
                Err(Failure::Input(format!("{path}: {kind}, found a picture's extension, {found}")))
            }
            _ => Ok(()),
        }
    }

    /// Whether images are written one after the other, without a picture of them all.
    pub(super) fn is_frames(self) -> bool {
        self.row().frames
    }

    /// Whether its frames are pixels and nothing else.
    pub(super) fn is_raw(self) -> bool {
        [Format::Rgb24, Format::Gray].contains(&self)
    }

    /// Whether a picture of this size can be written, so many times as large as a tile.
    pub(super) fn check(self, path: &Path, width: u64, height: u64) -> Result<(), Failure> {
        let Row { side, pixels, .. } = self.row();
        let problem = if width.max(height) > u64::from(side) {
            format!("at most {side} pixels a side")
        } else if width.saturating_mul(height) > pixels {
            format!("at most {pixels} pixels")
        } else {
            return Ok(());
        };
        let name = self.name();
        Err(Failure::Input(format!(
            "{}: a picture in the format {name} has {problem}, this one would have {width} x {height}",
            path.display()
        )))
    }

    pub(super) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// A file of this format; of formats of frames, one frame.
    pub(super) fn encode(self, picture: &DynamicImage) -> ImageResult<Vec<u8>> {
        let picture = self.coloured(picture);
        let mut bytes = Cursor::new(Vec::new());
        let format = match self {
            Format::Png | Format::Apng | Format::PngStream => ImageFormat::Png,
            Format::Jpg => ImageFormat::Jpeg,
            Format::Bmp => ImageFormat::Bmp,
            Format::Gif => ImageFormat::Gif,
            Format::Webp => ImageFormat::WebP,
            Format::Tiff => ImageFormat::Tiff,
            Format::Tga => ImageFormat::Tga,
            Format::Qoi => ImageFormat::Qoi,
            Format::Rgb24 | Format::Gray => return Ok(picture.into_owned().into_bytes()),
            Format::Pbm => return Ok(bitmap(&picture)),
            Format::Pgm | Format::Ppm | Format::Pnm | Format::Pam => {
                let subtype = match self {
                    Format::Pam => PnmSubtype::ArbitraryMap,
                    _ if picture.color().has_color() => PnmSubtype::Pixmap(SampleEncoding::Binary),
                    _ => PnmSubtype::Graymap(SampleEncoding::Binary),
                };
                picture.write_with_encoder(PnmEncoder::new(&mut bytes).with_subtype(subtype))?;
                return Ok(bytes.into_inner());
            }
        };
        picture.write_to(&mut bytes, format)?;
        Ok(bytes.into_inner())
    }

    /// The picture in colours that the format has.
    fn coloured(self, picture: &DynamicImage) -> Cow<'_, DynamicImage> {
        match (self.row().colours, picture.color().has_color()) {
            (Colours::Rgb, false) => Cow::Owned(picture.to_rgb8().into()),
            (Colours::Grey | Colours::BlackOrWhite, true) => Cow::Owned(picture.to_luma8().into()),
            _ => Cow::Borrowed(picture),
        }
    }
}

/// A grey picture as a binary PBM, where a set bit is black.
fn bitmap(picture: &DynamicImage) -> Vec<u8> {
    let (width, height) = (picture.width(), picture.height());
    let mut bytes = format!("P4\n{width} {height}\n").into_bytes();
    for row in picture.as_bytes().chunks(width.max(1) as usize) {
        bytes.extend(row.chunks(8).map(|levels| {
            let bit = |(at, &level): (usize, &u8)| u8::from(level < 128) << (7 - at);
            levels.iter().enumerate().map(bit).sum::<u8>()
        }));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use fsvae::image::{GrayImage, Luma, Rgb, RgbImage};

    use super::*;

    fn grey() -> DynamicImage {
        GrayImage::from_fn(11, 3, |x, y| Luma([(x * 23 + y) as u8])).into()
    }

    fn colours() -> DynamicImage {
        RgbImage::from_fn(11, 3, |x, y| Rgb([(x * 23) as u8, (y * 80) as u8, 7])).into()
    }

    #[test]
    fn netpbm_holds_what_the_name_says() {
        for (format, of_grey, of_colours) in [
            (Format::Pbm, "P4", "P4"),
            (Format::Pgm, "P5", "P5"),
            (Format::Ppm, "P6", "P6"),
            (Format::Pnm, "P5", "P6"),
            (Format::Pam, "P7", "P7"),
        ] {
            for (picture, magic) in [(grey(), of_grey), (colours(), of_colours)] {
                let bytes = format.encode(&picture).expect("encoded");
                assert_eq!(&bytes[..2], magic.as_bytes(), "{format:?}");
                let back = fsvae::read_picture(&bytes).expect("a picture");
                let expected = match format {
                    Format::Pgm => picture.to_luma8().into(),
                    Format::Ppm => picture.to_rgb8().into(),
                    Format::Pbm => {
                        let mut levels = picture.to_luma8();
                        levels.iter_mut().for_each(|level| *level = if *level < 128 { 0 } else { 255 });
                        levels.into()
                    }
                    _ => picture,
                };
                assert_eq!(back.to_rgb8(), expected.to_rgb8(), "{format:?}");
            }
        }
    }

    #[test]
    fn frames_are_pixels_and_nothing_else() {
        assert_eq!(Format::Gray.encode(&grey()).expect("encoded"), grey().as_bytes());
        assert_eq!(Format::Rgb24.encode(&colours()).expect("encoded"), colours().as_bytes());
        assert_eq!(Format::Rgb24.encode(&grey()).expect("encoded"), grey().to_rgb8().into_raw());
    }

    #[test]
    fn sizes() {
        let path = Path::new("x");
        for (format, largest) in
            [(Format::Jpg, 65535), (Format::Gif, 65535), (Format::Tga, 65535), (Format::Webp, 16383)]
        {
            assert!(format.check(path, largest, 1).is_ok() && format.check(path, 1, largest).is_ok());
            for (width, height) in [(largest + 1, 1), (1, largest + 1)] {
                let error = format.check(path, width, height).expect_err("too large");
                assert_eq!(error.code(), 2);
                assert!(error.to_string().contains(&format!("at most {largest} pixels a side")), "{error}");
            }
        }
        assert!(Format::Qoi.check(path, 20_000, 20_000).is_ok());
        assert!(Format::Qoi.check(path, 20_000, 20_001).is_err());
        assert!(Format::Png.check(path, 1 << 31, 1).is_err());
    }

    /// The encoder agrees with the table at the largest size and one past it. That of WebP writes one pixel more, which
    /// the format's own library does not read.
    #[test]
    fn the_encoders_take_what_the_table_allows() {
        for (format, more) in [(Format::Jpg, 1), (Format::Gif, 1), (Format::Tga, 1), (Format::Webp, 2)] {
            let side = format.row().side;
            assert!(format.encode(&GrayImage::new(side, 1).into()).is_ok(), "{format:?}");
            assert!(format.encode(&GrayImage::new(side + more, 1).into()).is_err(), "{format:?}");
        }
    }
}
