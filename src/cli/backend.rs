//! `--backend`, `--adapter`, `--batch`.

use std::num::NonZeroUsize;

use clap::ValueEnum;
use fsvae::{Generator, Gpu, Network, gpu};

use super::Failure;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Backend {
    /// The GPU of highest performance; the CPU if there is only a software adapter or none
    Auto,
    /// A GPU, even a software adapter; an error if there is none
    Gpu,
    /// The CPU
    Cpu,
}

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where to compute; the images are the same
    #[arg(long, value_enum, default_value_t = Backend::Auto)]
    backend: Backend,
    /// Use the first GPU adapter whose name contains this text (see `fsvae devices`)
    #[arg(long, value_name = "TEXT")]
    adapter: Option<String>,
    /// Images that are computed at once; decides speed and memory, never pixels
    #[arg(long, value_name = "B", default_value = "64")]
    batch: NonZeroUsize,
}

impl Arguments {
    /// `count` is how many images will be asked for: no more room is made.
    pub(super) fn generator(&self, network: &Network, count: u64) -> Result<Generator, Failure> {
        let count = usize::try_from(count).ok().and_then(NonZeroUsize::new).unwrap_or(self.batch);
        let builder = Generator::builder(network).batch(self.batch.min(count));
        match (self.backend, &self.adapter) {
            (Backend::Cpu, None) => Ok(builder.cpu()),
            (Backend::Cpu, Some(_)) => {
                Err(Failure::Input("--adapter names a GPU, so it does not go with --backend cpu".into()))
            }
            (Backend::Auto, None) => {
                let generator = pollster::block_on(builder.auto());
                if let Some(reason) = generator.fallback() {
                    eprintln!("fsvae: running on the CPU: {reason}");
                }
                Ok(generator)
            }
            (_, name) => {
                let adapters = pollster::block_on(gpu::adapters());
                let adapter = match name.clone().or_else(gpu::adapter_name_from_env) {
                    Some(name) => gpu::find_adapter(&adapters, &name)?,
                    None => gpu::first_adapter(&adapters)?,
                };
                let limits = gpu::required_limits(network);
                let gpu = pollster::block_on(Gpu::request(adapter, &limits))?;
                Ok(pollster::block_on(builder.gpu(&gpu))?)
            }
        }
    }
}
