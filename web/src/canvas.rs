//! Images into a canvas, without a way through JavaScript.

use std::ops::RangeInclusive;

use fsvae::gpu::{Origin, Target};
use fsvae::wgpu::{
    self, CurrentSurfaceTexture, Instance, InstanceDescriptor, SurfaceConfiguration, SurfaceTarget,
    TextureUsages,
};
use wasm_bindgen::{JsCast, JsValue};

use crate::error::{input, js};

/// Draws a range of images as tiles; the canvas gets their size. Done when the GPU is.
pub(crate) async fn draw(
    generator: &fsvae::Generator,
    canvas: JsValue,
    seed: u64,
    range: Option<RangeInclusive<u64>>,
    columns: u32,
) -> Result<(), JsValue> {
    let (Some(range), Some(gpu)) = (range, generator.gpu()) else { return Ok(()) };
    let origin = Origin::prior(seed, range).map_err(js)?;
    let Origin::Prior { count, .. } = origin else { return Ok(()) };
    let columns = columns.clamp(1, count);
    let side = generator.architecture().image_side() as u32;
    let (width, height) = (columns * side, count.div_ceil(columns) * side);
    let most = gpu.device().limits().max_texture_dimension_2d;
    if width > most || height > most {
        return Err(input(&format!(
            "{count} images in {columns} columns are {width} x {height} pixels, the device draws {most} x {most} at most"
        )));
    }

    let instance = Instance::new(InstanceDescriptor::new_without_display_handle());
    let surface = instance
        .create_surface(target(canvas)?)
        .map_err(|error| input(&format!("the canvas cannot show WebGPU: {error}")))?;
    surface.configure(
        gpu.device(),
        &SurfaceConfiguration {
            // Kernels write tiles as they are.
            usage: TextureUsages::STORAGE_BINDING,
            format: wgpu::TextureFormat::Rgba8Unorm,
            color_space: wgpu::SurfaceColorSpace::Auto,
            width,
            height,
            present_mode: wgpu::PresentMode::Fifo,
            desired_maximum_frame_latency: 2,
            alpha_mode: wgpu::CompositeAlphaMode::Opaque,
            view_formats: Vec::new(),
        },
    );
    let (CurrentSurfaceTexture::Success(frame) | CurrentSurfaceTexture::Suboptimal(frame)) =
        surface.get_current_texture()
    else {
        return Err(js(fsvae::Error::DeviceLost { adapter: gpu.name() }));
    };
    let view = frame.texture.create_view(&Default::default());
    let (commands, _) = generator.commands(origin, &[Target::tiles(&view, columns)]).map_err(js)?;
    gpu.queue().submit([commands]);
    gpu.queue().present(frame);

    let (sender, done) = futures_channel::oneshot::channel();
    gpu.queue().on_submitted_work_done(move || {
        let _ = sender.send(()); // nobody waits any more
    });
    let _ = done.await; // a sender that is dropped sends nothing, and is done, too
    Ok(())
}

fn target(canvas: JsValue) -> Result<SurfaceTarget<'static>, JsValue> {
    canvas
        .dyn_into::<web_sys::HtmlCanvasElement>()
        .map(SurfaceTarget::Canvas)
        .or_else(|canvas| canvas.dyn_into::<web_sys::OffscreenCanvas>().map(SurfaceTarget::OffscreenCanvas))
        .map_err(|_| input("expected a canvas (HTMLCanvasElement or OffscreenCanvas)"))
}
