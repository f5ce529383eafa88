//! The network on a GPU: devices, kernels, and the engine that runs them in batches.

mod adapters;
#[cfg(not(target_arch = "wasm32"))]
mod calibrate;
mod device;
pub(crate) mod drive;
mod engine;
pub(crate) mod kernels;
mod limits;
mod memory;
mod model;
pub(crate) mod plan;
#[cfg(feature = "verify")]
pub(crate) mod readback;
mod record;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod roofline;
mod sampler;
mod signal;
#[cfg(not(target_arch = "wasm32"))]
mod timing;
mod variant;
#[cfg(not(target_arch = "wasm32"))]
mod waiter;

pub use adapters::{
    adapter_name_from_env, adapters, auto_adapter, check_environment, choose_adapter, describe, find_adapter,
    first_adapter, is_software, labels, matching_adapters, pci,
};
#[cfg(not(target_arch = "wasm32"))]
pub use calibrate::{Calibration, calibrate};
pub use device::{Gpu, optional_features, required_features};
pub(crate) use engine::{Engine, Product, Source};
pub use limits::required_limits;
pub use memory::{Memory, memory};
pub(crate) use model::Model;
pub(crate) use record::Recording;
pub use record::{Layout, Target};
#[cfg(not(target_arch = "wasm32"))]
pub use timing::KernelTime;
pub use variant::Variant;
#[cfg(test)]
pub(crate) mod testing;
