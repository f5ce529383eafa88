//! `fsvae direction`.

use std::path::PathBuf;

use fsvae::{Direction, Generator, Rates};

use super::input::Inputs;
use super::output::{Files, check_tensors};
use super::report::{images, progress};
use super::say::say;
use super::{Failure, backend, input, model, rates_file};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Pictures with something: a folder, or an image file
    #[arg(value_name = "WITH")]
    with: PathBuf,
    /// Pictures without it
    #[arg(value_name = "WITHOUT")]
    without: PathBuf,
    #[command(flatten)]
    model: model::Arguments,
    #[command(flatten)]
    backend: backend::Arguments,
    /// Safetensors file for the direction, for --along: `direction`, i32 [C], by how much the rate of each latent
    /// channel differs on average, of 65,536; - is standard output
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
}

impl Arguments {
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.backend.check()?;
        input::read_once([self.with.as_path(), &self.without])?;
        check_tensors(&self.out, "directions")
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (network, identity) = arguments.model.network_and_identity()?;
    let architecture = network.architecture().clone();
    let read = |path| input::Arguments::of(path).read(&architecture);
    let (with, without) = (read(&arguments.with)?, read(&arguments.without)?);
    let mut files = Files::new(arguments.model.file().into_iter().chain(with.paths()).chain(without.paths()));
    let target = files.target(&arguments.out)?;
    let (ours, theirs) = (with.names.len() as u64, without.names.len() as u64);
    let generator = arguments.backend.generator(&network, ours.max(theirs))?;
    drop(network);
    let seed = arguments.model.seed;
    let direction =
        Direction::between(&rates(&generator, &with, seed, 0)?, &rates(&generator, &without, seed, 0)?)?;
    let (path, name) = (target.shown(), generator.backend_name());
    rates_file::write_direction(target, &direction, &identity)?;
    let both = format!("{} with, {} without", images(ours), images(theirs));
    say(format!("wrote {path} (direction): {both}, seed {seed}, made on {name}"));
    with.all_read()?;
    without.all_read()
}

/// The rates of pictures, as the encoder has them.
pub(super) fn rates(generator: &Generator, inputs: &Inputs, seed: u64, first: u64) -> Result<Rates, Failure> {
    let progress = progress(inputs.names.len() as u64);
    let batch = generator.batch() * generator.architecture().image_bytes();
    let mut all: Option<Rates> = None;
    for originals in inputs.pixels.chunks(batch) {
        let done = all.as_ref().map_or(0, Rates::len) as u64;
        let rates = generator.encode_rates(originals, seed, first + done)?;
        progress.set_position(done + rates.len() as u64);
        match &mut all {
            Some(all) => all.append(&rates)?,
            None => all = Some(rates),
        }
    }
    progress.finish_and_clear();
    all.ok_or_else(|| Failure::Input("there are no pictures".into()))
}
