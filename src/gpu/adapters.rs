//! Which adapters there are, and which one to take.

use wgpu::{Backend, DeviceType};

use crate::error::{Error, Result};

/// Every adapter that `WGPU_BACKEND` (all backends if it is not set) lets through, the one that
/// promises the highest performance first, software adapters last.
pub async fn adapters() -> Vec<wgpu::Adapter> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    let mut adapters = instance.enumerate_adapters(backends()).await;
    adapters.sort_by_key(|adapter| {
        let info = adapter.get_info();
        let kind = match info.device_type {
            DeviceType::DiscreteGpu => 0,
            DeviceType::IntegratedGpu => 1,
            DeviceType::VirtualGpu => 2,
            DeviceType::Other => 3,
            DeviceType::Cpu => 4,
        };
        // OpenGL reaches the same hardware with more overhead.
        (kind, info.backend == Backend::Gl)
    });
    adapters
}

fn backends() -> wgpu::Backends {
    let compiled = wgpu::Instance::enabled_backend_features();
    wgpu::Backends::from_env().unwrap_or(compiled) & compiled
}

/// What the user asked for by `WGPU_ADAPTER_NAME`, if anything.
pub fn adapter_name_from_env() -> Option<String> {
    std::env::var("WGPU_ADAPTER_NAME").ok().filter(|name| !name.is_empty())
}

/// The first adapter whose [`describe`]d name contains `text`, in any case.
///
/// # Errors
/// [`Error::AdapterNotFound`] if none does.
pub fn find_adapter<'a>(adapters: &'a [wgpu::Adapter], text: &str) -> Result<&'a wgpu::Adapter> {
    let name = |adapter: &wgpu::Adapter| describe(&adapter.get_info());
    let wanted = text.to_lowercase();
    adapters.iter().find(|adapter| name(adapter).to_lowercase().contains(&wanted)).ok_or_else(|| {
        let present = adapters.iter().map(name).collect::<Vec<_>>();
        let present = if present.is_empty() { "none".into() } else { present.join(", ") };
        Error::AdapterNotFound { wanted: text.into(), present }
    })
}

/// The first adapter of the list.
///
/// # Errors
/// [`Error::NoAdapter`] if it is empty.
pub fn first_adapter(adapters: &[wgpu::Adapter]) -> Result<&wgpu::Adapter> {
    adapters.first().ok_or_else(|| {
        let names = backends().iter_names().map(|(name, _)| name.to_lowercase()).collect::<Vec<_>>();
        Error::NoAdapter { backends: names.join(", ") }
    })
}

/// The adapter that [`Builder::auto`](crate::Builder::auto) takes from a list of [`adapters`], or
/// why it takes the CPU instead.
pub fn auto_adapter(adapters: &[wgpu::Adapter]) -> Result<&wgpu::Adapter, String> {
    let text = |error: Error| error.to_string();
    if let Some(name) = adapter_name_from_env() {
        return find_adapter(adapters, &name).map_err(text);
    }
    let adapter = first_adapter(adapters).map_err(text)?;
    let info = adapter.get_info();
    if is_software(&info) {
        return Err(format!("the only GPU adapter is software, {}", describe(&info)));
    }
    Ok(adapter)
}

/// True for an adapter that emulates a GPU on the CPU.
pub fn is_software(info: &wgpu::AdapterInfo) -> bool {
    info.device_type == DeviceType::Cpu
}

/// An adapter in one phrase, such as `NVIDIA H200 (Vulkan)`.
pub fn describe(info: &wgpu::AdapterInfo) -> String {
    format!("{} ({})", info.name.trim(), info.backend)
}
