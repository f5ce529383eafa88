//! Adapters and the device that runs the network.

use std::sync::{Arc, Mutex, PoisonError};

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

/// A GPU: a device and its queue.
#[derive(Clone, Debug)]
pub struct Gpu {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    info: wgpu::AdapterInfo,
    /// What the device objected to outside of [`Gpu::checked`]: wgpu's default would be a panic.
    fault: Arc<Mutex<Option<String>>>,
}

impl Gpu {
    /// Asks an adapter for a device with WebGPU's default limits, or less where the adapter has
    /// less, and with at least the limits of `needed` (see
    /// [`required_limits`](crate::gpu::required_limits)).
    ///
    /// # Errors
    /// [`Error::DeviceLimit`] if the adapter offers less than `needed`, [`Error::Device`] if it
    /// refuses for another reason.
    pub async fn request(adapter: &wgpu::Adapter, needed: &wgpu::Limits) -> Result<Self> {
        let info = adapter.get_info();
        let offered = adapter.limits();
        let mut shortfall = None;
        needed.check_limits_with_fail_fn(&offered, false, |limit, needed, available| {
            shortfall.get_or_insert((limit, needed, available));
        });
        if let Some((limit, needed, available)) = shortfall {
            return Err(Error::DeviceLimit { adapter: describe(&info), limit, needed, available });
        }
        let limits = wgpu::Limits::defaults().or_worse_values_from(&offered).or_better_values_from(needed);
        let descriptor =
            wgpu::DeviceDescriptor { label: Some("fsvae"), required_limits: limits, ..Default::default() };
        let (device, queue) = adapter
            .request_device(&descriptor)
            .await
            .map_err(|source| Error::Device { adapter: describe(&info), source })?;
        let fault = Arc::new(Mutex::new(None));
        let noted = fault.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            noted.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(one_line(&error));
        }));
        Ok(Gpu { device, queue, info, fault })
    }

    /// The adapter the device came from.
    pub fn info(&self) -> &wgpu::AdapterInfo {
        &self.info
    }

    /// The adapter in one phrase.
    pub fn name(&self) -> String {
        describe(&self.info)
    }

    /// The first objection since the last call, as an error.
    pub(crate) fn take_fault(&self) -> Result<()> {
        match self.fault.lock().unwrap_or_else(PoisonError::into_inner).take() {
            None => Ok(()),
            Some(message) => Err(Error::Gpu { adapter: self.name(), message }),
        }
    }

    /// Runs `work` and turns what the device objects to into an error, instead of wgpu's default,
    /// a panic.
    pub(crate) async fn checked<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        let scope = |filter| self.device.push_error_scope(filter);
        let memory = scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = scope(wgpu::ErrorFilter::Validation);
        let internal = scope(wgpu::ErrorFilter::Internal);
        let result = work();
        // Scopes belong to this thread: all are closed before the first await.
        let (internal, validation, memory) = (internal.pop(), validation.pop(), memory.pop());
        let (internal, validation, memory) = (internal.await, validation.await, memory.await);
        match memory.or(validation).or(internal) {
            None => Ok(result),
            Some(error) => Err(Error::Gpu { adapter: self.name(), message: one_line(&error) }),
        }
    }
}

/// wgpu's errors are a heading and causes over several lines.
fn one_line(error: &wgpu::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
