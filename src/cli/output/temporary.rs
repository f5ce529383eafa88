//! Files beside their place, and what becomes of them when the program is told to end.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::NamedTempFile;

#[cfg(unix)]
use super::doomed::Doomed;

/// What is to vanish if the program ends now: temporary files, and directories as long as they are empty. All paths are
/// absolute, so that from the last to the first what is in a directory comes before it.
static LEFTOVERS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn leftovers() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    LEFTOVERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The working directory is the program's own, and does not change.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.into())
}

/// Removes what is not finished. For the end of the program: no temporary file is made from here on, so that none is
/// missed.
pub(in crate::cli) fn remove_leftovers() {
    let leftovers = leftovers();
    for path in leftovers.iter().rev() {
        if std::fs::remove_file(path).is_err() {
            // Not if something is in it.
            let _ = std::fs::remove_dir(path);
        }
    }
    std::mem::forget(leftovers);
}

/// A file that vanishes unless it is renamed.
pub(super) struct Temporary {
    file: Option<NamedTempFile>,
    path: PathBuf,
    #[cfg(unix)]
    _doomed: Doomed,
}

impl Temporary {
    pub(super) fn new(directory: &Path) -> io::Result<Self> {
        let mut leftovers = leftovers();
        // As any new file: the umask takes away what the user does not want. tempfile's own way of making it names its
        // random file in errors, and the system's words are lost.
        let make = |path: &Path| File::options().read(true).write(true).create_new(true).open(path);
        let file = tempfile::Builder::new().prefix(".fsvae-").make_in(directory, make)?;
        let path = absolute(file.path());
        leftovers.insert(path.clone());
        Ok(Temporary {
            #[cfg(unix)]
            _doomed: Doomed::new(&path),
            file: Some(file),
            path,
        })
    }

    pub(super) fn file(&mut self) -> io::Result<&mut File> {
        self.file.as_mut().map(NamedTempFile::as_file_mut).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Puts it where it belongs, over what is there.
    pub(super) fn rename(&mut self, place: &Path) -> io::Result<()> {
        let file = self.file.take().ok_or(io::ErrorKind::NotFound)?;
        file.persist(place).map(drop).map_err(|failed| {
            self.file = Some(failed.file);
            failed.error
        })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        drop(self.file.take());
        leftovers().remove(&self.path);
    }
}

/// Makes a directory and those above it that are missing.
pub(super) fn make_directories(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_directories(parent)?;
    }
    let mut leftovers = leftovers();
    match std::fs::create_dir(path) {
        Ok(()) => {
            leftovers.insert(absolute(path));
            Ok(())
        }
        // Another program was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
