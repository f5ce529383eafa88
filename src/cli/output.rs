//! Image files: everything that can be wrong with a path is found before any image is made, and a
//! file is written beside its place, then renamed, so that there is never half of one.

use std::fs::Permissions;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use fsvae::image::{DynamicImage, ImageFormat};
use fsvae::{Grid, Image};
use tempfile::NamedTempFile;

use super::Failure;

/// Stands for the index in `--out`.
const INDEX: &str = "{index}";
/// A grid of more bytes than this is surely meant to be separate files.
const LARGEST_GRID: usize = 1 << 30;

/// Where images go.
pub(super) enum Output {
    /// Nowhere.
    None,
    /// All into one picture. The file beside it is made first, to know that it can be.
    Grid { grid: Grid, file: NamedTempFile, path: PathBuf, format: ImageFormat },
    /// Each into a file of its own.
    Each { pattern: String, format: ImageFormat },
}

impl Output {
    /// An output for `count` images of `side` x `side` pixels.
    pub(super) fn new(path: &Path, count: u64, side: usize, channels: usize) -> Result<Self, Failure> {
        let format = format(path)?;
        if path.is_dir() {
            return Err(Failure::Input(format!("{}: is a directory, expected a file name", path.display())));
        }
        let directory = directory(path);
        if !directory.is_dir() {
            let text = format!("{}: the directory {} does not exist", path.display(), directory.display());
            return Err(Failure::Input(text));
        }
        let file = beside(path)?;
        match path.to_str() {
            Some(pattern) if pattern.contains(INDEX) => Ok(Output::Each { pattern: pattern.into(), format }),
            _ => {
                let bytes = usize::try_from(count)
                    .ok()
                    .and_then(|count| count.checked_mul(side * side * channels))
                    .filter(|&bytes| bytes <= LARGEST_GRID);
                if bytes.is_none() {
                    return Err(Failure::Input(format!(
                        "{}: a grid of {count} images is too large; write {INDEX} into the name for a file each",
                        path.display()
                    )));
                }
                let grid = Grid::new(count as usize, side, channels);
                Ok(Output::Grid { grid, file, path: path.into(), format })
            }
        }
    }

    pub(super) fn add(&mut self, image: Image<'_>) -> Result<(), Failure> {
        match self {
            Output::None => Ok(()),
            Output::Grid { grid, .. } => {
                grid.add(image);
                Ok(())
            }
            Output::Each { pattern, format } => {
                let path = PathBuf::from(pattern.replace(INDEX, &image.index.to_string()));
                save(&image.to_dynamic(), beside(&path)?, &path, *format)
            }
        }
    }

    /// What was written, in words.
    pub(super) fn finish(self) -> Result<Option<String>, Failure> {
        match self {
            Output::None => Ok(None),
            Output::Grid { grid, file, path, format } => {
                let picture = grid.finish();
                save(&picture, file, &path, format)?;
                Ok(Some(format!("{} ({} x {} pixels)", path.display(), picture.width(), picture.height())))
            }
            Output::Each { pattern, .. } => Ok(Some(pattern)),
        }
    }
}

/// The format that the extension names, if it can be written.
fn format(path: &Path) -> Result<ImageFormat, Failure> {
    ImageFormat::from_path(path).ok().filter(ImageFormat::writing_enabled).ok_or_else(|| {
        let mut known: Vec<&str> = ImageFormat::all()
            .filter(ImageFormat::writing_enabled)
            .filter_map(|format| format.extensions_str().first().copied())
            .collect();
        known.sort_unstable();
        let found = path.extension().map_or("none".into(), |extension| extension.to_string_lossy());
        Failure::Input(format!(
            "{}: expected an image extension ({}), found {found}",
            path.display(),
            known.join(", ")
        ))
    })
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file in the directory of `path` that disappears unless it is renamed to it.
fn beside(path: &Path) -> Result<NamedTempFile, Failure> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".fsvae-");
    // As any new file: the umask takes away what the user does not want.
    #[cfg(unix)]
    builder.permissions(<Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666));
    // tempfile wraps its errors to name its random file, which tells nobody anything.
    builder.tempfile_in(directory(path)).map_err(|error| write_failure(path, error.kind().into()))
}

fn save(
    image: &DynamicImage,
    mut file: NamedTempFile,
    path: &Path,
    format: ImageFormat,
) -> Result<(), Failure> {
    let mut bytes = Cursor::new(Vec::new());
    image
        .write_to(&mut bytes, format)
        .map_err(|source| Failure::Encode { place: path.display().to_string(), source })?;
    file.as_file_mut()
        .write_all(bytes.get_ref())
        .and_then(|()| file.as_file().sync_all())
        .map_err(|source| write_failure(path, source))?;
    file.persist(path).map_err(|error| write_failure(path, error.error))?;
    Ok(())
}

fn write_failure(path: &Path, source: std::io::Error) -> Failure {
    Failure::Write { place: format!("{}: cannot write it", path.display()), source }
}
