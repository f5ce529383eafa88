//! Images into a canvas or a texture, without a way through JavaScript.

use std::ops::RangeInclusive;

use fsvae::gpu::{Gpu, Origin, Target};
use fsvae::wgpu::webgpu::GpuTexture;
use fsvae::wgpu::{
    self, CurrentSurfaceTexture, ErrorFilter, Instance, InstanceDescriptor, SurfaceConfiguration,
    SurfaceTarget, TextureDescriptor, TextureUsages,
};
use wasm_bindgen::{JsCast, JsValue};

use crate::error::{input, js};

/// Draws a range of images as tiles; a canvas gets their size, a texture must be large enough. Done when the GPU is.
pub(crate) async fn draw(
    generator: &fsvae::Generator,
    target: JsValue,
    seed: u64,
    range: RangeInclusive<u64>,
    columns: u32,
) -> Result<(), JsValue> {
    let Some(gpu) = generator.gpu() else { return Ok(()) };
    let origin = Origin::prior(seed, range).map_err(js)?;
    let Origin::Prior { count, .. } = origin else { return Ok(()) };
    let columns = columns.clamp(1, count);
    match target.dyn_into::<GpuTexture>() {
        Ok(texture) => texture_of_the_application(generator, gpu, texture, origin, columns).await?,
        Err(canvas) => {
            let side = generator.architecture().image_side() as u32;
            let size = [columns * side, count.div_ceil(columns) * side];
            on_canvas(generator, gpu, canvas, origin, columns, size)?;
        }
    }
    let (sender, done) = futures_channel::oneshot::channel();
    gpu.queue().on_submitted_work_done(move || {
        let _ = sender.send(()); // nobody waits any more
    });
    let _ = done.await; // a sender that is dropped sends nothing, and is done, too
    Ok(())
}

/// wgpu does not take over a device that is there already, so textures are of the generator's.
async fn texture_of_the_application(
    generator: &fsvae::Generator,
    gpu: &Gpu,
    texture: GpuTexture,
    origin: Origin<'_>,
    columns: u32,
) -> Result<(), JsValue> {
    let found =
        |key: &str| js_sys::Reflect::get(&texture, &key.into()).ok().and_then(|value| value.as_string());
    let (format, dimension) = (found("format").unwrap_or_default(), found("dimension").unwrap_or_default());
    if (&*format, &*dimension, texture.depth_or_array_layers()) != ("rgba8unorm", "2d", 1) {
        return Err(input(&format!(
            "expected a texture of format rgba8unorm, 2d, one layer, found {format}, {dimension}, {} layers",
            texture.depth_or_array_layers()
        )));
    }
    let descriptor = TextureDescriptor {
        label: None,
        size: wgpu::Extent3d { width: texture.width(), height: texture.height(), depth_or_array_layers: 1 },
        mip_level_count: texture.mip_level_count(),
        sample_count: texture.sample_count(),
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: TextureUsages::from_bits_truncate(texture.usage()),
        view_formats: &[],
    };
    // A texture that the device does not know is the browser's to find.
    let scope = gpu.device().push_error_scope(ErrorFilter::Validation);
    let texture = gpu.device().create_texture_from_webgpu_handle(texture, &descriptor, None);
    let recorded = generator.commands(origin, &[Target::tiles(&texture, columns)]).map_err(js);
    let recorded = recorded.map(|(commands, _)| gpu.queue().submit([commands]));
    let refused = scope.pop().await;
    recorded?;
    refused.map_or(Ok(()), |error| {
        let line = error.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ");
        Err(input(&format!("the device refused the texture; expected one of `generator.device`: {line}")))
    })
}

fn on_canvas(
    generator: &fsvae::Generator,
    gpu: &Gpu,
    canvas: JsValue,
    origin: Origin<'_>,
    columns: u32,
    [width, height]: [u32; 2],
) -> Result<(), JsValue> {
    let most = gpu.device().limits().max_texture_dimension_2d;
    if width > most || height > most {
        return Err(input(&format!(
            "images in {columns} columns are {width} x {height} pixels, the device draws {most} x {most} at most"
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
    let (commands, _) = generator.commands(origin, &[Target::tiles(&frame.texture, columns)]).map_err(js)?;
    gpu.queue().submit([commands]);
    gpu.queue().present(frame);
    Ok(())
}

fn target(canvas: JsValue) -> Result<SurfaceTarget<'static>, JsValue> {
    canvas
        .dyn_into::<web_sys::HtmlCanvasElement>()
        .map(SurfaceTarget::Canvas)
        .or_else(|canvas| canvas.dyn_into::<web_sys::OffscreenCanvas>().map(SurfaceTarget::OffscreenCanvas))
        .map_err(|_| input("expected a canvas (HTMLCanvasElement or OffscreenCanvas) or a GPUTexture"))
}
