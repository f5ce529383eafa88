//! Pictures one after the other: a GIF, an APNG, or a file for each.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fsvae::image::codecs::gif::{GifEncoder, Repeat};
use fsvae::image::{Delay, DynamicImage, Frame, ImageError, ImageFormat};

use super::Failure;
use super::output::{Target, format};

/// Stands for the number of the picture.
const STEP: &str = "{step}";
/// How long a picture is shown, and the last one.
const DELAY: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(1500)];

pub(super) enum Animation {
    Gif(Target),
    Apng(Target),
    Files { pattern: String, format: ImageFormat },
}

impl Animation {
    /// The kind that a path names; `None` if it names none.
    pub(super) fn of_path(path: &Path) -> Result<Option<Self>, Failure> {
        let extension = path.extension().map(std::ffi::OsStr::to_ascii_lowercase);
        if let Some(pattern) = path.to_str().filter(|path| path.contains(STEP)) {
            let format = format(path)?;
            Target::new(path)?;
            return Ok(Some(Animation::Files { pattern: pattern.into(), format }));
        }
        match extension.as_ref().and_then(|extension| extension.to_str()) {
            Some("gif") => Ok(Some(Animation::Gif(Target::new(path)?))),
            Some("apng") => Ok(Some(Animation::Apng(Target::new(path)?))),
            _ => Ok(None),
        }
    }

    /// [`Animation::of_path`], where it must be one.
    pub(super) fn new(path: &Path) -> Result<Self, Failure> {
        Animation::of_path(path)?.ok_or_else(|| {
            let path = path.display();
            Failure::Input(format!("{path}: expected an animation: .gif, .apng, or {STEP} in the name"))
        })
    }

    /// Writes pictures of the same size.
    pub(super) fn write(self, pictures: &[DynamicImage]) -> Result<String, Failure> {
        match self {
            Animation::Gif(target) => {
                let text = target.path().display().to_string();
                let bytes =
                    gif(pictures).map_err(|source| Failure::Encode { place: text.clone(), source })?;
                target.write(&bytes)?;
                Ok(text)
            }
            Animation::Apng(target) => {
                let text = target.path().display().to_string();
                let bytes = apng(pictures).map_err(|error| {
                    let source = ImageError::IoError(error.into());
                    Failure::Encode { place: text.clone(), source }
                })?;
                target.write(&bytes)?;
                Ok(text)
            }
            Animation::Files { pattern, format } => {
                for (step, picture) in pictures.iter().enumerate() {
                    let path = PathBuf::from(pattern.replace(STEP, &step.to_string()));
                    Target::new(&path)?.write_image(picture, format)?;
                }
                Ok(pattern)
            }
        }
    }
}

/// Each picture with its delay.
fn timed(pictures: &[DynamicImage]) -> impl Iterator<Item = (&DynamicImage, Duration)> {
    let last = pictures.len() - 1;
    pictures.iter().enumerate().map(move |(i, picture)| (picture, DELAY[usize::from(i == last)]))
}

fn gif(pictures: &[DynamicImage]) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    encoder.set_repeat(Repeat::Infinite)?;
    for (picture, delay) in timed(pictures) {
        let delay = Delay::from_saturating_duration(delay);
        encoder.encode_frame(Frame::from_parts(picture.to_rgba8(), 0, 0, delay))?;
    }
    drop(encoder);
    Ok(bytes)
}

fn apng(pictures: &[DynamicImage]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let first = &pictures[0];
    let mut encoder = png::Encoder::new(&mut bytes, first.width(), first.height());
    encoder.set_color(if first.color().has_color() {
        png::ColorType::Rgb
    } else {
        png::ColorType::Grayscale
    });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_animated(pictures.len() as u32, 0)?;
    let mut writer = encoder.write_header()?;
    for (picture, delay) in timed(pictures) {
        writer.set_frame_delay(delay.as_millis() as u16, 1000)?;
        writer.write_image_data(picture.as_bytes())?;
    }
    writer.finish()?;
    Ok(bytes)
}
