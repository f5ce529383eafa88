//! `--backend`, `--adapter`, `--batch`.

use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};

use clap::ValueEnum;
use fsvae::{Builder, Choice, Generator, Gpu, Network, gpu, wgpu};

use super::Failure;
use super::crash::meets_drivers;
use super::kernel_cache::KernelCache;
use super::say::say;
use super::tuning::Kernels;
use super::usage;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Backend {
    /// The GPU of highest performance; the CPU if there is only a software adapter or none
    Auto,
    /// A GPU, even a software adapter; an error if there is none
    Gpu,
    /// The CPU
    Cpu,
}

impl Backend {
    /// An adapter is a GPU.
    fn choice(self, adapter: Option<&str>) -> Choice<'_> {
        match self {
            Backend::Cpu => Choice::Cpu,
            Backend::Auto if adapter.is_none() => Choice::Auto,
            Backend::Auto | Backend::Gpu => Choice::Gpu(adapter),
        }
    }
}

#[derive(Debug, clap::Args)]
#[group(skip)] // many commands have several structs of this name
pub(super) struct Arguments {
    /// Where to compute; the images are the same
    #[arg(long, value_enum, default_value_t = Backend::Auto)]
    backend: Backend,
    /// Use this GPU adapter: its number in `fsvae devices`, or a part of its name or PCI address
    #[arg(long, value_name = "N|TEXT", value_parser = usage::some_text)]
    adapter: Option<String>,
    /// How many images are computed at once; decides speed and memory, never pixels; 4096 at most on the CPU [default: 256 on
    /// a GPU, 64 on the CPU and software adapters]
    #[arg(long, value_name = "B", value_parser = usage::positive)]
    batch: Option<NonZeroUsize>,
    /// How the GPU's programs (kernels) look for spikes; decides speed, never pixels
    #[arg(long, value_enum, default_value_t = Kernels::Auto)]
    kernels: Kernels,
}

/// A generator and what outlives it.
#[derive(Debug)]
pub(super) struct Running {
    generator: Generator,
    /// Written when the command is done.
    _kernels: Option<KernelCache>,
}

impl Deref for Running {
    type Target = Generator;

    fn deref(&self) -> &Generator {
        &self.generator
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Generator {
        &mut self.generator
    }
}

/// Refuses an adapter where only the CPU is asked for.
pub(super) fn check_adapter(only_cpu: bool, adapter: Option<&str>) -> Result<(), Failure> {
    match adapter {
        Some(_) if only_cpu => {
            Err(Failure::Input("--adapter names a GPU, so it does not go with --backend cpu".into()))
        }
        _ => Ok(()),
    }
}

impl Arguments {
    pub(super) fn check(&self) -> Result<(), Failure> {
        check_adapter(self.backend == Backend::Cpu, self.adapter.as_deref())
    }

    /// `count` is how many images will be asked for: no more room is made.
    pub(super) fn generator(&self, network: &Network, count: u64) -> Result<Running, Failure> {
        let most = usize::try_from(count).ok().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MAX);
        let builder = Generator::builder(network).at_most(most);
        let builder = self.batch.map_or(builder, |batch| builder.batch(batch));
        if let Err(error) = fsvae::check_environment() {
            if self.backend == Backend::Cpu {
                return Err(error.into());
            }
            say(error.to_string());
        }
        let choice = self.backend.choice(self.adapter.as_deref());
        match choice {
            Choice::Cpu => Ok(on_cpu(builder)),
            Choice::Auto => {
                meets_drivers();
                let adapters = pollster::block_on(gpu::adapters());
                // Without an adapter it is the reason below.
                if let (false, Err(error)) = (adapters.is_empty(), gpu::check_environment()) {
                    say(error.to_string());
                }
                if let Some(name) = gpu::adapter_name_from_env() {
                    tell_others(&adapters, &name);
                }
                let running = gpu::auto_adapter(&adapters).and_then(|adapter| {
                    self.on_gpu(builder, network, adapter, count).map_err(|error| error.to_string())
                });
                Ok(running.unwrap_or_else(|reason| {
                    say(format!("running on the CPU: {reason}"));
                    on_cpu(builder)
                }))
            }
            Choice::Gpu(name) => {
                gpu::check_environment()?;
                meets_drivers();
                let adapters = pollster::block_on(gpu::adapters());
                let adapter = gpu::choose_adapter(&adapters, name)?;
                if let Some(name) = name.map(str::to_owned).or_else(gpu::adapter_name_from_env) {
                    tell_others(&adapters, &name);
                }
                Ok(self.on_gpu(builder, network, adapter, count)?)
            }
        }
    }

    fn on_gpu(
        &self,
        builder: Builder<'_>,
        network: &Network,
        adapter: &wgpu::Adapter,
        count: u64,
    ) -> fsvae::Result<Running> {
        let gpu = pollster::block_on(Gpu::request(adapter, &gpu::required_limits(network)))?;
        let (gpu, kernels) = KernelCache::attach(gpu);
        let variants = self.kernels.variants(&gpu, network, count);
        let generator = pollster::block_on(builder.variants(variants).gpu(&gpu))?;
        Ok(Running { generator, _kernels: kernels })
    }
}

/// Says so if a name is of more than one adapter.
fn tell_others(adapters: &[wgpu::Adapter], name: &str) {
    let Ok(found) = gpu::matching_adapters(adapters, name) else { return };
    if let [first, others @ ..] = &found[..]
        && !others.is_empty()
    {
        let labels = gpu::labels(adapters);
        let list = |numbers: &[usize]| {
            let phrases = numbers.iter().map(|&number| format!("{number}: {}", labels[number]));
            phrases.collect::<Vec<_>>().join(", ")
        };
        say(format!(
            "\"{name}\" is in the names of {} adapters; running on {}; not on {}",
            found.len(),
            list(&[*first]),
            list(others)
        ));
    }
}

fn on_cpu(builder: Builder<'_>) -> Running {
    Running { generator: builder.cpu(), _kernels: None }
}
