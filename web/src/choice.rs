//! Which backend, and its device.

#[cfg(not(feature = "bench"))]
use fsvae::Gpu;
use fsvae::gpu;
#[cfg(not(feature = "bench"))]
use fsvae::wgpu::Limits;
use fsvae::wgpu::{Adapter, Instance, InstanceDescriptor, PowerPreference, RequestAdapterOptions};
use wasm_bindgen::JsValue;

use crate::error::input;

/// What the application asked for; a device that is lost is asked for again in the same way.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice {
    Auto,
    Cpu,
    /// Software adapters, too.
    Gpu(Option<PowerPreference>),
}

impl Choice {
    pub(crate) fn new(backend: &str, adapter: Option<&str>) -> Result<Self, JsValue> {
        let adapter = match adapter {
            None => None,
            Some("high-performance") => Some(PowerPreference::HighPerformance),
            Some("low-power") => Some(PowerPreference::LowPower),
            Some(found) => {
                return Err(input(&format!(
                    "adapter: expected \"high-performance\" or \"low-power\", found \"{found}\""
                )));
            }
        };
        match (backend, adapter) {
            ("auto", None) => Ok(Choice::Auto),
            ("cpu", None) => Ok(Choice::Cpu),
            ("webgpu", adapter) | ("auto", adapter) => Ok(Choice::Gpu(adapter)),
            ("cpu", Some(_)) => Err(input("adapter names a GPU, so it does not go with the backend \"cpu\"")),
            (found, _) => {
                Err(input(&format!("backend: expected \"auto\", \"webgpu\" or \"cpu\", found \"{found}\"")))
            }
        }
    }

    #[cfg(not(any(feature = "verify", feature = "bench")))]
    pub(crate) async fn open(self, network: &fsvae::Network) -> fsvae::Result<fsvae::Generator> {
        let builder = fsvae::Generator::builder(network);
        match self {
            Choice::Auto => Ok(builder.auto().await),
            Choice::Cpu => Ok(builder.cpu()),
            Choice::Gpu(_) => builder.gpu(&self.device(&gpu::required_limits(network)).await?).await,
        }
    }

    /// A device that offers at least `limits`.
    #[cfg(not(feature = "bench"))]
    pub(crate) async fn device(self, limits: &Limits) -> fsvae::Result<Gpu> {
        Gpu::request(&self.adapter().await?, limits).await
    }

    /// Whose device it would be.
    pub(crate) async fn adapter(self) -> fsvae::Result<Adapter> {
        let adapters = match self {
            Choice::Gpu(Some(power_preference)) => {
                let options = RequestAdapterOptions { power_preference, ..Default::default() };
                let instance = Instance::new(InstanceDescriptor::new_without_display_handle());
                instance.request_adapter(&options).await.into_iter().collect()
            }
            _ => gpu::adapters().await,
        };
        gpu::first_adapter(&adapters).cloned()
    }
}
