//! `fsvae encode`.

use std::path::PathBuf;

use fsvae::Latents;

use super::output::{Files, check_tensors};
use super::report::{images, progress};
use super::say::say;
use super::{Failure, backend, direction, input, latents_file, model, rates_file};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    inputs: input::Arguments,
    #[command(flatten)]
    model: model::Arguments,
    #[command(flatten)]
    backend: backend::Arguments,
    /// Safetensors file for the latents: `z`, u8 [n, T, C], 0 or 1; with --rates `rates`, u16 [n, C]; - is standard
    /// output
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// Keep rates instead of the latents, for `fsvae generate --rates`: how often each latent channel spikes, of 65,536
    #[arg(long)]
    rates: bool,
    /// Keep the mean of all images' rates
    #[arg(long, requires = "rates")]
    mean: bool,
}

impl Arguments {
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.backend.check()?;
        input::read_once(self.inputs.given())?;
        check_tensors(&self.out, if self.rates { "rates" } else { "latents" })
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (network, identity) = arguments.model.network_and_identity()?;
    let architecture = network.architecture().clone();
    let inputs = arguments.inputs.read(&architecture)?;
    let (count, seed) = (inputs.names.len() as u64, arguments.model.seed);
    let mut files = Files::new(arguments.model.file().into_iter().chain(inputs.paths()));
    let target = files.target(&arguments.out)?;
    let generator = arguments.backend.generator(&network, count)?;
    drop(network);
    let (path, name) = (target.shown(), generator.backend_name());
    let say_written =
        |what| say(format!("wrote {path} ({what}): {}, seed {seed}, made on {name}", images(count)));
    if arguments.rates {
        let rates = direction::rates(&generator, &inputs, seed, arguments.inputs.first)?;
        let rates = if arguments.mean { rates.mean() } else { rates };
        rates_file::write(target, &rates, &identity)?;
        say_written(if arguments.mean { "mean rates" } else { "rates" });
        return inputs.all_read();
    }
    let progress = progress(count);
    let mut latents = Latents::from_words(architecture.time_steps, architecture.latent_channels, Vec::new())?;
    for originals in inputs.pixels.chunks(generator.batch() * architecture.image_bytes()) {
        let first = arguments.inputs.first + latents.len() as u64;
        latents.append(&generator.encode(originals, seed, first)?)?;
        progress.set_position(latents.len() as u64);
    }
    progress.finish_and_clear();
    latents_file::write(target, &latents, &identity)?;
    say_written("latents");
    inputs.all_read()
}
