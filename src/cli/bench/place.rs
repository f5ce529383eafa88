//! Which backends are asked for.

use clap::ValueEnum;
use fsvae::bench::{self, Place};
use fsvae::{Choice, gpu};

use crate::cli::say::say;
use crate::cli::{Failure, crash};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Backends {
    /// The CPU and every adapter
    All,
    /// Every adapter, software adapters too; an error if there is none
    Gpu,
    /// The CPU
    Cpu,
}

impl Backends {
    /// An adapter is a GPU; `None` is everything.
    fn choice(self, adapter: Option<&str>) -> Option<Choice<'_>> {
        match self {
            Backends::All => adapter.map(|name| Choice::Gpu(Some(name))),
            Backends::Gpu => Some(Choice::Gpu(adapter)),
            Backends::Cpu => Some(Choice::Cpu),
        }
    }
}

/// Those that were asked for: the adapter of this number, or those whose names contain a text, and no others.
pub(in crate::cli) fn places(backends: Backends, name: Option<&str>) -> Result<Vec<Place>, Failure> {
    let choice = backends.choice(name);
    if let (None, Err(error)) = (choice, gpu::check_environment()) {
        say(error.to_string());
    }
    if choice != Some(Choice::Cpu) {
        crash::meets_drivers();
    }
    Ok(pollster::block_on(bench::places(choice))?)
}
