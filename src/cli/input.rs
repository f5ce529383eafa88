//! Images from files, folders and standard input.

use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use fsvae::{Architecture, not_a_picture, read_picture};

use super::Failure;
use super::folder::Found;
use super::frames::{InputFormat, Stream, split};
use super::latents_file::is_safetensors;
use super::output::is_stdin;
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

    /// The paths as they were given.
    pub(super) fn given(&self) -> impl Iterator<Item = &Path> {
        self.images.iter().map(PathBuf::as_path)
    }

    /// Reads everything. What is not an image is named and left out, unless it is alone.
    pub(super) fn read(&self, architecture: &Architecture) -> Result<Inputs, Failure> {
        let mut found = Found::default();
        for path in &self.images {
            if path.is_dir() {
                found.add(path)?;
            } else {
                found.pictures.push(path.clone());
            }
        }
        let one_file = found.pictures.len() + found.unreadable.len() == 1;
        found.passed_over().iter().for_each(say);
        found.unreadable.iter().for_each(|folder| say(format!("left out: {folder}")));
        let bad = found.unreadable.len();
        let mut inputs = Inputs { names: Vec::new(), pixels: Vec::new(), bad, files: Vec::new() };
        let mut resized = None;
        let side = architecture.image_side() as u32;
        for file in &found.pictures {
            let pictures = read_all(file, self.input_format, architecture);
            let pictures = pictures.unwrap_or_else(|failure| vec![Err(failure)]);
            let alone = one_file && pictures.len() == 1;
            for picture in pictures {
                match picture {
                    Ok((name, Picture { pixels, size })) => {
                        if size != (side, side) {
                            resized.get_or_insert((file, size, 0)).2 += 1;
                        }
                        inputs.names.push(name);
                        inputs.pixels.extend(pixels);
                    }
                    Err(failure) if alone => return Err(failure),
                    Err(failure) => {
                        say(format!("left out: {failure}"));
                        inputs.bad += 1;
                    }
                }
            }
        }
        if inputs.names.is_empty() {
            let tried = inputs.bad;
            return Err(Failure::Input(format!("none of {tried} files is an image that can be read")));
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

/// Refuses standard input for two things: whoever comes second would find it empty.
pub(super) fn read_once<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<(), Failure> {
    match paths.into_iter().filter(|path| is_stdin(path)).nth(1) {
        Some(second) => {
            let second = second.display();
            Err(Failure::Input(format!("{second}: standard input can be read once, found it for two inputs")))
        }
        None => Ok(()),
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

/// A path as text, with bytes that are none as `\xff`: every name is another one.
fn shown(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

/// A picture as a network takes it, and the width and height it had.
pub(super) struct Picture {
    pub(super) pixels: Vec<u8>,
    pub(super) size: (u32, u32),
}

/// A picture of a file or stream with its name, or why it is none.
type Named = Result<(String, Picture), Failure>;

/// The pictures of a file or stream.
fn read_all(path: &Path, format: InputFormat, architecture: &Architecture) -> Result<Vec<Named>, Failure> {
    let bytes = read_file(path)?;
    let name = shown(path);
    let numbered = |at: usize| format!("{name}, picture {at}");
    if format != InputFormat::Pictures {
        let side = architecture.image_side() as u32;
        let frames = format.raw(path, &bytes, architecture)?;
        let several = frames.len() > 1;
        let named = frames.iter().enumerate().map(|(at, frame)| {
            let name = if several { numbered(at) } else { name.clone() };
            Ok((name, Picture { pixels: architecture.fit(frame), size: (side, side) }))
        });
        return Ok(named.collect());
    }
    // A file is one picture; some cameras put others behind it, which are not meant.
    let Stream { pictures, rest } =
        if path.is_file() { Stream { pictures: vec![&bytes], rest: None } } else { split(&bytes) };
    let several = pictures.len() > 1;
    let decoded = pictures.into_iter().enumerate().map(|(at, bytes)| {
        let name = if several { numbered(at) } else { name.clone() };
        let picture = decode(bytes, &name, architecture)?;
        Ok((name, picture))
    });
    let rest = rest.map(|rest| Err(Failure::Input(format!("{name}: {rest}"))));
    Ok(decoded.chain(rest).collect())
}

/// A picture from its bytes. What format they are in is told by them alone; `name` is for messages.
pub(super) fn decode(
    bytes: &[u8],
    name: impl Display,
    architecture: &Architecture,
) -> Result<Picture, Failure> {
    let picture = read_picture(bytes).map_err(|error| {
        let problem = not_ours(bytes).unwrap_or_else(|| error.to_string());
        let words = problem.split_whitespace().collect::<Vec<_>>().join(" ");
        Failure::Input(format!("{name}: not an image that can be read: {words}"))
    })?;
    Ok(Picture { pixels: architecture.fit(&picture), size: (picture.width(), picture.height()) })
}

/// What bytes are that no decoder knows.
fn not_ours(bytes: &[u8]) -> Option<String> {
    if is_safetensors(bytes) {
        return Some("this is a safetensors file".into());
    }
    not_a_picture(bytes).map(|what| format!("this is {what}"))
}
