//! `fsvae interpolate`.

use std::path::{Path, PathBuf};

use fsvae::image::ImageFormat;
use fsvae::{Generator, Grid, Latents};

use super::animation::Animation;
use super::output::{Target, format, grid_count};
use super::say::say;
use super::{Failure, backend, input, latents_file, model};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where it starts: an index (latents that `generate` draws), an image file, or a latents file
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
    /// A strip as an image file, or an animation: .gif, .apng, or with {step} in its name one file a
    /// step
    #[arg(long, value_name = "PATH", default_value = "interpolated.png")]
    out: PathBuf,
}

enum Output {
    Animation(Animation),
    Strip(ImageFormat, Target),
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (network, identity) = arguments.model.network_and_identity()?;
    let architecture = network.architecture().clone();
    let (side, channels) = (architecture.image_side(), architecture.image_channels);
    let steps = grid_count(&arguments.out, arguments.steps, (side, side, channels))?;
    let output = match Animation::of_path(&arguments.out)? {
        Some(animation) => Output::Animation(animation),
        None => Output::Strip(format(&arguments.out)?, Target::new(&arguments.out)?),
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
            target.write_image(&grid.finish(), format)?;
            arguments.out.display().to_string()
        }
    };
    say(format!("wrote {written}: {steps} steps, seed {seed}, made on {}", generator.backend_name()));
    Ok(())
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
    if path.extension().is_some_and(|extension| extension == "safetensors") {
        let latents = latents_file::read(path, &architecture, model)?;
        // A file may hold many; the first speaks for it.
        let first = latents.words()[..latents.channels()].to_vec();
        return Ok(Latents::from_words(latents.time_steps(), latents.channels(), first)?);
    }
    let picture = input::read(path, &architecture)?;
    Ok(generator.encode(&picture.pixels, seed, index)?)
}
