//! Which backends are asked for.

use clap::ValueEnum;
use fsvae::bench::Place;
use fsvae::gpu;

use crate::cli::Failure;
use crate::cli::say::say;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Backends {
    /// The CPU and every adapter
    All,
    /// Every adapter, software adapters too; an error if there is none
    Gpu,
    /// The CPU
    Cpu,
}

/// Those that were asked for: the adapter of this number, or those whose names contain a text, and no others.
pub(in crate::cli) fn places(backends: Backends, name: Option<&str>) -> Result<Vec<Place>, Failure> {
    let mut places = Vec::new();
    if backends != Backends::Gpu {
        // It would be of another instruction set than the user thinks.
        fsvae::check_environment()?;
    }
    match (backends, name) {
        (Backends::Cpu, _) => return Ok(vec![Place::Cpu]),
        (Backends::All, None) => places.push(Place::Cpu),
        (Backends::All, Some(_)) | (Backends::Gpu, _) => {}
    }
    let adapters = pollster::block_on(gpu::adapters());
    match gpu::check_environment() {
        Err(error) if backends == Backends::All && name.is_none() => say(error.to_string()),
        checked => checked?,
    }
    let labels = gpu::labels(&adapters);
    let chosen = match name.map(str::to_owned).or_else(gpu::adapter_name_from_env) {
        Some(text) => {
            // For its error, which says what the name came from.
            gpu::choose_adapter(&adapters, name)?;
            gpu::matching_adapters(&adapters, &text)?
        }
        None => {
            if backends == Backends::Gpu {
                gpu::first_adapter(&adapters)?;
            }
            (0..adapters.len()).collect()
        }
    };
    let adapters = adapters.into_iter().zip(labels).enumerate();
    let chosen = adapters.filter(|(number, _)| chosen.contains(number));
    places.extend(chosen.map(|(_, (adapter, label))| Place::Gpu(adapter, label)));
    Ok(places)
}
