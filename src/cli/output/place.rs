//! What a path leads to: links are followed, so that what they point at is written and they stay.

use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::failure;
use crate::cli::Failure;

/// Links that follow each other; as many as Linux follows.
const MOST_LINKS: usize = 40;

pub(super) enum Place {
    /// `-`, or a path that is the same.
    Stdout,
    /// Another name of standard error.
    Stderr,
    /// No regular file: a pipe, a device, an open file by its number. It is written as it is.
    Special(PathBuf),
    /// A regular file, or none yet, at the end of all links.
    File(PathBuf, Option<Metadata>),
}

impl Place {
    pub(super) fn of(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Place::Stdout);
        }
        let is_directory =
            || Failure::Input(format!("{}: is a directory, expected a file name", path.display()));
        let ends_in_separator = path
            .as_os_str()
            .as_encoded_bytes()
            .last()
            .is_some_and(|&byte| std::path::is_separator(byte.into()));
        let mut place = path.to_owned();
        for _ in 0..MOST_LINKS {
            if let Some(descriptor) = descriptor(&place) {
                return Ok(match descriptor {
                    1 => Place::Stdout,
                    2 => Place::Stderr,
                    _ => Place::Special(path.into()),
                });
            }
            let metadata = match place.symlink_metadata() {
                Ok(metadata) => metadata,
                Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => {
                    let directory = directory(&place);
                    return if place.is_relative() && std::env::current_dir().is_err() {
                        let text = "the working directory does not exist any more";
                        Err(Failure::Input(format!("{}: {text}", path.display())))
                    } else if !directory.is_dir() {
                        let text = format!("the directory {} does not exist", directory.display());
                        Err(Failure::Input(format!("{}: {text}", path.display())))
                    } else if ends_in_separator {
                        Err(is_directory())
                    } else {
                        Ok(Place::File(place, None))
                    };
                }
                Err(error) => return Err(failure(path, error)),
            };
            if metadata.is_symlink() {
                let target = place.read_link().map_err(|error| failure(path, error))?;
                place = directory(&place).join(target);
            } else if metadata.is_dir() || ends_in_separator {
                return Err(is_directory());
            } else if metadata.is_file() {
                return Ok(Place::File(place, Some(metadata)));
            } else if is_socket(&metadata) {
                let text = "is a socket, expected a file, a pipe or a device";
                return Err(Failure::Input(format!("{}: {text}", path.display())));
            } else {
                return Ok(Place::Special(path.into()));
            }
        }
        Err(Failure::Input(format!("{}: its links lead to each other", path.display())))
    }
}

/// No socket can be opened as a file.
#[cfg(unix)]
fn is_socket(metadata: &Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_socket(&metadata.file_type())
}

#[cfg(not(unix))]
fn is_socket(_: &Metadata) -> bool {
    false
}

/// Whether a path to read from is standard input, by its usual names.
pub(in crate::cli) fn is_stdin(path: &Path) -> bool {
    ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"].iter().any(|name| path == Path::new(name))
}

/// Whether a path is standard output, by whatever name.
pub(in crate::cli) fn is_stdout(path: &Path) -> bool {
    matches!(Place::of(path), Ok(Place::Stdout))
}

/// The number of an open file of this process that is called by a path such as /dev/fd/3, where /dev/stdout leads.
fn descriptor(path: &Path) -> Option<u32> {
    let number = path.file_name()?.to_str()?.parse().ok()?;
    let directory = path.parent()?.canonicalize().ok()?;
    let own = [
        PathBuf::from("/dev/fd"),
        format!("/proc/{}/fd", std::process::id()).into(),
        format!("/proc/{0}/task/{0}/fd", std::process::id()).into(),
    ];
    own.contains(&directory).then_some(number)
}

/// The directory that a file is in.
pub(super) fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Refuses what its owner protects. Whoever may rename in a directory could replace such a file, too.
pub(super) fn check_writable(path: &Path, place: &Path, metadata: &Metadata) -> Result<(), Failure> {
    if metadata.permissions().readonly() {
        let text = format!("{}: is read-only", path.display());
        return Err(Failure::Write { place: text, source: ErrorKind::PermissionDenied.into() });
    }
    File::options().append(true).open(place).map(drop).map_err(|error| failure(path, error))
}

/// A file, by whatever name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Identity {
    #[cfg(unix)]
    Inode(u64, u64),
    /// Its canonical path, or of what is not there yet, that of its directory with its name.
    Path(PathBuf),
}

impl Identity {
    /// Of a regular file that is there.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = path.metadata().ok().filter(Metadata::is_file)?;
        Identity::of_place(path, Some(&metadata))
    }

    /// Of the end of a path's links.
    pub(super) fn of_place(place: &Path, metadata: Option<&Metadata>) -> Option<Self> {
        match metadata {
            #[cfg(unix)]
            Some(metadata) => {
                use std::os::unix::fs::MetadataExt;
                Some(Identity::Inode(metadata.dev(), metadata.ino()))
            }
            #[cfg(not(unix))]
            Some(_) => place.canonicalize().ok().map(Identity::Path),
            None => Some(Identity::Path(directory(place).canonicalize().ok()?.join(place.file_name()?))),
        }
    }

    /// Of what standard input was opened from.
    #[cfg(unix)]
    pub(super) fn of_stdin() -> Option<Self> {
        use std::os::fd::AsFd;
        let file = File::from(std::io::stdin().as_fd().try_clone_to_owned().ok()?);
        let metadata = file.metadata().ok().filter(Metadata::is_file)?;
        Identity::of_place(Path::new("-"), Some(&metadata))
    }

    #[cfg(not(unix))]
    pub(super) fn of_stdin() -> Option<Self> {
        None
    }
}
