//! What an application on wgpu has anyway: a render pass that shows a texture, and a way to read one back. Nothing in
//! here knows of fsvae.

use image::RgbaImage;

/// A texture of 8-bit RGBA that is drawn to, or shown, or read back.
pub(crate) fn texture(
    device: &wgpu::Device,
    [width, height]: [u32; 2],
    format: wgpu::TextureFormat,
    usage: wgpu::TextureUsages,
) -> wgpu::Texture {
    device.create_texture(&wgpu::TextureDescriptor {
        label: Some("app"),
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage,
        view_formats: &[],
    })
}

/// Draws a texture as large as its texels can all be squares of the same size, in the middle of a target.
pub(crate) struct Show {
    pipeline: wgpu::RenderPipeline,
    bindings: wgpu::BindGroup,
    size: [f32; 2],
}

impl Show {
    /// For targets of a format without `Srgb` in its name: the bytes of an image are what a display takes, and a target
    /// in sRGB would convert them, as if they were light, once more.
    pub(crate) fn new(device: &wgpu::Device, texture: &wgpu::Texture, target: wgpu::TextureFormat) -> Self {
        let shader = device.create_shader_module(wgpu::include_wgsl!("show.wgsl"));
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("app.show"),
            layout: None,
            vertex: wgpu::VertexState {
                module: &shader,
                entry_point: Some("corner"),
                compilation_options: Default::default(),
                buffers: &[],
            },
            fragment: Some(wgpu::FragmentState {
                module: &shader,
                entry_point: Some("texel"),
                compilation_options: Default::default(),
                targets: &[Some(target.into())],
            }),
            primitive: Default::default(),
            depth_stencil: None,
            multisample: Default::default(),
            multiview_mask: None,
            cache: None,
        });
        let view = texture.create_view(&Default::default());
        let nearest = device.create_sampler(&Default::default());
        let resources = [wgpu::BindingResource::TextureView(&view), wgpu::BindingResource::Sampler(&nearest)];
        let entries =
            [0, 1].map(|n| wgpu::BindGroupEntry { binding: n, resource: resources[n as usize].clone() });
        let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("app.show"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        Show { pipeline, bindings, size: [texture.width() as f32, texture.height() as f32] }
    }

    /// Records the render pass.
    pub(crate) fn draw(&self, encoder: &mut wgpu::CommandEncoder, target: &wgpu::TextureView) {
        let room = [target.texture().width() as f32, target.texture().height() as f32];
        let fits = (room[0] / self.size[0]).min(room[1] / self.size[1]);
        let scale = if fits < 1.0 { fits } else { fits.floor() };
        let size = self.size.map(|texels| texels * scale);
        let [x, y] = [0, 1].map(|axis| ((room[axis] - size[axis]) / 2.0).floor().max(0.0));
        let attachment = wgpu::RenderPassColorAttachment {
            view: target,
            depth_slice: None,
            resolve_target: None,
            ops: wgpu::Operations {
                load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                store: wgpu::StoreOp::Store,
            },
        };
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("app.show"),
            color_attachments: &[Some(attachment)],
            ..Default::default()
        });
        pass.set_viewport(x, y, size[0], size[1], 0.0, 1.0);
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bindings, &[]);
        pass.draw(0..3, 0..1);
    }
}

/// Copies a texture to the host. Waits for nothing: `done` is called by whoever polls the device, or submits to its
/// queue, when the copy is finished.
pub(crate) fn read_back(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    texture: &wgpu::Texture,
    done: impl FnOnce(Result<RgbaImage, String>) + Send + 'static,
) {
    let (width, height) = (texture.width(), texture.height());
    let line = (4 * width).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("app.read_back"),
        size: u64::from(line) * u64::from(height),
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(line), rows_per_image: None };
    let to = wgpu::TexelCopyBufferInfo { buffer: &buffer, layout };
    let mut encoder = device.create_command_encoder(&Default::default());
    encoder.copy_texture_to_buffer(texture.as_image_copy(), to, texture.size());
    queue.submit([encoder.finish()]);

    // Windows often have blue first.
    let order = if texture.format() == wgpu::TextureFormat::Bgra8Unorm { [2, 1, 0, 3] } else { [0, 1, 2, 3] };
    let copied = buffer.clone();
    buffer.map_async(wgpu::MapMode::Read, .., move |mapped| {
        let bytes = mapped
            .map_err(|error| error.to_string())
            .and_then(|()| copied.get_mapped_range(..).map_err(|error| error.to_string()));
        done(bytes.map(|bytes| {
            RgbaImage::from_fn(width, height, |x, y| {
                let at = (y * line + 4 * x) as usize;
                image::Rgba(order.map(|channel| bytes[at + channel]))
            })
        }));
    });
}
