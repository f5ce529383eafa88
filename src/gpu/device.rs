//! The device that runs the network: this crate's own, or borrowed from the application.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use super::adapters::describe;
use super::kernels::{ROW, sample};
use super::pump::{End, Pump};
use crate::error::{Error, Result};

/// A GPU: a device and its queue. A clone is the same device.
///
/// # Who polls
/// wgpu says that a batch is done only while somebody polls the device (or submits to its queue).
///
/// - A call that waits ([`Generator::generate`](crate::Generator::generate), the iterator of
///   [`ImageStream`](crate::ImageStream)) polls while it waits, on any device. It then also runs what callbacks of
///   the application are due, on the calling thread. On a device of [`Gpu::from_wgpu`] it polls in passing, every
///   millisecond, and never waits inside wgpu: the application's frames go on.
/// - An `ImageStream` that is awaited never polls by itself. On a device of [`Gpu::request`] a thread sleeps until
///   the batch is done and wakes the task. On a device of [`Gpu::from_wgpu`] the application's own frames do; an
///   application without frames calls `device.poll`.
/// - In browsers nobody needs to.
#[derive(Clone, Debug)]
pub struct Gpu {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    info: wgpu::AdapterInfo,
    pub(crate) pipeline_cache: Option<wgpu::PipelineCache>,
    /// What the device objected to outside of [`Gpu::watch`], on a device of our own: wgpu's default would be a
    /// panic. On a borrowed device that is the application's to hear.
    stray: Option<Arc<Mutex<Option<String>>>>,
    pub(crate) pump: Arc<Pump>,
    /// Workgroups of a row: [`ROW`], or less in tests.
    pub(crate) row: u32,
    /// Faults that a test plants in the kernels.
    #[cfg(test)]
    pub(crate) planted: super::testing::Planted,
    /// What a test lets be made before something fails.
    #[cfg(test)]
    pub(crate) ration: super::testing::Ration,
    /// What a test does between the parts of a batch.
    #[cfg(test)]
    pub(crate) between: super::testing::Between,
    /// Whether a test has buffers refuse to be mapped.
    #[cfg(test)]
    pub(crate) refusal: Arc<std::sync::atomic::AtomicBool>,
}

/// The answer of `map_async`.
type Mapped = std::result::Result<(), wgpu::BufferAsyncError>;

impl Gpu {
    /// Asks an adapter for a device with WebGPU's default limits, or less where the adapter has
    /// less, and with at least the limits of `needed` (see
    /// [`required_limits`](crate::gpu::required_limits)). Timestamps and the pipeline cache come with it where the
    /// adapter has them.
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
        let mut limits =
            wgpu::Limits::defaults().or_worse_values_from(&offered).or_better_values_from(needed);
        // An image alone is made by one workgroup, the larger the faster.
        let most = sample::MOST_INVOCATIONS;
        limits.max_compute_invocations_per_workgroup =
            offered.max_compute_invocations_per_workgroup.min(most);
        limits.max_compute_workgroup_size_x = offered.max_compute_workgroup_size_x.min(most);
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("fsvae"),
            required_limits: limits,
            required_features: adapter.features() & optional_features(),
            ..Default::default()
        };
        let (device, queue) = adapter
            .request_device(&descriptor)
            .await
            .map_err(|source| Error::Device { adapter: describe(&info), source })?;
        let stray = Arc::new(Mutex::new(None));
        let noted = stray.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            noted.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(one_line(&error));
        }));
        let end = Arc::new(End::default());
        let told = end.clone();
        device.set_device_lost_callback(move |_, _| told.is_told());
        Ok(Gpu {
            pump: Arc::new(Pump::new(&device, true, end)),
            device,
            queue,
            info,
            pipeline_cache: None,
            stray: Some(stray),
            row: ROW,
            #[cfg(test)]
            planted: Default::default(),
            #[cfg(test)]
            ration: Default::default(),
            #[cfg(test)]
            between: Default::default(),
            #[cfg(test)]
            refusal: Default::default(),
        })
    }

    /// Borrows a device that the application has. The handles are cloned; no callback of the application is replaced, its
    /// frames are never waited for, and it is polled only while a call waits.
    ///
    /// The device needs the limits of [`required_limits`](crate::gpu::required_limits) and the features of
    /// [`required_features`](crate::gpu::required_features). What is wrong is heard in error scopes of the calls
    /// into this crate and comes back as [`Error`]s; the application's handler for uncaptured errors hears none of it.
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        Gpu {
            info: device.adapter_info(),
            pump: Arc::new(Pump::new(&device, false, Arc::default())),
            device,
            queue,
            pipeline_cache: None,
            stray: None,
            row: ROW,
            #[cfg(test)]
            planted: Default::default(),
            #[cfg(test)]
            ration: Default::default(),
            #[cfg(test)]
            between: Default::default(),
            #[cfg(test)]
            refusal: Default::default(),
        }
    }

    /// Compiles kernels with the help of a cache of earlier runs, on devices that have
    /// [`wgpu::Features::PIPELINE_CACHE`]. Keeping its data is the caller's: see [`wgpu::PipelineCache::get_data`].
    pub fn with_pipeline_cache(self, cache: wgpu::PipelineCache) -> Self {
        Gpu { pipeline_cache: Some(cache), ..self }
    }

    /// The device. A clone of the handle is the same device.
    pub fn device(&self) -> &wgpu::Device {
        &self.device
    }

    /// The device's queue.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.queue
    }

    /// The adapter the device came from.
    pub fn info(&self) -> &wgpu::AdapterInfo {
        &self.info
    }

    /// The adapter in one phrase.
    pub fn name(&self) -> String {
        describe(&self.info)
    }

    /// The text that is compiled for a kernel: its source, but for the faults that tests plant.
    #[cfg(test)]
    pub(crate) fn kernel_text(&self, kernel: &'static str, source: String) -> String {
        if self.ration.is_spent() { "no kernel".into() } else { self.planted.rewrite(kernel, source) }
    }

    /// The text that is compiled for a kernel: its source.
    #[cfg(not(test))]
    pub(crate) fn kernel_text(&self, _: &'static str, source: String) -> String {
        source
    }

    /// Every buffer is made here. What the device objects to is heard by who [watches](Gpu::watch).
    pub(crate) fn buffer(&self, label: &str, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        self.create_buffer(label, size, usage, false)
    }

    /// A buffer that the host writes before anything else happens.
    pub(crate) fn mapped_buffer(&self, label: &str, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        self.create_buffer(label, size, usage, true)
    }

    fn create_buffer(
        &self,
        label: &str,
        size: u64,
        usage: wgpu::BufferUsages,
        mapped_at_creation: bool,
    ) -> wgpu::Buffer {
        #[cfg(test)]
        let usage = if self.ration.is_spent() { wgpu::BufferUsages::empty() } else { usage };
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation,
        })
    }

    /// What hears the answer of `map_async`.
    #[cfg(not(test))]
    pub(crate) fn on_map(
        &self,
        done: impl FnOnce(bool) + Send + 'static,
    ) -> impl FnOnce(Mapped) + Send + 'static {
        move |mapped| done(mapped.is_ok())
    }

    /// What hears the answer of `map_async`, which may be one that a test plants.
    #[cfg(test)]
    pub(crate) fn on_map(
        &self,
        done: impl FnOnce(bool) + Send + 'static,
    ) -> impl FnOnce(Mapped) + Send + 'static {
        let refusal = self.refusal.clone();
        move |mapped| done(mapped.is_ok() && !refusal.load(std::sync::atomic::Ordering::SeqCst))
    }

    pub(crate) fn lost(&self) -> Error {
        Error::DeviceLost { adapter: self.name() }
    }

    /// What is made on a lost device is invalid, and wgpu objects to its use, not to the loss. Of a device of our own the
    /// lost callback knows; on a borrowed device that is the application's, so a buffer of 4 bytes is tried: a device that
    /// has no memory left is not lost. In browsers lost devices do not object to anything.
    fn is_lost(&self) -> bool {
        if self.pump.is_lost() {
            return true;
        }
        #[cfg(target_arch = "wasm32")]
        return false;
        #[cfg(not(target_arch = "wasm32"))]
        objects(&self.device)
    }

    pub(crate) fn objection(&self, message: String) -> Error {
        Error::Gpu { adapter: self.name(), message }
    }

    /// Runs `work`; what the device objects to is the verdict's to tell, instead of wgpu's default, a panic.
    pub(crate) fn watch<T>(&self, work: impl FnOnce() -> T) -> (T, Verdict) {
        let scope = |filter| self.device.push_error_scope(filter);
        let memory = scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = scope(wgpu::ErrorFilter::Validation);
        let internal = scope(wgpu::ErrorFilter::Internal);
        let result = work();
        // Scopes belong to this thread: all are closed before the first await.
        let (internal, validation, memory) = (internal.pop(), validation.pop(), memory.pop());
        let verdict = Box::pin(async { memory.await.or(validation.await).or(internal.await) });
        (result, Verdict { gpu: self.clone(), scopes: Mutex::new(verdict) })
    }

    /// Runs `work` and waits for the verdict.
    pub(crate) async fn checked<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        let (result, verdict) = self.watch(work);
        verdict.await.map(|()| result)
    }

    /// Runs `work`; what the device objects to is an error at once, except in browsers, where it can only be heard
    /// later and is left to the application's handler.
    pub(crate) fn checked_now<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        #[cfg(target_arch = "wasm32")]
        return Ok(work());
        #[cfg(not(target_arch = "wasm32"))]
        pollster::block_on(self.checked(work))
    }

    fn take_stray(&self) -> Option<String> {
        self.stray.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Whether a device objects to a buffer of 4 bytes.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn objects(device: &wgpu::Device) -> bool {
    let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("fsvae.probe"),
        size: 4,
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    buffer.map_async(wgpu::MapMode::Read, .., |_| ());
    let objects = pollster::block_on(validation.pop()).is_some();
    pollster::block_on(memory.pop()).is_none() && objects
}

/// What makes some calls faster or better informed, where an adapter has it; nothing needs it. With timestamps a
/// [budget](crate::Builder::budget) is kept on a device of the application, too, whose tasks are looked at from frame to frame.
pub fn optional_features() -> wgpu::Features {
    wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::PIPELINE_CACHE
}

/// What a device of the application must have: no feature is needed, only the limits of
/// [`required_limits`](crate::gpu::required_limits).
pub fn required_features() -> wgpu::Features {
    wgpu::Features::empty()
}

#[cfg(not(target_arch = "wasm32"))]
type Scopes = Pin<Box<dyn Future<Output = Option<wgpu::Error>> + Send>>;
#[cfg(target_arch = "wasm32")]
type Scopes = Pin<Box<dyn Future<Output = Option<wgpu::Error>>>>;

/// Whether the device objected to some work, known at once on native backends and later in browsers.
pub(crate) struct Verdict {
    gpu: Gpu,
    /// Never locked: with it a verdict is `Sync`, and so is what holds one.
    scopes: Mutex<Scopes>,
}

impl Future for Verdict {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let scopes = self.scopes.get_mut().unwrap_or_else(PoisonError::into_inner);
        let objection = ready!(scopes.as_mut().poll(context)).as_ref().map(one_line);
        Poll::Ready(match objection.or_else(|| self.gpu.take_stray()) {
            None => Ok(()),
            Some(_) if self.gpu.is_lost() => Err(self.gpu.lost()),
            Some(message) => Err(self.gpu.objection(message)),
        })
    }
}

impl std::fmt::Debug for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verdict").field("gpu", &self.gpu.name()).finish_non_exhaustive()
    }
}

/// wgpu's errors are a heading and causes over several lines.
fn one_line(error: &wgpu::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
