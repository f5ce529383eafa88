//! Pictures one after the other: a GIF, an APNG, frames, or a file for each.

use std::path::Path;
use std::time::Duration;

use fsvae::image::codecs::gif::{GifEncoder, Repeat};
use fsvae::image::{Delay, DynamicImage, Frame, ImageError};

use super::Failure;
use super::formats::Format;
use super::output::{Files, Numbered, Pattern, Placeholder, Target, format};
use super::scale::Scale;

/// How long a picture is shown, and the last one.
const DELAY: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(1500)];

pub(super) enum Animation {
    /// All in one file.
    Whole(Target, Format),
    Files(Numbered, Format),
}

/// Of the pictures of an animation.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) pictures: u64,
    pub(super) width: u64,
    pub(super) height: u64,
    /// How far they were enlarged.
    pub(super) scale: Scale,
}

impl Animation {
    /// The kind that a path and `--format` name; `None` if they name a single picture.
    pub(super) fn of_path(
        files: &mut Files,
        path: &Path,
        asked: Option<Format>,
        of_stdout: Format,
        shape: Shape,
    ) -> Result<Option<Self>, Failure> {
        let pattern = Pattern::new(path, Some(Placeholder::Step))?;
        let format = format(path, asked, of_stdout)?;
        shape.scale.check(path, format)?;
        if !pattern.is_plain() {
            format.check(path, shape.width, shape.height)?;
            let numbered = files.pattern(pattern, 0, shape.pictures.saturating_sub(1))?;
            return Ok(Some(Animation::Files(numbered, format)));
        }
        if !format.is_frames() && ![Format::Gif, Format::Apng].contains(&format) {
            return Ok(None);
        }
        format.check(path, shape.width, shape.height)?;
        Ok(Some(Animation::Whole(files.plain(path, &pattern, true)?, format)))
    }

    /// [`Animation::of_path`], where it must be one. On standard output a GIF, unless told otherwise.
    pub(super) fn new(
        files: &mut Files,
        path: &Path,
        asked: Option<Format>,
        shape: Shape,
    ) -> Result<Self, Failure> {
        Animation::of_path(files, path, asked, Format::Gif, shape)?.ok_or_else(|| {
            let path = path.display();
            Failure::Input(format!("{path}: expected an animation: .gif, .apng, or {{step}} in the name"))
        })
    }

    /// Writes pictures of the same size.
    pub(super) fn write(self, pictures: &[DynamicImage]) -> Result<String, Failure> {
        match self {
            Animation::Whole(target, format) => {
                let text = target.shown();
                let bytes = match format {
                    Format::Gif => gif(pictures),
                    Format::Apng => apng(pictures).map_err(|error| ImageError::IoError(error.into())),
                    _ => pictures
                        .iter()
                        .map(|picture| format.encode(picture))
                        .collect::<Result<Vec<_>, _>>()
                        .map(|all| all.concat()),
                };
                target.write(&bytes.map_err(|source| Failure::Encode { place: text.clone(), source })?)?;
                Ok(text)
            }
            Animation::Files(numbered, format) => {
                for (step, picture) in pictures.iter().enumerate() {
                    numbered.target(step as u64)?.write_image(picture, format)?;
                }
                Ok(numbered.shown())
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
