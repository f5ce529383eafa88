//! Files: everything that can be wrong with a path is found before any image is made, and a file is
//! written beside its place, then renamed, so that there is never half of one.

#[cfg(unix)]
mod doomed;
mod files;
mod pattern;
mod place;
mod target;
mod temporary;

use std::io::ErrorKind;
use std::path::Path;

use fsvae::Grid;

#[cfg(unix)]
pub(super) use doomed::unlink_temporaries;
pub(super) use files::{Files, Numbered};
pub(super) use pattern::{Pattern, Placeholder};
pub(super) use place::{is_stdin, is_stdout};
pub(super) use target::Target;
pub(super) use temporary::remove_leftovers;

use super::Failure;
use super::formats::Format;
use super::scale::{self, Scale};

/// A grid of more bytes than this is surely meant to be separate files.
const LARGEST_GRID: usize = 1 << 30;

/// Width, height and channels of a tile.
pub(super) type Size = (usize, usize, usize);

fn failure(path: &Path, source: std::io::Error) -> Failure {
    write_failure(format!("{}: cannot write it", path.display()), source)
}

/// A name that no file system takes is the argument's fault.
fn write_failure(place: String, source: std::io::Error) -> Failure {
    match source.kind() {
        ErrorKind::InvalidFilename => Failure::Input(format!("{place}: {source}")),
        _ => Failure::Write { place, source },
    }
}

/// Makes a folder for files of a command's own names, if it is not there.
pub(super) fn make_folder(path: &Path) -> Result<(), Failure> {
    if path.exists() && !path.is_dir() {
        return Err(Failure::Input(format!("{}: expected a folder, found a file", path.display())));
    }
    temporary::make_directories(path)
        .map_err(|source| write_failure(format!("{}: cannot make the folder", path.display()), source))
}

/// Whether a path may take tensors. `what` they are.
pub(super) fn check_tensors(path: &Path, what: &str) -> Result<(), Failure> {
    Pattern::check(path, None)?;
    Format::check_none(path, &format!("{what} are a safetensors file"))
}

/// Whether a path may take JSON.
pub(super) fn check_json(path: &Path) -> Result<(), Failure> {
    Pattern::check(path, None)?;
    Format::check_none(path, "measurements are a JSON file")
}

/// `--format`, the same for all commands that write pictures.
#[derive(Debug, clap::Args)]
pub(super) struct FormatArgument {
    /// Format of --out, whatever its name says, and of standard output, --out - [default: png, one picture of all
    /// images]. rgb24, gray and png-stream write image after image, as ffmpeg reads them
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(super) format: Option<Format>,
    /// Enlarge pictures so many times, pixel by pixel; digests are of the model's pixels nevertheless
    #[arg(long, value_name = "N", default_value = "1", value_parser = scale::parse)]
    pub(super) scale: Scale,
}

/// One image on its way into a picture.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    size: Size,
    scale: Scale,
}

impl Tile {
    /// Enlarged, from u8 `[height, width, channels]`.
    fn picture(self, pixels: &[u8]) -> fsvae::image::DynamicImage {
        let (width, height, channels) = self.size;
        let mut picture = Grid::new(1, width, height, channels);
        picture.add(pixels);
        self.scale.enlarge(picture.finish())
    }

    fn enlarged(self) -> Size {
        self.scale.size(self.size)
    }
}

/// The format that was asked for, or that the name says; standard output has no name.
pub(super) fn format(path: &Path, asked: Option<Format>, of_stdout: Format) -> Result<Format, Failure> {
    match asked {
        Some(format) => Ok(format),
        None if is_stdout(path) => Ok(of_stdout),
        None => Format::of_path(path),
    }
}

/// Where images go.
pub(super) enum Output {
    /// Nowhere.
    None,
    /// All into one picture.
    Grid { grid: Grid, tile: Tile, target: Target, format: Format },
    /// One after the other into one file.
    Frames { target: Target, tile: Tile, format: Format },
    /// Each into a file of its own.
    Each { numbered: Numbered, tile: Tile, format: Format },
}

impl Output {
    /// An output for `count` images of one size, to be enlarged, with indices from `first` on, a grid as square as can
    /// be. It is the last of the command's files.
    pub(super) fn new(
        mut files: Files,
        path: &Path,
        format: Option<Format>,
        first: u64,
        count: u64,
        size: Size,
        scale: Scale,
    ) -> Result<Self, Failure> {
        let format = self::format(path, format, Format::Png)?;
        scale.check(path, format)?;
        let tile = Tile { size, scale };
        let pattern = Pattern::new(path, Some(Placeholder::Index))?;
        let (width, height, channels) = tile.enlarged();
        if !pattern.is_plain() {
            format.check(path, width as u64, height as u64)?;
            let last = first.saturating_add(count.saturating_sub(1));
            return Ok(Output::Each { numbered: files.last_pattern(pattern, first, last)?, tile, format });
        }
        if format.is_frames() {
            return Ok(Output::Frames { target: files.plain(path, &pattern, true)?, tile, format });
        }
        let advice = "write {index} into the name for a file each, or --format png-stream for frames";
        let count = grid_count(path, count, tile.enlarged(), advice)?;
        let (columns, rows) = grid_shape(count as u64);
        format.check(path, columns * width as u64, rows * height as u64)?;
        let target = files.plain(path, &pattern, true)?;
        Ok(Output::Grid { grid: Grid::new(count, width, height, channels), tile, target, format })
    }

    /// The next image, u8 `[height, width, channels]`.
    pub(super) fn add(&mut self, index: u64, pixels: &[u8]) -> Result<(), Failure> {
        match self {
            Output::None => Ok(()),
            Output::Grid { grid, tile, .. } => {
                grid.add(tile.picture(pixels).as_bytes());
                Ok(())
            }
            Output::Frames { target, tile, format } => {
                let encoded = format.encode(&tile.picture(pixels));
                target.append(&encoded.map_err(|source| Failure::Encode { place: target.shown(), source })?)
            }
            Output::Each { numbered, tile, format } => {
                numbered.target(index)?.write_image(&tile.picture(pixels), *format)
            }
        }
    }

    /// What was written, in words.
    pub(super) fn finish(self) -> Result<Option<String>, Failure> {
        match self {
            Output::None => Ok(None),
            Output::Grid { grid, target, format, .. } => {
                let picture = grid.finish();
                let (width, height) = (picture.width(), picture.height());
                let text = format!("{} ({width} x {height} pixels)", target.shown());
                target.write_image(&picture, format)?;
                Ok(Some(text))
            }
            Output::Frames { target, tile, format } => {
                let (width, height, _) = tile.enlarged();
                let text =
                    format!("{} ({}, {width} x {height} pixels a frame)", target.shown(), format.name());
                target.finish()?;
                Ok(Some(text))
            }
            Output::Each { numbered, .. } => Ok(Some(numbered.shown())),
        }
    }
}

/// Columns and rows of a [`Grid`].
pub(super) fn grid_shape(count: u64) -> (u64, u64) {
    let root = count.isqrt();
    let columns = (root + u64::from(root * root < count)).max(1);
    (columns, count.div_ceil(columns))
}

/// `count`, if a grid of so many images is not too large. Otherwise there is some advice.
pub(super) fn grid_count(
    path: &Path,
    count: u64,
    (width, height, channels): Size,
    advice: &str,
) -> Result<usize, Failure> {
    let count_here = usize::try_from(count).ok();
    let fits = |&count: &usize| {
        count.checked_mul(width * height * channels).is_some_and(|bytes| bytes <= LARGEST_GRID)
    };
    count_here.filter(fits).ok_or_else(|| {
        Failure::Input(format!("{}: a grid of {count} images is too large; {advice}", path.display()))
    })
}
