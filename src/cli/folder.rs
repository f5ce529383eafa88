//! The pictures of a folder and of all folders in it.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use fsvae::image::ImageFormat;
use fsvae::{PICTURE_HEAD, begins_as_picture};

use super::Failure;

/// A folder in a folder and so on: deeper than any that a person made.
const DEEPEST: usize = 256;
/// Links that cross each other make many paths of few folders.
const MOST_LINKS: usize = 10_000;
/// Formats of photos that are not read. Such a file is no chaff beside the pictures: it is missed.
const UNREAD: [&str; 5] = ["avif", "heic", "heif", "jp2", "jxl"];
/// How many names are given of those that are passed over.
const NAMED: usize = 3;

/// What was found, in the order of the names, folders where their name stands.
#[derive(Default)]
pub(super) struct Found {
    pub(super) pictures: Vec<PathBuf>,
    /// Files that are no pictures.
    pub(super) others: Vec<PathBuf>,
    /// Folders that could not be read, and why.
    pub(super) unreadable: Vec<String>,
    links: usize,
}

impl Found {
    /// Adds what is in a folder. Hidden files and folders are not looked at, nor is what macOS adds to archives.
    pub(super) fn add(&mut self, folder: &Path) -> Result<(), Failure> {
        let before = (self.pictures.len(), self.others.len(), self.unreadable.len());
        let unreadable = |problem| Failure::Input(unreadable(folder, &problem));
        let place = Place::of(folder).map_err(unreadable)?;
        let names = names(folder).map_err(unreadable)?;
        self.walk(folder, &names, &mut vec![(place, folder.into())])?;
        if self.pictures.len() == before.0 {
            let others = &self.others[before.1..];
            let holds = match others {
                _ if self.unreadable.len() > before.2 => {
                    return Err(Failure::Input(self.unreadable.swap_remove(before.2)));
                }
                [] => "the folder holds no files".into(),
                others => format!("the folder holds no pictures, {}", list(others)),
            };
            return Err(Failure::Input(format!("{}: {holds}", folder.display())));
        }
        Ok(())
    }

    /// What is passed over, in words.
    pub(super) fn passed_over(&self) -> Option<String> {
        (!self.others.is_empty()).then(|| format!("passed over {}", list(&self.others)))
    }

    /// `inside` has the folders that lead here: which each really is, and how it was called.
    fn walk(
        &mut self,
        folder: &Path,
        names: &[PathBuf],
        inside: &mut Vec<(Place, PathBuf)>,
    ) -> Result<(), Failure> {
        for name in names {
            let path = folder.join(name);
            match fs::metadata(&path) {
                Ok(kind) if kind.is_dir() => self.enter(path, inside)?,
                Ok(kind) if !kind.is_file() => self.others.push(path),
                // A path of thousands of characters.
                Err(problem) if problem.kind() == ErrorKind::InvalidFilename => {
                    self.unreadable.push(unreadable(&path, &problem));
                }
                // A link that leads nowhere is a picture that cannot be read, if it is called like one.
                _ if is_picture(&path) => self.pictures.push(path),
                _ => self.others.push(path),
            }
        }
        Ok(())
    }

    fn enter(&mut self, path: PathBuf, inside: &mut Vec<(Place, PathBuf)>) -> Result<(), Failure> {
        if inside.len() > DEEPEST {
            self.unreadable.push(format!("{}: more than {DEEPEST} folders in each other", path.display()));
            return Ok(());
        }
        let refused = |problem: String| Err(Failure::Input(format!("{}: {problem}", path.display())));
        let (place, names) = match Place::of(&path).and_then(|place| Ok((place, names(&path)?))) {
            Ok(found) => found,
            Err(problem) => {
                self.unreadable.push(unreadable(&path, &problem));
                return Ok(());
            }
        };
        if let Some((_, outer)) = inside.iter().find(|(outer, _)| *outer == place) {
            return refused(format!("a loop of folders: this link leads back to {}", outer.display()));
        }
        self.links += usize::from(path.is_symlink());
        if self.links > MOST_LINKS {
            return refused(format!("more than {MOST_LINKS} links to folders"));
        }
        inside.push((place, path.clone()));
        self.walk(&path, &names, inside)?;
        inside.pop();
        Ok(())
    }
}

/// Which folder a path leads to.
#[derive(PartialEq, Eq)]
struct Place(#[cfg(unix)] (u64, u64), #[cfg(not(unix))] PathBuf);

impl Place {
    #[cfg(unix)]
    fn of(path: &Path) -> std::io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(path)?;
        Ok(Place((metadata.dev(), metadata.ino())))
    }

    #[cfg(not(unix))]
    fn of(path: &Path) -> std::io::Result<Self> {
        path.canonicalize().map(Place)
    }
}

fn unreadable(folder: &Path, problem: &std::io::Error) -> String {
    format!("{}: cannot read the folder: {problem}", folder.display())
}

fn names(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if !name.as_encoded_bytes().starts_with(b".") && name != "__MACOSX" {
            names.push(name.into());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// By the name, or whatever the name is, by the first bytes: half a download and what a browser called as it liked are
/// pictures, too.
fn is_picture(path: &Path) -> bool {
    let named = path.extension().is_some_and(|extension| {
        ImageFormat::from_extension(extension).is_some_and(|format| format.reading_enabled())
            || UNREAD.iter().any(|unread| extension.eq_ignore_ascii_case(unread))
    });
    let mut head = Vec::new();
    let mut read = || File::open(path).and_then(|file| file.take(PICTURE_HEAD as u64).read_to_end(&mut head));
    named || read().is_ok() && begins_as_picture(&head)
}

/// How many, and the first few names.
fn list(files: &[PathBuf]) -> String {
    let names: Vec<String> = files.iter().take(NAMED).map(|file| file.display().to_string()).collect();
    let kind = if files.len() == 1 { "file that is no picture" } else { "files that are no pictures" };
    let more = files.len().checked_sub(NAMED).filter(|&more| more > 0);
    let more = more.map(|more| format!(" and {more} more")).unwrap_or_default();
    format!("{} {kind}: {}{more}", files.len(), names.join(", "))
}
