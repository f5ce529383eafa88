//! `fsvae interpolate`.

use std::path::{Path, PathBuf};

use fsvae::{Generator, Grid, Latents, Rates};

use super::animation::{Animation, Shape};
use super::formats::Format;
use super::output::{Files, FormatArgument, Pattern, Placeholder, Target, format, grid_count};
use super::say::say;
use super::{Failure, backend, input, latents_file, maker, model, rates_file};

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
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = super::usage::at_least::<2>)]
    steps: u64,
    #[command(flatten)]
    model: model::Arguments,
    #[command(flatten)]
    backend: backend::Arguments,
    #[command(flatten)]
    any_model: maker::AnyModel,
    /// Mix the rates of both ends, and draw each image from the mixture, instead of taking spikes from one or the other;
    /// files of `fsvae encode --rates` may be ends, too
    #[arg(long)]
    rates: bool,
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
    let FormatArgument { format: asked, scale } = arguments.format;
    let size = scale.size((side, side, channels));
    let steps =
        grid_count(&arguments.out, arguments.steps, size, "choose fewer --steps or a smaller --scale")?;
    let path = &arguments.out;
    let mut files = Files::new(arguments.model.file().into_iter().chain(arguments.inputs()));
    let (width, height) = (size.0 as u64, size.1 as u64);
    let shape = Shape { pictures: arguments.steps, width, height, scale };
    let output = match Animation::of_path(&mut files, path, asked, Format::Png, shape)? {
        Some(animation) => Output::Animation(animation),
        None => {
            let format = format(path, asked, Format::Png)?;
            format.check(path, arguments.steps * width, height)?;
            Output::Strip(format, files.target(path)?)
        }
    };

    let generator = arguments.backend.generator(&network, arguments.steps)?;
    let seed = arguments.model.seed;
    let maker = arguments.any_model.maker(&identity);
    let [from, to] = [&arguments.from, &arguments.to];
    let ends = (end(&generator, from, seed, &maker)?, end(&generator, to, seed, &maker)?);
    let mut all = Latents::from_words(architecture.time_steps, architecture.latent_channels, Vec::new())?;
    if arguments.rates {
        let (from, to) = (ends.0.rates(&generator, seed, 0)?, ends.1.rates(&generator, seed, 1)?);
        for step in 0..steps {
            // The draws are the same for every step.
            let mixture = Rates::interpolate(&from, &to, step, steps)?;
            all.append(&mixture.draw(0, architecture.time_steps, seed, 0)?)?;
        }
    } else {
        let from = ends.0.latents(from, &generator, seed, 0)?;
        let to = ends.1.latents(to, &generator, seed, 1)?;
        for step in 0..steps {
            all.append(&Latents::interpolate(&from, &to, seed, step, steps)?)?;
        }
    }
    let images = generator.decode(&all)?;
    let pictures: Vec<_> = images.iter().map(|image| scale.enlarge(image.to_dynamic())).collect();
    let written = match output {
        Output::Animation(animation) => animation.write(&pictures)?,
        Output::Strip(format, target) => {
            let mut grid = Grid::with_columns(steps, steps, size.0, size.1, channels);
            pictures.iter().for_each(|picture| grid.add(picture.as_bytes()));
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
        input::read_once(self.inputs())?;
        Pattern::check(&self.out, Some(Placeholder::Step))
    }

    /// The ends that are files.
    fn inputs(&self) -> impl Iterator<Item = &Path> {
        [&self.from, &self.to].into_iter().filter(|end| model::number(end).is_err()).map(Path::new)
    }
}

/// What an end is.
enum End {
    Latents(Latents),
    /// With one row.
    Rates(Rates),
    /// u8 `[side, side, channels]`
    Picture(Vec<u8>),
}

fn end(generator: &Generator, end: &str, seed: u64, maker: &maker::Maker<'_>) -> Result<End, Failure> {
    if let Ok(index) = model::number(end) {
        return Ok(End::Latents(generator.sample_latents(seed, index..=index)?));
    }
    let path = Path::new(end);
    let architecture = generator.architecture();
    // What looks like a number was meant to be one.
    if end.parse::<f64>().is_ok() && !path.exists() {
        let problem = format!("is no index (0 to {}) and no file", u64::MAX);
        return Err(Failure::Input(format!("{end}: {problem}")));
    }
    let bytes = input::read_file(path)?;
    let named = path.extension().is_some_and(|extension| extension == "safetensors");
    // A file may hold many; the first speaks for it.
    if rates_file::holds_rates(&bytes) {
        let rates = rates_file::parse(path, &bytes, architecture, maker)?;
        let first = rates.as_slice()[..rates.channels()].to_vec();
        return Ok(End::Rates(Rates::new(rates.channels(), first)?));
    }
    if named || latents_file::is_safetensors(&bytes) {
        let latents = latents_file::parse(path, &bytes, architecture, maker)?;
        let first = latents.words()[..latents.channels()].to_vec();
        return Ok(End::Latents(Latents::from_words(latents.time_steps(), latents.channels(), first)?));
    }
    Ok(End::Picture(input::decode(&bytes, path.display(), architecture)?.pixels))
}

impl End {
    /// A picture is encoded with the given index.
    fn latents(self, name: &str, generator: &Generator, seed: u64, index: u64) -> Result<Latents, Failure> {
        match self {
            End::Latents(latents) => Ok(latents),
            End::Picture(pixels) => Ok(generator.encode(&pixels, seed, index)?),
            End::Rates(_) => {
                Err(Failure::Input(format!("{name}: these are rates; --rates goes from one to another")))
            }
        }
    }

    fn rates(self, generator: &Generator, seed: u64, index: u64) -> Result<Rates, Failure> {
        Ok(match self {
            End::Latents(latents) => Rates::of(&latents)?,
            End::Picture(pixels) => generator.encode_rates(&pixels, seed, index)?,
            End::Rates(rates) => rates,
        })
    }
}
