//! Images from files, folders and standard input.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use fsvae::{Architecture, read_picture};

use super::Failure;
use super::frames::{InputFormat, split};
use super::say::say;

/// Bytes of an image or latents file.
const LARGEST_FILE: u64 = 1 << 30;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Image files, folders of images, or - for standard input. The n-th image that can be read, folders
    /// in the order of their file names, has index FIRST + n. A picture of another size is resized
    /// (bilinear filter), colours become what the model has, alpha is laid over black
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// Index of the first image
    #[arg(long, value_name = "I", default_value_t = 0)]
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
    /// Files that could not be read.
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
    /// Reads everything. A file that is not an image is named and left out, unless it is the only one.
    pub(super) fn read(&self, architecture: &Architecture) -> Result<Inputs, Failure> {
        let mut files = Vec::new();
        for path in &self.images {
            if path.is_dir() {
                files.extend(folder(path)?);
            } else {
                files.push(path.clone());
            }
        }
        let mut inputs = Inputs { names: Vec::new(), pixels: Vec::new(), bad: 0, files: Vec::new() };
        let mut resized = None;
        for file in &files {
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
                Err(failure) if files.len() == 1 => return Err(failure),
                Err(failure) => {
                    say(format!("left out: {failure}"));
                    inputs.bad += 1;
                }
            }
        }
        if inputs.names.is_empty() {
            return Err(Failure::Input(format!(
                "none of {} files is an image that can be read",
                files.len()
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
        inputs.files = files;
        Ok(inputs)
    }
}

/// The files of a folder by name, without hidden ones and folders in it.
fn folder(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |source| Failure::Input(format!("{}: cannot read the folder: {source}", path.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    if files.is_empty() {
        return Err(Failure::Input(format!("{}: the folder holds no files", path.display())));
    }
    files.sort_unstable();
    Ok(files)
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
    files.into_iter().map(|bytes| decode(path, bytes, architecture)).collect()
}

/// The picture that bytes of a file hold.
pub(super) fn decode(path: &Path, bytes: &[u8], architecture: &Architecture) -> Result<Picture, Failure> {
    let named = |problem: String| Failure::Input(format!("{}: {problem}", path.display()));
    let picture = read_picture(bytes).map_err(|error| {
        let text = error.to_string();
        named(format!(
            "not an image that can be read: {}",
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        ))
    })?;
    Ok(Picture { pixels: architecture.fit(&picture), size: (picture.width(), picture.height()) })
}
