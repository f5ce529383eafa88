//! `fsvae reconstruct`.

use std::path::PathBuf;

use serde::Serialize;

use super::output::{Files, FormatArgument, Output, Pattern, Placeholder, is_stdout};
use super::report::{images, print, print_digests, print_json, progress};
use super::say::say;
use super::{Failure, along, backend, input, maker, model};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    inputs: input::Arguments,
    #[command(flatten)]
    model: model::Arguments,
    #[command(flatten)]
    backend: backend::Arguments,
    #[command(flatten)]
    along: along::Arguments,
    #[command(flatten)]
    any_model: maker::AnyModel,
    /// Image file for all of them as a grid [default: reconstructed.png], or with {index} or {index:06} in its path
    /// for one file an image; its extension is the format; - is standard output
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArgument,
    /// Print "INDEX SHA256" of each reconstruction's raw pixels; without --out no image is written
    #[arg(long)]
    digests: bool,
    /// Show each original, as the model saw it, to the left of its reconstruction
    #[arg(long)]
    side_by_side: bool,
    /// Print the errors of all images as JSON; without --out no image is written
    #[arg(long, conflicts_with = "digests")]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    backend: String,
    seed: u64,
    /// Mean squared error of all values, scaled to [-1, 1].
    mean_squared_error: f64,
    images: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    file: String,
    index: u64,
    mean_squared_error: f64,
}

impl Arguments {
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.backend.check()?;
        input::read_once(self.inputs.given().chain(self.along.file()))?;
        self.out.as_ref().map_or(Ok(()), |out| Pattern::check(out, Some(Placeholder::Index)))
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (network, identity) = arguments.model.network_and_identity()?;
    let architecture = network.architecture().clone();
    let (side, channels) = (architecture.image_side(), architecture.image_channels);
    let inputs = arguments.inputs.read(&architecture)?;
    let (count, first, seed) = (inputs.names.len() as u64, arguments.inputs.first, arguments.model.seed);
    let way = arguments.along.way(&architecture, &arguments.any_model.maker(&identity), seed)?;
    let default = (!arguments.digests && !arguments.json).then(|| PathBuf::from("reconstructed.png"));
    let width = if arguments.side_by_side { 2 * side } else { side };
    let read = [arguments.model.file(), arguments.along.file()];
    let mut files = Files::new(read.into_iter().flatten().chain(inputs.paths()));
    if arguments.digests || arguments.json {
        files.stdout(if arguments.json { "JSON" } else { "digests" })?;
    }
    // The error goes where the pictures do not.
    let out_is_stdout = arguments.out.as_deref().is_some_and(is_stdout);
    let mut output = match arguments.out.clone().or(default) {
        None => Output::None,
        Some(path) => {
            let FormatArgument { format, scale } = arguments.format;
            Output::new(files, &path, format, first, count, (width, side, channels), scale)?
        }
    };

    let generator = arguments.backend.generator(&network, count)?;
    drop(network);
    let progress = progress(count);
    let bytes = architecture.image_bytes();
    let mut lines: Vec<Line> = Vec::new();
    for originals in inputs.pixels.chunks(generator.batch() * bytes) {
        let at = first + lines.len() as u64;
        let images = match &way {
            None => generator.reconstruct(originals, seed, at)?,
            Some(way) => {
                generator.decode(&way.go(&generator.encode(originals, seed, at)?, at)?)?.with_first(at)
            }
        };
        for (original, image) in originals.chunks(bytes).zip(images.iter()) {
            if arguments.side_by_side {
                let row = side * channels;
                let rows = original.chunks(row).zip(image.pixels.chunks(row));
                let pair: Vec<u8> = rows.flat_map(|(left, right)| [left, right].concat()).collect();
                output.add(image.index, &pair)?;
            } else {
                output.add(image.index, image.pixels)?;
            }
            lines.push(Line {
                file: inputs.names[lines.len()].clone(),
                index: image.index,
                mean_squared_error: mean_squared_error(original, image.pixels),
            });
        }
        if arguments.digests {
            print_digests(images.iter().map(|image| (image.index, image.pixels)))?;
        }
        progress.inc(images.len() as u64);
    }
    progress.finish_and_clear();

    let name = generator.backend_name();
    if let Some(written) = output.finish()? {
        say(format!("wrote {written}: {}, seed {seed}, made on {name}", images(count)));
    }
    let mean = lines.iter().map(|line| line.mean_squared_error).sum::<f64>() / lines.len() as f64;
    let text = format!("mean squared error {mean:.6} over {}", images(count));
    if arguments.json {
        let report = Report { backend: name, seed, mean_squared_error: mean, images: lines };
        print_json(&report)?;
    } else if arguments.digests || out_is_stdout {
        say(text);
    } else {
        print(&(text + "\n"))?;
    }
    inputs.all_read()
}

/// Of values scaled from 0..255 to [-1, 1], as the paper measures it.
fn mean_squared_error(original: &[u8], image: &[u8]) -> f64 {
    let squares: u64 = original.iter().zip(image).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    squares as f64 * (2.0_f64 / 255.0).powi(2) / original.len() as f64
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_error_is_of_values_between_minus_1_and_1() {
        let error = super::mean_squared_error(&[0, 0, 255, 10], &[255, 0, 0, 10]);
        assert!((error - 2.0).abs() < 1e-12, "{error}");
    }
}
