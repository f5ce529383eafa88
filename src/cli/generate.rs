//! `fsvae generate`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use fsvae::Network;
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use super::{Failure, backend, model, output::Output};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A checkpoint file, or a bundled model: mnist, fashion
    #[arg(long, value_name = "PATH|NAME", default_value = "mnist")]
    model: PathBuf,
    /// Any 64-bit number; another seed gives other images
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Index of the first image
    #[arg(long, value_name = "I", default_value_t = 0)]
    first: u64,
    /// How many images
    #[arg(long, value_name = "K", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    #[command(flatten)]
    backend: backend::Arguments,
    /// Image file for all of them as a grid [default: fsvae.png], or with {index} in its name for
    /// one file an image; its extension is the format
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Print "INDEX SHA256" of each image's raw pixels; without --out no file is written
    #[arg(long)]
    digests: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { seed, first, count, .. } = *arguments;
    let last = first.checked_add(count - 1).ok_or_else(|| {
        let largest = u64::MAX;
        Failure::Input(format!("--first {first} with --count {count} goes past the last index, {largest}"))
    })?;
    let network = Network::new(&model::open(&arguments.model)?)?;
    let architecture = network.architecture();
    let out = match &arguments.out {
        None if arguments.digests => None,
        None => Some(PathBuf::from("fsvae.png")),
        Some(path) => Some(path.clone()),
    };
    let (side, channels) = (architecture.image_side(), architecture.image_channels);
    let mut output = match out {
        None => Output::None,
        Some(path) => Output::new(&path, count, side, channels)?,
    };

    let mut generator = arguments.backend.generator(&network, count)?;
    drop(network);
    let name = generator.backend_name();
    let progress = progress(count);
    for images in generator.batches(seed, first..=last)? {
        let images = images?;
        for image in images.iter() {
            output.add(image)?;
        }
        if arguments.digests {
            let digests = images.iter().map(|image| (image.index, digest(image.pixels)));
            print_digests(digests).map_err(Failure::stdout)?;
        }
        progress.inc(images.len() as u64);
    }
    progress.finish_and_clear();
    if let Some(written) = output.finish()? {
        let images = if count == 1 { "image" } else { "images" };
        eprintln!("fsvae: wrote {written}: {count} {images}, seed {seed}, made on {name}");
    }
    Ok(())
}

fn print_digests(digests: impl Iterator<Item = (u64, String)>) -> std::io::Result<()> {
    // A batch at a time, so that whoever reads the other end of the pipe sees them as they come.
    let mut lines = String::new();
    for (index, digest) in digests {
        lines += &format!("{index} {digest}\n");
    }
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(lines.as_bytes())?;
    stdout.flush()
}

fn digest(pixels: &[u8]) -> String {
    Sha256::digest(pixels).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
        text
    })
}

/// A bar on standard error; indicatif draws none where that is not a terminal.
fn progress(count: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} images, {per_sec}, {eta} left");
    let bar = ProgressBar::new(count);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
