//! Where images are made: the CPU, or an adapter.

use super::schema::Adapter;
use crate::builder::Choice;
use crate::error::Result;
use crate::gpu::{self, Gpu};
use crate::network::Network;

/// One backend, not opened yet.
#[derive(Debug)]
pub enum Place {
    /// The CPU.
    Cpu,
    /// An adapter, and its [label](gpu::labels).
    Gpu(wgpu::Adapter, String),
}

impl Place {
    /// `CPU`, or the adapter's label.
    pub fn name(&self) -> String {
        match self {
            Place::Cpu => "CPU".into(),
            Place::Gpu(_, label) => label.clone(),
        }
    }

    /// What its driver says; `None` for the CPU.
    pub fn adapter(&self) -> Option<Adapter> {
        let Place::Gpu(adapter, _) = self else { return None };
        let info = adapter.get_info();
        Some(Adapter {
            name: info.name.trim().into(),
            api: info.backend.to_string(),
            kind: format!("{:?}", info.device_type),
            driver: format!("{} {}", info.driver, info.driver_info).trim().into(),
            pci: Some(gpu::pci(&info)),
        })
    }

    /// Opens the device, if it is one.
    pub(super) async fn open(&self, network: &Network) -> Result<Option<Gpu>> {
        match self {
            Place::Cpu => Ok(None),
            Place::Gpu(adapter, _) => Gpu::request(adapter, &gpu::required_limits(network)).await.map(Some),
        }
    }
}

/// The backends that are meant by a choice: all of them, the CPU first, without one ([`Choice::Auto`] is none); every
/// adapter by [`Choice::Gpu`] without a name, else the one of this number or those whose names contain it.
/// `WGPU_ADAPTER_NAME` is such a name.
///
/// # Errors
/// As [`check_environment`](crate::check_environment) where the CPU is meant; for GPUs those of
/// [`gpu::check_environment`] and [`gpu::choose_adapter`].
pub async fn places(choice: Option<Choice<'_>>) -> Result<Vec<Place>> {
    let choice = choice.filter(|choice| *choice != Choice::Auto);
    let mut places = Vec::new();
    if !matches!(choice, Some(Choice::Gpu(_))) {
        // It would be of another instruction set than the user thinks.
        crate::check_environment()?;
        places.push(Place::Cpu);
    }
    let name = match choice {
        Some(Choice::Cpu) => return Ok(places),
        Some(Choice::Gpu(name)) => {
            gpu::check_environment()?;
            name
        }
        _ => None,
    };
    let adapters = gpu::adapters().await;
    let labels = gpu::labels(&adapters);
    let meant = match name.map(str::to_owned).or_else(gpu::adapter_name_from_env) {
        Some(text) => {
            // For its error, which says what the name came from.
            gpu::choose_adapter(&adapters, name)?;
            gpu::matching_adapters(&adapters, &text)?
        }
        None => {
            if choice.is_some() {
                gpu::first_adapter(&adapters)?;
            }
            (0..adapters.len()).collect()
        }
    };
    let adapters = adapters.into_iter().zip(labels).enumerate();
    let meant = adapters.filter(|(number, _)| meant.contains(number));
    places.extend(meant.map(|(_, (adapter, label))| Place::Gpu(adapter, label)));
    Ok(places)
}
