//! Images from files, folders and standard input.

use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use fsvae::{Architecture, read_picture};

use super::Failure;
use super::folder::Found;
use super::frames::{InputFormat, split};
use super::say::say;

/// Bytes of an image or latents file.
const LARGEST_FILE: u64 = 1 << 30;

#[derive(Debug, Args)]
#[group(skip)] // many commands have several structs of this name
pub(super) struct Arguments {
    /// Image files, folders of images (with the folders in them), or - for standard input. The n-th image
    /// that can be read, folders in the order of their names, has index FIRST + n. A picture of another size is resized
    /// (bilinear filter), colours become what the model has, alpha is laid over black
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// Index of the first image
    #[arg(long, value_name = "I", default_value_t = 0, value_parser = super::model::number)]
    pub(super) first: u64,
    /// What the files hold
    #[arg(long, value_enum, default_value_t = InputFormat::Pictures)]
    input_format: InputFormat,
}

/// Images as a network takes them.
pub(super) struct Inputs {
    /// What each came from.
    pub(super) names: Vec<String>,
    /// u8 `[n, side, side, channels]`
    pub(super) pixels: Vec<u8>,
    /// Files and folders that could not be read.
    pub(super) bad: usize,
    /// All files, those too.
    files: Vec<PathBuf>,
}

impl Inputs {
    /// All files that were read.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(PathBuf::as_path)
    }

    /// Fails at the end of a command that left out bad files.
    pub(super) fn all_read(&self) -> Result<(), Failure> {
        match self.bad {
            0 => Ok(()),
            1 => Err(Failure::Partial("one file was left out, see above".into())),
            bad => Err(Failure::Partial(format!("{bad} files were left out, see above"))),
        }
    }
}

impl Arguments {
    /// Of a folder or a file alone.
    pub(super) fn of(path: &Path) -> Self {
        Arguments { images: vec![path.into()], first: 0, input_format: InputFormat::Pictures }
    }

    /// Reads everything. A file that is not an image is named and left out, unless it is the only one.
    pub(super) fn read(&self, architecture: &Architecture) -> Result<Inputs, Failure> {
        let mut found = Found::default();
        for path in &self.images {
            if path.is_dir() {
                found.add(path)?;
            } else {
                found.pictures.push(path.clone());
            }
        }
        let alone = found.pictures.len() + found.unreadable.len() == 1;
        found.passed_over().iter().for_each(say);
        found.unreadable.iter().for_each(|folder| say(format!("left out: {folder}")));
        let bad = found.unreadable.len();
        let mut inputs = Inputs { names: Vec::new(), pixels: Vec::new(), bad, files: Vec::new() };
        let mut resized = None;
        for file in &found.pictures {
            match read_all(file, self.input_format, architecture) {
                Ok(pictures) => {
                    let several = pictures.len() > 1;
                    for (at, Picture { pixels, size }) in pictures.into_iter().enumerate() {
                        let side = architecture.image_side() as u32;
                        if size != (side, side) {
                            resized.get_or_insert((file, size, 0)).2 += 1;
                        }
                        let which = if several { format!(", picture {at}") } else { String::new() };
                        inputs.names.push(format!("{}{which}", file.display()));
                        inputs.pixels.extend(pixels);
                    }
                }
                Err(failure) if alone => return Err(failure),
                Err(failure) => {
                    say(format!("left out: {failure}"));
                    inputs.bad += 1;
                }
            }
        }
        if inputs.names.is_empty() {
            return Err(Failure::Input(format!(
                "none of {} files is an image that can be read",
                found.pictures.len()
            )));
        }
        let count = inputs.names.len() as u64;
        if self.first.checked_add(count - 1).is_none() {
            let (first, largest) = (self.first, u64::MAX);
            let text = format!("--first {first} with {count} images goes past the last index, {largest}");
            return Err(Failure::Input(text));
        }
        if let Some((file, (width, height), count)) = &resized {
            let side = architecture.image_side();
            let others = if *count > 1 { format!(" and {} more", count - 1) } else { String::new() };
            say(format!(
                "resized to {side} x {side} (bilinear): {} ({width} x {height}){others}",
                file.display()
            ));
        }
        inputs.files = found.pictures;
        Ok(inputs)
    }
}

/// A whole file, or standard input for `-`. Files that are too large for anything here, or that never
/// end, are refused.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let source: std::io::Result<Box<dyn Read>> = if path == Path::new("-") {
        Ok(Box::new(std::io::stdin().lock()))
    } else {
        File::open(path).map(|file| Box::new(file) as Box<dyn Read>)
    };
    let mut bytes = Vec::new();
    let named = |problem: String| Failure::Input(format!("{}: {problem}", path.display()));
    source
        .and_then(|source| source.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
        .map_err(|error| named(format!("cannot read it: {error}")))?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(named(format!("more than {LARGEST_FILE} bytes")));
    }
    Ok(bytes)
}

/// A picture as a network takes it, and the width and height it had.
pub(super) struct Picture {
    pub(super) pixels: Vec<u8>,
    pub(super) size: (u32, u32),
}

/// The pictures of a file or stream.
fn read_all(path: &Path, format: InputFormat, architecture: &Architecture) -> Result<Vec<Picture>, Failure> {
    let bytes = read_file(path)?;
    if format != InputFormat::Pictures {
        let side = architecture.image_side() as u32;
        let frames = format.raw(path, &bytes, architecture)?;
        return Ok(frames
            .iter()
            .map(|frame| Picture { pixels: architecture.fit(frame), size: (side, side) })
            .collect());
    }
    // A file is one picture; some cameras put others behind it, which are not meant.
    let files = if path.is_file() { vec![&bytes[..]] } else { split(&bytes) };
    files.into_iter().map(|bytes| decode(bytes, path.display(), architecture)).collect()
}

/// A picture from its bytes. What format they are in is told by them alone; `name` is for messages.
pub(super) fn decode(
    bytes: &[u8],
    name: impl Display,
    architecture: &Architecture,
) -> Result<Picture, Failure> {
    let picture = read_picture(bytes).map_err(|error| {
        let text = error.to_string();
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Failure::Input(format!("{name}: not an image that can be read: {words}"))
    })?;
    Ok(Picture { pixels: architecture.fit(&picture), size: (picture.width(), picture.height()) })
}
