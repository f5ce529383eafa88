//! The network on a GPU: devices, kernels, and the engine that runs them in batches.

mod device;
mod engine;
mod kernels;
mod plan;

pub use device::{
    Gpu, adapter_name_from_env, adapters, auto_adapter, describe, find_adapter, first_adapter, is_software,
};
pub(crate) use engine::{Engine, Product, Source};
pub use plan::required_limits;
#[cfg(test)]
mod testing;
