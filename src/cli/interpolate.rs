//! `fsvae interpolate`.

use std::path::{Path, PathBuf};

use fsvae::{Generator, Grid, Latents};

use super::animation::{Animation, Shape};
use super::formats::Format;
use super::output::{Files, FormatArgument, Pattern, Placeholder, Target, format, grid_count};
use super::say::say;
use super::{Failure, backend, input, latents_file, model};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where it starts: an index (latents that `generate` draws), an image file, a latents file, or - for either on
    /// standard input
    #[arg(value_name = "A")]
    from: String,
    /// Where it ends
    #[arg(value_name = "B")]
    to: String,
    /// How many images, both ends included
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u64).range(2..))]
    steps: u64,
    #[command(flatten)]
    model: model::Arguments,
    #[command(flatten)]
    backend: backend::Arguments,
    #[command(flatten)]
    any_model: latents_file::AnyModel,
    /// A strip as an image file, or an animation: .gif, .apng, or with {step} or {step:03} in its path one file a
    /// step; - is standard output
    #[arg(long, value_name = "PATH", default_value = "interpolated.png")]
    out: PathBuf,
    #[command(flatten)]
    format: FormatArgument,
}

enum Output {
    Animation(Animation),
    Strip(Format, Target),
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (network, identity) = arguments.model.network_and_identity()?;
    let architecture = network.architecture().clone();
    let (side, channels) = (architecture.image_side(), architecture.image_channels);
    let steps = grid_count(&arguments.out, arguments.steps, (side, side, channels))?;
    let path = &arguments.out;
    let mut files = Files::new(arguments.model.file().into_iter().chain(arguments.inputs()));
    let asked = arguments.format.format;
    let shape = Shape { pictures: arguments.steps, width: side as u64, height: side as u64 };
    let output = match Animation::of_path(&mut files, path, asked, Format::Png, shape)? {
        Some(animation) => Output::Animation(animation),
        None => {
            let format = format(path, asked, Format::Png)?;
            format.check(path, arguments.steps * side as u64, side as u64)?;
            Output::Strip(format, files.target(path)?)
        }
    };

    let mut generator = arguments.backend.generator(&network, arguments.steps)?;
    let seed = arguments.model.seed;
    let maker = arguments.any_model.maker(&identity);
    let mut end = |text: &str, index| latents(&mut generator, text, seed, index, &maker);
    let (from, to) = (end(&arguments.from, 0)?, end(&arguments.to, 1)?);
    let mut all = Latents::interpolate(&from, &to, seed, 0, steps)?;
    for step in 1..steps {
        all.append(&Latents::interpolate(&from, &to, seed, step, steps)?)?;
    }
    let images = generator.decode(&all)?;
    let written = match output {
        Output::Animation(animation) => {
            let pictures: Vec<_> = images.iter().map(|image| image.to_dynamic()).collect();
            animation.write(&pictures)?
        }
        Output::Strip(format, target) => {
            let mut grid = Grid::with_columns(images.len(), images.len(), side, side, channels);
            images.iter().for_each(|image| grid.add(image.pixels));
            let text = target.shown();
            target.write_image(&grid.finish(), format)?;
            text
        }
    };
    say(format!("wrote {written}: {steps} steps, seed {seed}, made on {}", generator.backend_name()));
    Ok(())
}

impl Arguments {
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.backend.check()?;
        Pattern::check(&self.out, Some(Placeholder::Step))
    }

    /// The ends that are files.
    fn inputs(&self) -> impl Iterator<Item = &Path> {
        [&self.from, &self.to].into_iter().filter(|end| model::number(end).is_err()).map(Path::new)
    }
}

/// The latents of one end. An image is encoded with the given index.
fn latents(
    generator: &mut Generator,
    end: &str,
    seed: u64,
    index: u64,
    model: &latents_file::Maker<'_>,
) -> Result<Latents, Failure> {
    if let Ok(index) = model::number(end) {
        return Ok(generator.sample_latents(seed, index..=index)?);
    }
    let path = Path::new(end);
    let architecture = generator.architecture().clone();
    let bytes = input::read_file(path)?;
    let named = path.extension().is_some_and(|extension| extension == "safetensors");
    if named || latents_file::is_one(&bytes) {
        let latents = latents_file::parse(path, &bytes, &architecture, model)?;
        // A file may hold many; the first speaks for it.
        let first = latents.words()[..latents.channels()].to_vec();
        return Ok(Latents::from_words(latents.time_steps(), latents.channels(), first)?);
    }
    let picture = input::decode(&bytes, path.display(), &architecture)?;
    Ok(generator.encode(&picture.pixels, seed, index)?)
}
