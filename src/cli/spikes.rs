//! `fsvae spikes`: what fires while an image is made, as numbers, as a picture, or as an animation.

mod draw;

use std::path::PathBuf;

use clap::ValueEnum;
use fsvae::image::DynamicImage;
use fsvae::{Architecture, Job, LayerSpikes, Outputs};
use safetensors::tensor::{Dtype, TensorView};

use super::animation::{Animation, Shape};
use super::formats::Format;
use super::model::Identity;
use super::output::{Files, Pattern, Placeholder, Target, format, is_stdout};
use super::say::say;
use super::scale::Scale;
use super::{Failure, backend, model, tensors};

/// A layer's picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Show {
    /// Neurons from top to bottom, time steps from left to right; white is a spike
    Raster,
    /// A map of each channel; the brighter, the more spikes a time step
    Rates,
}

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[arg(value_name = "MODEL", help = model::what())]
    model: PathBuf,
    /// Any 64-bit number, such as 7 or 0xC0FFEE; another seed makes other draws
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = model::number)]
    seed: u64,
    /// Index of the image
    #[arg(long, value_name = "I", default_value_t = 0, value_parser = model::number)]
    index: u64,
    /// A layer, by its name in `fsvae info`, or latent; several times for several [default: all of them; in pictures,
    /// latent]
    #[arg(long, value_name = "NAME")]
    layer: Vec<String>,
    #[command(flatten)]
    backend: backend::Arguments,
    /// .safetensors: a tensor of each layer, u8 [T, y, x, channels], 0 or 1. A picture: one layer. A .gif or .apng, or
    /// {step} in the name: one layer at each time step beside the image as it forms. - is standard output
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// What a picture shows [default: raster]
    #[arg(long, value_enum)]
    show: Option<Show>,
    /// Format of --out as a picture or an animation, whatever its name says; without it standard output takes numbers
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
}

impl Arguments {
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.backend.check()?;
        if !is_numbers(self) && self.format.is_none() && Format::named(&self.out).is_none() {
            return Err(Format::unknown(&self.out, ".safetensors for numbers, "));
        }
        Pattern::check(&self.out, Some(Placeholder::Step))
    }
}

/// Bytes of a picture, or of all pictures of an animation: more are surely meant to be numbers.
const LARGEST: u64 = 1 << 30;

/// Where the spikes go.
enum Output {
    Numbers(Target),
    Picture(Target, Format, Show),
    Animation(Animation),
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { seed, index, .. } = *arguments;
    let (network, identity) = model::network_and_identity(&arguments.model)?;
    let architecture = network.architecture().clone();
    let numbers = is_numbers(arguments);
    let layers = layers(arguments, &architecture, numbers)?;
    let mut files = Files::new(model::file(&arguments.model));
    let output = if numbers {
        Output::Numbers(files.target(&arguments.out)?)
    } else {
        picture_output(arguments, &architecture, &layers[0], &mut files)?
    };
    if let (Some(_), Output::Numbers(_) | Output::Animation(_)) = (arguments.show, &output) {
        let out = arguments.out.display();
        return Err(Failure::Input(format!(
            "{out}: --show is for pictures, this holds numbers or an animation"
        )));
    }
    let outputs = Outputs::spikes(&layers).and(match output {
        Output::Animation(_) => Outputs::frames(),
        _ => Outputs::default(),
    });
    let generator = arguments.backend.generator(&network, 1)?;
    let part = generator.start(Job::prior(seed, index..=index)?.giving(outputs))?.wait()?;
    let written = match output {
        Output::Numbers(target) => write_numbers(target, &part.spikes, seed, index, &identity)?,
        Output::Picture(target, format, show) => {
            let picture = match show {
                Show::Raster => draw::raster(&part.spikes[0]),
                Show::Rates => draw::rates(&part.spikes[0]),
            };
            let text = format!("{} ({} x {} pixels)", target.shown(), picture.width(), picture.height());
            target.write_image(&DynamicImage::from(picture), format)?;
            text
        }
        Output::Animation(animation) => {
            let frames = part.frames.unwrap_or_default();
            animation.write(&draw::animation(&part.spikes[0], &frames))?
        }
    };
    let spikes: u64 = part.spikes.iter().map(LayerSpikes::count).sum();
    say(format!(
        "wrote {written}: {spikes} spikes of {}, image {index}, seed {}, made on {}",
        layers.join(", "),
        seed,
        generator.backend_name()
    ));
    Ok(())
}

/// Numbers, unless a picture is named.
fn is_numbers(Arguments { out, format, .. }: &Arguments) -> bool {
    let named = || out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("safetensors"));
    format.is_none() && (is_stdout(out) || named())
}

/// The layers that are asked for, or those that the output shows.
fn layers(arguments: &Arguments, architecture: &Architecture, numbers: bool) -> Result<Vec<String>, Failure> {
    // What comes by when an image is generated: the encoder does not.
    let generated = architecture.layers().split_off(architecture.depth() + 1);
    let known: Vec<String> = generated.into_iter().map(|layer| layer.name).collect();
    let mut layers = Vec::new();
    for name in &arguments.layer {
        if !known.contains(name) {
            let known = known.join(", ");
            return Err(Failure::Input(format!("--layer: expected one of {known}, found \"{name}\"")));
        }
        if !layers.contains(name) {
            layers.push(name.clone());
        }
    }
    if layers.is_empty() {
        layers = if numbers { known } else { known[..1].to_vec() };
    }
    if !numbers && layers.len() > 1 {
        let (out, found) = (arguments.out.display(), layers.len());
        return Err(Failure::Input(format!(
            "{out}: a picture shows one layer, found --layer {found} times; .safetensors holds several"
        )));
    }
    Ok(layers)
}

/// A picture or an animation, if it is not too large.
fn picture_output(
    arguments: &Arguments,
    architecture: &Architecture,
    layer: &str,
    files: &mut Files,
) -> Result<Output, Failure> {
    let Arguments { out, format: asked, .. } = arguments;
    let show = arguments.show.unwrap_or(Show::Raster);
    let mut all = architecture.layers();
    all.retain(|known| known.name == layer);
    let fits = |pictures: u64, [width, height]: [u64; 2]| {
        let bytes = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(pictures));
        if bytes.is_some_and(|bytes| bytes <= LARGEST) {
            return Ok(());
        }
        let out = out.display();
        Err(Failure::Input(format!(
            "{out}: {layer} is too large for pictures; .safetensors holds its spikes"
        )))
    };
    let steps = architecture.time_steps as u64;
    let size = draw::animation_size(&all[0], architecture.image_side());
    let shape = Shape { pictures: steps, width: size[0], height: size[1], scale: Scale::ONE };
    if let Some(animation) = Animation::of_path(files, out, *asked, Format::Png, shape)? {
        // In colours.
        fits(3 * steps, size)?;
        return Ok(Output::Animation(animation));
    }
    let format = format(out, *asked, Format::Png)?;
    let size = match show {
        Show::Raster => draw::raster_size(&all[0], architecture.time_steps),
        Show::Rates => draw::rates_size(&all[0]),
    };
    fits(1, size)?;
    format.check(out, size[0], size[1])?;
    Ok(Output::Picture(files.target(out)?, format, show))
}

/// A tensor of each layer, with what its axes are in the metadata.
fn write_numbers(
    target: Target,
    spikes: &[LayerSpikes],
    seed: u64,
    index: u64,
    identity: &Identity,
) -> Result<String, Failure> {
    let rasters: Vec<Vec<u8>> = spikes.iter().map(LayerSpikes::raster).collect();
    let metadata = [
        ("format", tensors::SPIKES.into()),
        ("axes", "time step, y, x, channel".into()),
        ("model", identity.name.clone()),
        ("model_family", identity.family().into()),
        ("model_sha256", identity.digest.clone()),
        ("model_integers_sha256", identity.integers()),
        ("seed", seed.to_string()),
        ("index", index.to_string()),
    ];
    let view = |(spikes, raster): (&LayerSpikes, _)| {
        let layer = spikes.layer();
        let shape = vec![spikes.time_steps(), layer.side, layer.side, layer.channels];
        Ok((layer.name.clone(), TensorView::new(Dtype::U8, shape, raster)?))
    };
    let views: Result<Vec<_>, safetensors::SafeTensorError> =
        spikes.iter().zip(rasters.iter().map(Vec::as_slice)).map(view).collect();
    let bytes = views
        .and_then(|views| tensors::file(views, &metadata))
        .map_err(|error| Failure::Input(format!("{}: {error}", target.shown())))?;
    let text = target.shown();
    target.write(&bytes)?;
    Ok(text)
}
