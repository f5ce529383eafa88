//! The network on a GPU: devices, kernels, and the engine that runs them in batches.

mod adapters;
mod backend;
mod calibrate;
mod device;
pub(crate) mod kernels;
mod lane;
pub(crate) mod layer;
mod limits;
mod memory;
mod model;
mod pace;
pub(crate) mod plan;
mod pump;
#[cfg(feature = "verify")]
pub(crate) mod readback;
mod record;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod roofline;
mod sampler;
#[cfg(all(test, feature = "bundled"))]
mod scarcity;
mod signal;
mod slot;
mod sources;
mod steps;
mod target;
mod timing;
mod variant;
mod variants;

pub use adapters::{
    adapter_name_from_env, adapters, auto_adapter, check_environment, choose_adapter, describe, find_adapter,
    first_adapter, is_software, labels, matching_adapters, pci,
};
pub(crate) use backend::GpuBackend;
pub use calibrate::{Calibration, LayerTimes, Times, calibrate};
pub use device::{Gpu, optional_features, required_features};
pub use limits::required_limits;
pub use memory::{Memory, memory};
#[cfg(feature = "verify")]
pub(crate) use model::Model;
pub(crate) use pace::BUDGET;
#[cfg(feature = "bench")]
pub(crate) use pace::Clock;
pub use sources::{KernelSource, kernels};
pub use target::{Layout, Origin, Target};
pub use timing::KernelTime;
pub use variant::Variant;
pub use variants::Variants;
#[cfg(test)]
pub(crate) mod testing;
