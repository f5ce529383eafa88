//! Where images are made: the CPU, or an adapter.

use super::schema::Adapter;
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
