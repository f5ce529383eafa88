//! One file that is written: beside its place, then renamed, so that there is never half of one.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Seek, Write};
use std::path::{Path, PathBuf};

use fsvae::image::DynamicImage;

use super::failure;
use super::place::{Place, check_writable, directory};
use super::temporary::Temporary;
use crate::cli::formats::Format;
use crate::cli::{Failure, crash, standard_error, standard_output};

/// A place that can be written to, as far as one can know before. Bytes are appended; [`Target::finish`] puts them into
/// their place, and without it the place is as it was.
pub(in crate::cli) struct Target {
    /// As the user calls it.
    path: PathBuf,
    sink: Sink,
    /// Whether to wait until the disk has it.
    durable: bool,
}

enum Sink {
    Stdout,
    Stderr,
    Special { path: PathBuf, file: Option<File> },
    File(Box<Beside>),
}

/// A file beside its place.
struct Beside {
    temporary: Temporary,
    place: PathBuf,
    existing: Option<Metadata>,
    /// Whether it can take the place of what is there.
    rename: bool,
}

impl Target {
    /// A file whose name is none that the user wrote, so that nothing in it is a placeholder.
    pub(in crate::cli) fn at(path: &Path) -> Result<Self, Failure> {
        Target::new(path, Place::of(path)?, true)
    }

    pub(super) fn new(path: &Path, place: Place, durable: bool) -> Result<Self, Failure> {
        let sink = match place {
            Place::Stdout => Sink::Stdout,
            Place::Stderr => Sink::Stderr,
            Place::Special(path) => Sink::Special { path, file: None },
            Place::File(place, existing) => {
                if let Some(metadata) = &existing {
                    check_writable(path, &place, metadata)?;
                }
                let (temporary, beside) = match Temporary::new(directory(&place)) {
                    Ok(temporary) => (temporary, true),
                    // The file may be written where its directory may not.
                    Err(error)
                        if existing.is_some()
                            && [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem]
                                .contains(&error.kind()) =>
                    {
                        let elsewhere = Temporary::new(&std::env::temp_dir());
                        (elsewhere.map_err(|_| failure(path, error))?, false)
                    }
                    Err(error) => return Err(failure(path, error)),
                };
                let rename = beside && !existing.as_ref().is_some_and(has_other_names);
                Sink::File(Box::new(Beside { temporary, place, existing, rename }))
            }
        };
        Ok(Target { path: path.into(), sink, durable })
    }

    /// Its name, in messages.
    pub(in crate::cli) fn shown(&self) -> String {
        match self.sink {
            Sink::Stdout => "standard output".into(),
            _ => self.path.display().to_string(),
        }
    }

    /// Appends. On standard output and into special files it goes at once.
    pub(in crate::cli) fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = match &mut self.sink {
            Sink::Stdout => return standard_output::write(bytes),
            // Drivers have been given another one.
            Sink::Stderr => standard_error::write(bytes),
            Sink::Special { path, file } => open_special(path, file).and_then(|file| file.write_all(bytes)),
            Sink::File(beside) => beside.temporary.file().and_then(|file| file.write_all(bytes)),
        };
        written.map_err(|source| failure(&self.path, source))
    }

    /// Has these bytes should the program end before anything else is written: a file has them at once, and standard output
    /// if a driver ends the program. What cannot be written is said when it is written for good.
    pub(in crate::cli) fn keep(&self, bytes: Vec<u8>) {
        match &self.sink {
            Sink::Stdout => crash::set_last_words(bytes),
            Sink::Stderr | Sink::Special { .. } => {}
            Sink::File(beside) => {
                let now = Place::of(&beside.place).and_then(|place| Target::new(&self.path, place, false));
                let _ = now.and_then(|now| now.write(&bytes));
            }
        }
    }

    /// Puts what was appended into its place.
    pub(in crate::cli) fn finish(mut self) -> Result<(), Failure> {
        let finished = match &mut self.sink {
            Sink::Stdout | Sink::Stderr => Ok(()),
            Sink::Special { path, file } => open_special(path, file).map(drop),
            Sink::File(beside) => beside.put(self.durable),
        };
        finished.map_err(|source| failure(&self.path, source))
    }

    /// Appends everything there is and finishes.
    pub(in crate::cli) fn write(mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.append(bytes)?;
        self.finish()
    }

    pub(in crate::cli) fn write_image(self, image: &DynamicImage, format: Format) -> Result<(), Failure> {
        let encoded = format.encode(image);
        let bytes = encoded.map_err(|source| Failure::Encode { place: self.shown(), source })?;
        self.write(&bytes)
    }
}

/// A special file is opened when there is something for it, for opening a pipe waits for its reader.
fn open_special<'a>(path: &Path, file: &'a mut Option<File>) -> io::Result<&'a mut File> {
    if file.is_none() {
        *file = Some(File::options().write(true).truncate(true).open(path)?);
    }
    file.as_mut().ok_or_else(|| ErrorKind::NotFound.into())
}

impl Beside {
    fn put(&mut self, durable: bool) -> io::Result<()> {
        let Beside { temporary, place, existing, rename } = self;
        if *rename {
            if let Some(metadata) = existing {
                keep_owner_and_mode(temporary.file()?, metadata)?;
            }
            if durable {
                temporary.file()?.sync_all()?;
            }
            match temporary.rename(place) {
                // A file that something is mounted on, as containers do with single files.
                Err(error)
                    if existing.is_some()
                        && [ErrorKind::ResourceBusy, ErrorKind::CrossesDevices].contains(&error.kind()) => {}
                done => return done,
            }
        }
        let mut file = File::options().write(true).truncate(true).open(place)?;
        temporary.file()?.rewind()?;
        io::copy(temporary.file()?, &mut file)?;
        file.sync_all()
    }
}

/// Whether a renamed file would part from other names of the old one.
#[cfg(unix)]
fn has_other_names(metadata: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(metadata) > 1
}

#[cfg(not(unix))]
fn has_other_names(_: &Metadata) -> bool {
    false
}

#[cfg(unix)]
fn keep_owner_and_mode(file: &File, existing: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let new = file.metadata()?;
    let other = |old: u32, new: u32| (old != new).then_some(old);
    let (user, group) = (other(existing.uid(), new.uid()), other(existing.gid(), new.gid()));
    if user.is_some() || group.is_some() {
        // Only root may give files away, and others only to groups of their own.
        let _ = fchown(file, user, group);
    }
    // After the owner, for a change of that takes bits away.
    file.set_permissions(existing.permissions())
}

#[cfg(not(unix))]
fn keep_owner_and_mode(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}
