//! What an application on wgpu with a window has anyway: the window, a device that can draw on it, and a surface that
//! outlasts resizing, minimising and loss.

pub(crate) mod measure;

use std::error::Error;
use std::sync::Arc;

use fsvae::gpu;
use wgpu::{CurrentSurfaceTexture, TextureFormat};
use winit::dpi::{LogicalSize, PhysicalSize};
use winit::event_loop::ActiveEventLoop;
use winit::window::Window;

pub(crate) struct Screen {
    pub(crate) window: Arc<Window>,
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    /// What is drawn to, never in sRGB; see [`Show::new`](crate::app::Show::new).
    pub(crate) format: TextureFormat,
    instance: wgpu::Instance,
    surface: wgpu::Surface<'static>,
    /// Its size is 0 while the window is minimised; a surface cannot be.
    config: wgpu::SurfaceConfiguration,
}

impl Screen {
    /// Opens a window and a device with certain limits and features. `trouble` hears, on any thread, when the device
    /// is lost or objects to something; without it wgpu panics.
    pub(crate) async fn open(
        events: &ActiveEventLoop,
        size: LogicalSize<u32>,
        limits: &wgpu::Limits,
        features: wgpu::Features,
        trouble: impl Fn(String) + Clone + Send + Sync + 'static,
    ) -> Result<Self, Box<dyn Error>> {
        let window = Arc::new(events.create_window(Window::default_attributes().with_inner_size(size))?);
        let display = Box::new(events.owned_display_handle());
        let instance =
            wgpu::Instance::new(wgpu::InstanceDescriptor::new_with_display_handle_from_env(display));
        let surface = instance.create_surface(window.clone())?;
        let adapter = adapter(&instance, &surface).await?;
        let offered = adapter.limits();
        let descriptor = wgpu::DeviceDescriptor {
            required_limits: wgpu::Limits::downlevel_defaults()
                .or_worse_values_from(&offered)
                .or_better_values_from(limits)
                // A surface is as large as the window, which may be as large as a texture can be.
                .using_resolution(offered),
            // The device's clock says how long a batch took, where it has one.
            required_features: features | (gpu::optional_features() & adapter.features()),
            ..Default::default()
        };
        let (device, queue) = adapter.request_device(&descriptor).await?;
        let lost = trouble.clone();
        device.set_device_lost_callback(move |reason, message| {
            lost(format!("the device was lost ({reason:?}). {message}"));
        });
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| trouble(error.to_string())));

        let PhysicalSize { width, height } = window.inner_size();
        let mut config = surface
            .get_default_config(&adapter, width, height)
            .ok_or_else(|| format!("{} cannot draw on the window", gpu::describe(&adapter.get_info())))?;
        let formats = surface.get_capabilities(&adapter).formats;
        let plain =
            |format: &&TextureFormat| matches!(format, TextureFormat::Bgra8Unorm | TextureFormat::Rgba8Unorm);
        config.format = formats.iter().find(plain).copied().unwrap_or(config.format);
        let format = config.format.remove_srgb_suffix();
        config.view_formats = vec![format];
        config.present_mode = wgpu::PresentMode::AutoVsync;
        let screen = Screen { window, device, queue, format, instance, surface, config };
        screen.configure();
        Ok(screen)
    }

    pub(crate) fn resize(&mut self, size: PhysicalSize<u32>) {
        (self.config.width, self.config.height) = (size.width, size.height);
        self.configure();
    }

    fn configure(&self) {
        if self.config.width > 0 && self.config.height > 0 {
            self.surface.configure(&self.device, &self.config);
            self.window.request_redraw();
        }
    }

    /// The next texture to draw to; `None` if there is none now. Another redraw is requested where that may help.
    pub(crate) fn next(&mut self) -> Result<Option<wgpu::SurfaceTexture>, Box<dyn Error>> {
        if self.config.width == 0 || self.config.height == 0 {
            return Ok(None);
        }
        match self.surface.get_current_texture() {
            CurrentSurfaceTexture::Success(frame) | CurrentSurfaceTexture::Suboptimal(frame) => {
                return Ok(Some(frame));
            }
            CurrentSurfaceTexture::Timeout => self.window.request_redraw(),
            CurrentSurfaceTexture::Outdated => self.configure(),
            CurrentSurfaceTexture::Lost => {
                self.surface = self.instance.create_surface(self.window.clone())?;
                self.configure();
            }
            // An event comes when the window is seen again.
            CurrentSurfaceTexture::Occluded => {}
            // `trouble` has heard why, or hears it now: the loss of a device is told when it is polled.
            CurrentSurfaceTexture::Validation => drop(self.device.poll(wgpu::PollType::Poll)),
        }
        Ok(None)
    }

    /// What is drawn to of a surface's texture.
    pub(crate) fn view(&self, frame: &wgpu::SurfaceTexture) -> wgpu::TextureView {
        let format = Some(self.format);
        frame.texture.create_view(&wgpu::TextureViewDescriptor { format, ..Default::default() })
    }

    /// Width and height in pixels, 1 at least.
    pub(crate) fn size(&self) -> [u32; 2] {
        [self.config.width, self.config.height].map(|pixels| pixels.max(1))
    }
}

/// The adapter that `WGPU_ADAPTER_NAME` names, or else the fastest that can draw on the surface.
async fn adapter(
    instance: &wgpu::Instance,
    surface: &wgpu::Surface<'_>,
) -> Result<wgpu::Adapter, Box<dyn Error>> {
    if let Some(name) = gpu::adapter_name_from_env() {
        let adapters = instance.enumerate_adapters(wgpu::Backends::all()).await;
        return Ok(gpu::find_adapter(&adapters, &name)?.clone());
    }
    let options = wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::HighPerformance,
        compatible_surface: Some(surface),
        ..Default::default()
    };
    Ok(instance.request_adapter(&options).await?)
}
