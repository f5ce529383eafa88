//! `fsvae decode`.

use std::path::PathBuf;

use super::input::read_once;
use super::output::{Files, FormatArgument, Output, Pattern, Placeholder};
use super::report::{images, print_digests};
use super::say::say;
use super::{Failure, along, backend, latents_file, maker, model};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A safetensors file of `fsvae encode` or `fsvae generate --latents`, or - for standard input
    #[arg(value_name = "LATENTS")]
    latents: PathBuf,
    #[command(flatten)]
    model: model::Arguments,
    #[command(flatten)]
    backend: backend::Arguments,
    #[command(flatten)]
    along: along::Arguments,
    #[command(flatten)]
    any_model: maker::AnyModel,
    /// Image file for all of them as a grid [default: decoded.png], or with {index} or {index:06} in its path for
    /// one file an image, counted from 0; its extension is the format; - is standard output
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArgument,
    /// Print "INDEX SHA256" of each image's raw pixels; without --out no image is written
    #[arg(long)]
    digests: bool,
}

impl Arguments {
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.backend.check()?;
        read_once(std::iter::once(self.latents.as_path()).chain(self.along.file()))?;
        self.out.as_ref().map_or(Ok(()), |out| Pattern::check(out, Some(Placeholder::Index)))
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (network, identity) = arguments.model.network_and_identity()?;
    let architecture = network.architecture();
    let maker = arguments.any_model.maker(&identity);
    let latents = latents_file::read(&arguments.latents, architecture, &maker)?;
    let latents = match arguments.along.way(architecture, &maker, arguments.model.seed)? {
        Some(way) => way.go(&latents, 0)?,
        None => latents,
    };
    let count = latents.len() as u64;
    let side = architecture.image_side();
    let read = [Some(arguments.latents.as_path()), arguments.along.file(), arguments.model.file()];
    let mut files = Files::new(read.into_iter().flatten());
    if arguments.digests {
        files.stdout("digests")?;
    }
    let default = (!arguments.digests).then(|| PathBuf::from("decoded.png"));
    let mut output = match arguments.out.clone().or(default) {
        None => Output::None,
        Some(path) => {
            let size = (side, side, architecture.image_channels);
            Output::new(files, &path, arguments.format.format, 0, count, size, arguments.format.scale)?
        }
    };
    let generator = arguments.backend.generator(&network, count)?;
    let decoded = generator.decode(&latents)?;
    for image in decoded.iter() {
        output.add(image.index, image.pixels)?;
    }
    if arguments.digests {
        print_digests(decoded.iter().map(|image| (image.index, image.pixels)))?;
    }
    if let Some(written) = output.finish()? {
        say(format!("wrote {written}: {}, made on {}", images(count), generator.backend_name()));
    }
    Ok(())
}
