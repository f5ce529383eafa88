//! `fsvae generate`.

use std::path::PathBuf;

use fsvae::image::DynamicImage;
use fsvae::{Generator, Job, Latents, Outputs};

use super::animation::{Animation, Shape};
use super::input::read_once;
use super::output::{
    Files, FormatArgument, Output, Pattern, Placeholder, check_tensors, grid_count, grid_shape, is_stdout,
};
use super::report::{images, print_digests, progress};
use super::say::say;
use super::scale::Scale;
use super::{Failure, along, backend, latents_file, maker, model, rates_file};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    model: model::Arguments,
    /// Index of the first image
    #[arg(long, value_name = "I", default_value_t = 0, value_parser = super::model::number)]
    first: u64,
    /// How many images
    #[arg(long, value_name = "K", default_value_t = 64, value_parser = super::usage::at_least::<1>)]
    count: u64,
    #[command(flatten)]
    backend: backend::Arguments,
    /// Draw latents by the rates in a file of `fsvae encode --rates`, not by the model's prior; of n rows, image i has row
    /// i mod n
    #[arg(long, value_name = "PATH")]
    rates: Option<PathBuf>,
    #[command(flatten)]
    along: along::Arguments,
    #[command(flatten)]
    any_model: maker::AnyModel,
    /// Image file for all of them as a grid [default: fsvae.png], or with {index} or {index:06} in its path for
    /// one file an image; its extension is the format; - is standard output
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArgument,
    /// Print "INDEX SHA256" of each image's raw pixels; without --out no image is written
    #[arg(long)]
    digests: bool,
    /// Also keep the drawn latents, for `fsvae decode`, in this safetensors file, or - for standard output
    #[arg(long, value_name = "PATH")]
    latents: Option<PathBuf>,
    /// Write the grid as it is after each time step: a .gif or .apng, or with {step} or {step:02} in its path one
    /// file a step; without --out no other image is written. With - it is what --format says [default: gif]
    #[arg(long, value_name = "PATH")]
    animate: Option<PathBuf>,
}

/// Bytes of a latents file, which is made in memory.
const LARGEST_LATENTS: u64 = 1 << 30;

impl Arguments {
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.last()?;
        self.backend.check()?;
        read_once(self.rates.as_deref().into_iter().chain(self.along.file()))?;
        self.latents.as_ref().map_or(Ok(()), |path| check_tensors(path, "latents"))?;
        let paths = [(&self.animate, Some(Placeholder::Step)), (&self.out, Some(Placeholder::Index))];
        paths.into_iter().try_for_each(|(path, placeholder)| {
            path.as_ref().map_or(Ok(()), |path| Pattern::check(path, placeholder))
        })
    }

    /// Index of the last image.
    fn last(&self) -> Result<u64, Failure> {
        let Arguments { first, count, .. } = *self;
        first.checked_add(count - 1).ok_or_else(|| {
            let largest = u64::MAX;
            Failure::Input(format!(
                "--first {first} with --count {count} goes past the last index, {largest}"
            ))
        })
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { first, count, .. } = *arguments;
    let seed = arguments.model.seed;
    let last = arguments.last()?;
    let (network, identity) = arguments.model.network_and_identity()?;
    let architecture = network.architecture().clone();
    let side = architecture.image_side();
    let size = (side, side, architecture.image_channels);
    let maker = arguments.any_model.maker(&identity);
    let rates =
        arguments.rates.as_ref().map(|path| rates_file::read(path, &architecture, &maker)).transpose()?;
    let way = arguments.along.way(&architecture, &maker, seed)?;
    let read = [arguments.model.file(), arguments.rates.as_deref(), arguments.along.file()];
    let mut files = Files::new(read.into_iter().flatten());
    if arguments.digests {
        files.stdout("digests")?;
    }
    // --format is of what goes to standard output, if anything does.
    let FormatArgument { format, scale } = arguments.format;
    let animated_on_stdout = arguments.animate.as_deref().is_some_and(is_stdout);
    let animation = match &arguments.animate {
        None => None,
        Some(path) => {
            let steps = architecture.time_steps as u64;
            let enlarged = scale.size(size);
            let advice = "make fewer images, or choose a smaller --scale";
            grid_count(path, count.saturating_mul(steps), enlarged, advice)?;
            let (columns, rows) = grid_shape(count);
            let (width, height) = (columns * enlarged.0 as u64, rows * enlarged.1 as u64);
            let shape = Shape { pictures: steps, width, height, scale };
            Some(Animation::new(&mut files, path, format.filter(|_| animated_on_stdout), shape)?)
        }
    };
    let kept = match &arguments.latents {
        None => None,
        Some(path) => {
            let spikes = architecture.time_steps * architecture.latent_channels;
            let bytes = count.checked_mul(spikes as u64).filter(|&bytes| bytes <= LARGEST_LATENTS);
            bytes.ok_or_else(|| {
                let path = path.display();
                Failure::Input(format!("{path}: the latents of {count} images are too large for one file"))
            })?;
            Some(files.target(path)?)
        }
    };
    let kept_on_stdout = arguments.latents.as_deref().is_some_and(is_stdout);
    let quiet = arguments.digests || animation.is_some() || kept_on_stdout;
    let default = (!quiet).then(|| PathBuf::from("fsvae.png"));
    let mut output = match arguments.out.clone().or(default) {
        None => Output::None,
        Some(path) => {
            let format = format.filter(|_| !animated_on_stdout);
            Output::new(files, &path, format, first, count, size, scale)?
        }
    };

    let generator = arguments.backend.generator(&network, count)?;
    drop(network);
    let keep = kept.is_some() || animation.is_some();
    // Latents that go along a direction are not decoded before they are there.
    let outputs = match (&way, keep) {
        (Some(_), _) => Outputs::latents(),
        (None, true) => Outputs::images().and(Outputs::latents()),
        (None, false) => Outputs::images(),
    };
    let job = match &rates {
        Some(rates) => Job::rates(rates, seed, first..=last)?,
        None => Job::prior(seed, first..=last)?,
    };
    let mut latents = Latents::from_words(architecture.time_steps, architecture.latent_channels, Vec::new())?;
    let progress = progress(count);
    for part in generator.start(job.giving(outputs))? {
        let mut part = part?;
        if let (Some(way), Some(drawn)) = (&way, &mut part.latents) {
            *drawn = way.go(drawn, part.first)?;
            part.images = Some(generator.decode(drawn)?.with_first(part.first));
        }
        part.latents.iter().filter(|_| keep).try_for_each(|drawn| latents.append(drawn))?;
        let mut images = part.images.iter();
        images.try_for_each(|images| take(images, arguments.digests, &mut output, &progress))?;
    }
    progress.finish_and_clear();

    let name = generator.backend_name();
    let say_written = |written: String| {
        say(format!("wrote {written}: {}, seed {seed}, made on {name}", images(count)));
    };
    if let Some(target) = kept {
        let text = format!("{} (latents)", target.shown());
        latents_file::write(target, &latents, &identity)?;
        say_written(text);
    }
    if let Some(animation) = animation {
        say_written(animation.write(&pictures(&generator, &latents, scale)?)?);
    }
    if let Some(written) = output.finish()? {
        say_written(written);
    }
    Ok(())
}

fn take(
    images: &fsvae::Images,
    digests: bool,
    output: &mut Output,
    progress: &indicatif::ProgressBar,
) -> Result<(), Failure> {
    for image in images.iter() {
        output.add(image.index, image.pixels)?;
    }
    if digests {
        print_digests(images.iter().map(|image| (image.index, image.pixels)))?;
    }
    progress.inc(images.len() as u64);
    Ok(())
}

/// The grid of all images after each time step.
fn pictures(generator: &Generator, latents: &Latents, scale: Scale) -> Result<Vec<DynamicImage>, Failure> {
    Ok(generator.frames(latents)?.iter().map(|images| scale.enlarge(images.to_grid())).collect())
}
