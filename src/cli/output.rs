//! Files: everything that can be wrong with a path is found before any image is made, and a file is
//! written beside its place, then renamed, so that there is never half of one.

use std::fs::Permissions;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use fsvae::Grid;
use fsvae::image::{DynamicImage, ImageFormat};
use tempfile::NamedTempFile;

use super::Failure;

/// Stands for the index in `--out`.
const INDEX: &str = "{index}";
/// A grid of more bytes than this is surely meant to be separate files.
const LARGEST_GRID: usize = 1 << 30;

/// Width, height and channels of a tile.
pub(super) type Size = (usize, usize, usize);

/// A place that a file can be written to. The file beside it is made first, to know that it can be.
pub(super) struct Target {
    path: PathBuf,
    file: NamedTempFile,
}

impl Target {
    pub(super) fn new(path: &Path) -> Result<Self, Failure> {
        if path.is_dir() {
            return Err(Failure::Input(format!("{}: is a directory, expected a file name", path.display())));
        }
        let directory =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !directory.is_dir() {
            let text = format!("{}: the directory {} does not exist", path.display(), directory.display());
            return Err(Failure::Input(text));
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(".fsvae-");
        // As any new file: the umask takes away what the user does not want.
        #[cfg(unix)]
        builder.permissions(<Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666));
        // tempfile wraps its errors to name its random file, which tells nobody anything.
        let file = builder.tempfile_in(directory).map_err(|error| failure(path, error.kind().into()))?;
        Ok(Target { path: path.into(), file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn write(mut self, bytes: &[u8]) -> Result<(), Failure> {
        let file = self.file.as_file_mut();
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        written.map_err(|source| failure(&self.path, source))?;
        self.file.persist(&self.path).map_err(|error| failure(&self.path, error.error))?;
        Ok(())
    }

    pub(super) fn write_image(self, image: &DynamicImage, format: ImageFormat) -> Result<(), Failure> {
        let mut bytes = Cursor::new(Vec::new());
        let encoded = image.write_to(&mut bytes, format);
        encoded.map_err(|source| Failure::Encode { place: self.path.display().to_string(), source })?;
        self.write(bytes.get_ref())
    }
}

fn failure(path: &Path, source: std::io::Error) -> Failure {
    Failure::Write { place: format!("{}: cannot write it", path.display()), source }
}

/// Where images go.
pub(super) enum Output {
    /// Nowhere.
    None,
    /// All into one picture.
    Grid { grid: Grid, target: Target, format: ImageFormat },
    /// Each into a file of its own.
    Each { pattern: String, size: Size, format: ImageFormat },
}

impl Output {
    /// An output for `count` images of one size, a grid as square as can be.
    pub(super) fn new(path: &Path, count: u64, size: Size) -> Result<Self, Failure> {
        let format = format(path)?;
        let target = Target::new(path)?;
        match path.to_str() {
            Some(pattern) if pattern.contains(INDEX) => {
                Ok(Output::Each { pattern: pattern.into(), size, format })
            }
            _ => {
                let (width, height, channels) = size;
                let grid = Grid::new(grid_count(path, count, size)?, width, height, channels);
                Ok(Output::Grid { grid, target, format })
            }
        }
    }

    /// The next image, u8 `[height, width, channels]`.
    pub(super) fn add(&mut self, index: u64, pixels: &[u8]) -> Result<(), Failure> {
        match self {
            Output::None => Ok(()),
            Output::Grid { grid, .. } => {
                grid.add(pixels);
                Ok(())
            }
            Output::Each { pattern, size: (width, height, channels), format } => {
                let path = PathBuf::from(pattern.replace(INDEX, &index.to_string()));
                let mut picture = Grid::new(1, *width, *height, *channels);
                picture.add(pixels);
                Target::new(&path)?.write_image(&picture.finish(), *format)
            }
        }
    }

    /// What was written, in words.
    pub(super) fn finish(self) -> Result<Option<String>, Failure> {
        match self {
            Output::None => Ok(None),
            Output::Grid { grid, target, format } => {
                let picture = grid.finish();
                let (width, height) = (picture.width(), picture.height());
                let text = format!("{} ({width} x {height} pixels)", target.path().display());
                target.write_image(&picture, format)?;
                Ok(Some(text))
            }
            Output::Each { pattern, .. } => Ok(Some(pattern)),
        }
    }
}

/// `count`, if a grid of so many images is not too large.
pub(super) fn grid_count(path: &Path, count: u64, (width, height, channels): Size) -> Result<usize, Failure> {
    let count_here = usize::try_from(count).ok();
    let fits = |&count: &usize| {
        count.checked_mul(width * height * channels).is_some_and(|bytes| bytes <= LARGEST_GRID)
    };
    count_here.filter(fits).ok_or_else(|| {
        Failure::Input(format!(
            "{}: a grid of {count} images is too large; write {INDEX} into the name for a file each",
            path.display()
        ))
    })
}

/// The format that the extension names, if it can be written.
pub(super) fn format(path: &Path) -> Result<ImageFormat, Failure> {
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
