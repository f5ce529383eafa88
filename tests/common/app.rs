//! An application with devices of its own, which lends them.

#![allow(dead_code)]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use fsvae::{Generator, Gpu, Network, gpu, wgpu};

use crate::common::adapters;

/// More images than a batch has, and not a multiple.
pub(crate) const BATCH: usize = 3;

/// An application's device of each adapter, with just what the network needs and its own ear for errors.
pub(crate) struct App {
    pub(crate) name: String,
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) errors: Arc<AtomicUsize>,
}

pub(crate) fn apps(network: &Network) -> Vec<App> {
    adapters().iter().map(|adapter| App::open(adapter, network)).collect()
}

impl App {
    pub(crate) fn open(adapter: &wgpu::Adapter, network: &Network) -> Self {
        let base = wgpu::Limits::downlevel_defaults().or_worse_values_from(&adapter.limits());
        let descriptor = wgpu::DeviceDescriptor {
            required_limits: base.or_better_values_from(&gpu::required_limits(network)),
            required_features: gpu::required_features(),
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).expect("a device");
        let errors = Arc::new(AtomicUsize::new(0));
        let heard = errors.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            eprintln!("the application heard: {error}");
            heard.fetch_add(1, Ordering::SeqCst);
        }));
        App { name: gpu::describe(&adapter.get_info()), device, queue, errors }
    }

    pub(crate) fn generator(&self, network: &Network) -> Generator {
        let builder = Generator::builder(network).batch(BATCH.try_into().expect("not 0"));
        pollster::block_on(builder.gpu(&self.lend())).expect("a generator")
    }

    pub(crate) fn lend(&self) -> Gpu {
        let gpu = Gpu::from_wgpu(self.device.clone(), self.queue.clone());
        assert_eq!(gpu.name(), self.name);
        gpu
    }

    /// Awaits something between frames, which poll in passing; nobody wakes it.
    pub(crate) fn frames<T>(&self, mut future: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> T {
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(ready) = future.as_mut().poll(&mut context) {
                return ready;
            }
            self.device.poll(wgpu::PollType::Poll).expect("polled");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    pub(crate) fn buffer(&self, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let descriptor =
            wgpu::BufferDescriptor { label: Some("app"), size, usage, mapped_at_creation: false };
        self.device.create_buffer(&descriptor)
    }

    pub(crate) fn texture(&self, [width, height]: [u32; 2], usage: wgpu::TextureUsages) -> wgpu::Texture {
        self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("app"),
            size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage,
            view_formats: &[],
        })
    }

    pub(crate) fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    pub(crate) fn read(&self, buffer: &wgpu::Buffer) -> Vec<u8> {
        let readback =
            self.buffer(buffer.size(), wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        let mut encoder = self.encoder();
        encoder.copy_buffer_to_buffer(buffer, 0, &readback, 0, buffer.size());
        self.queue.submit([encoder.finish()]);
        readback.map_async(wgpu::MapMode::Read, .., |result| result.expect("mapped"));
        self.device.poll(wgpu::PollType::wait_indefinitely()).expect("finished");
        readback.get_mapped_range(..).expect("mapped").to_vec()
    }

    /// RGBA of the whole texture, row by row.
    pub(crate) fn read_texture(&self, texture: &wgpu::Texture) -> Vec<u8> {
        let (line, rows) = (4 * texture.width(), texture.height());
        let padded = line.next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
        let buffer = self
            .buffer(u64::from(padded * rows), wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC);
        let mut encoder = self.encoder();
        let layout =
            wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(padded), rows_per_image: None };
        let to = wgpu::TexelCopyBufferInfo { buffer: &buffer, layout };
        encoder.copy_texture_to_buffer(texture.as_image_copy(), to, texture.size());
        self.queue.submit([encoder.finish()]);
        let bytes = self.read(&buffer);
        bytes.chunks(padded as usize).flat_map(|row| &row[..line as usize]).copied().collect()
    }
}
