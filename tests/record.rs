//! Generation recorded into an application's commands, on the application's device: every target holds the CPU's
//! images, and the application keeps what is its own.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{RandomModel, adapters};
use fsvae::gpu::{self, Layout, Target};
use fsvae::{Checkpoint, Generator, Gpu, Images, Network, wgpu};
use safetensors::Dtype;

const GREY: RandomModel = RandomModel {
    rng: 31,
    steps: 6,
    latent: 7,
    k: Some(3),
    layers: 2,
    channels: 1,
    width: 3,
    large: Dtype::F32,
};
const RGB: RandomModel = RandomModel { rng: 32, channels: 3, layers: 3, ..GREY };
const RATES: RandomModel = RandomModel { rng: 34, k: None, ..GREY };
/// 4 x 4 pixels, less than a workgroup.
const SMALLEST: RandomModel = RandomModel { rng: 33, layers: 1, channels: 3, ..GREY };

const SEED: u64 = 9;
const FIRST: u64 = (1 << 32) - 3;
const COUNT: u64 = 7;
/// More images than a batch has, and not a multiple.
const BATCH: usize = 3;

fn network(model: RandomModel) -> Network {
    Network::new(&Checkpoint::from_bytes(&model.bytes()).expect("a checkpoint")).expect("a network")
}

/// An application's device of each adapter, with just what the network needs and its own ear for errors.
struct App {
    name: String,
    device: wgpu::Device,
    queue: wgpu::Queue,
    errors: Arc<AtomicUsize>,
}

fn apps(network: &Network) -> Vec<App> {
    let open = |adapter: &wgpu::Adapter| {
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
    };
    adapters().iter().map(open).collect()
}

impl App {
    fn generator(&self, network: &Network) -> Generator {
        let gpu = Gpu::from_wgpu(self.device.clone(), self.queue.clone());
        assert_eq!(gpu.name(), self.name);
        let builder = Generator::builder(network).batch(BATCH.try_into().expect("not 0"));
        pollster::block_on(builder.gpu(&gpu)).expect("a generator")
    }

    fn buffer(&self, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let descriptor =
            wgpu::BufferDescriptor { label: Some("app"), size, usage, mapped_at_creation: false };
        self.device.create_buffer(&descriptor)
    }

    fn texture(&self, [width, height]: [u32; 2], usage: wgpu::TextureUsages) -> wgpu::Texture {
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

    fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    fn read(&self, buffer: &wgpu::Buffer) -> Vec<u8> {
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
    fn read_texture(&self, texture: &wgpu::Texture) -> Vec<u8> {
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

fn expected(network: &Network) -> Images {
    Generator::builder(network).cpu().generate(SEED, FIRST..FIRST + COUNT).expect("images")
}

fn rgba(images: &Images) -> Vec<u8> {
    images.iter().flat_map(|image| image.to_rgba().into_raw()).collect()
}

const COPY: wgpu::BufferUsages = wgpu::BufferUsages::COPY_DST.union(wgpu::BufferUsages::COPY_SRC);
const STORAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC);
const TILES: wgpu::TextureUsages = wgpu::TextureUsages::STORAGE_BINDING.union(wgpu::TextureUsages::COPY_SRC);

#[test]
fn every_target_holds_the_images() {
    for model in [GREY, RGB, SMALLEST, RATES] {
        let network = network(model);
        let (images, side) = (expected(&network), network.architecture().image_side() as u32);
        for app in apps(&network) {
            let name = &app.name;
            let mut generator = app.generator(&network);
            let bytes = images.as_bytes().len();

            // Some room before and after, which stays zero.
            let pixels = app.buffer(bytes as u64 + 16, COPY);
            let words = app.buffer(256 + u64::from(4 * side * side) * COUNT + 8, STORAGE);
            let texture = app.texture([3 * side + 5, 3 * side], TILES);
            let view = texture.create_view(&Default::default());
            let mut encoder = app.encoder();
            let range = FIRST..FIRST + COUNT;
            let mut record = |target| generator.record(&mut encoder, SEED, range.clone(), target);
            let below = Layout { images: COUNT as u32, columns: 1, side };
            assert_eq!(record(Target::Pixels { buffer: &pixels, offset: 8 }).expect("recorded"), below);
            assert_eq!(record(Target::Rgba { buffer: &words, offset: 256 }).expect("recorded"), below);
            let layout = record(Target::Texture { view: &view, columns: 3 }).expect("recorded");
            assert_eq!(layout, Layout { columns: 3, ..below });
            assert_eq!((layout.rows(), layout.size()), (3, [3 * side, 3 * side]));
            app.queue.submit([encoder.finish()]);

            let found = app.read(&pixels);
            assert_eq!(&found[8..8 + bytes], images.as_bytes(), "{name}");
            assert!(found[..8].iter().chain(&found[8 + bytes..]).all(|&byte| byte == 0), "{name}");
            let found = app.read(&words);
            let (words, rest) = found[256..].split_at(found.len() - 256 - 8);
            assert_eq!(words, rgba(&images), "{name}");
            assert!(found[..256].iter().chain(rest).all(|&byte| byte == 0), "{name}");

            let found = app.read_texture(&texture);
            let line = 4 * texture.width() as usize;
            let mut seen = vec![false; found.len()];
            for (n, image) in images.iter().enumerate() {
                let [x, y] = layout.corner(n as u32).map(|at| at as usize);
                for (row, pixels) in image.to_rgba().chunks(4 * side as usize).enumerate() {
                    let start = (y + row) * line + 4 * x;
                    assert_eq!(&found[start..start + pixels.len()], pixels, "{name}: image {n}");
                    seen[start..start + pixels.len()].fill(true);
                }
            }
            assert!(
                found.iter().zip(seen).all(|(&byte, seen)| seen || byte == 0),
                "{name}: beside the tiles"
            );
            assert_eq!(app.errors.load(Ordering::SeqCst), 0, "{name}");
        }
    }
}

#[test]
fn recordings_may_be_submitted_in_any_order_and_beside_other_work() {
    let network = network(GREY);
    for app in apps(&network) {
        let mut generator = app.generator(&network);
        let other = generator.generate(1, 0..4).expect("images");
        let images = expected(&network);
        let image = network.architecture().image_bytes() as u64;
        let target = app.buffer(image * COUNT, COPY);
        let mut commands = Vec::new();
        for n in 0..COUNT {
            let mut encoder = app.encoder();
            let place = Target::Pixels { buffer: &target, offset: n * image };
            generator.record(&mut encoder, SEED, FIRST + n..=FIRST + n, place).expect("recorded");
            commands.push(encoder.finish());
        }
        assert_eq!(generator.generate(1, 0..4).expect("images"), other, "{}", app.name);
        commands.rotate_left(2);
        app.queue.submit(commands.into_iter().rev());
        assert_eq!(generator.generate(1, 0..4).expect("images"), other, "{}", app.name);
        assert_eq!(app.read(&target), images.as_bytes(), "{}", app.name);
    }
}

#[test]
fn frames_are_those_of_the_host() {
    let network = network(RGB);
    let steps = network.architecture().time_steps;
    let mut cpu = Generator::builder(&network).cpu();
    let latents = cpu.sample_latents(SEED, FIRST..FIRST + COUNT).expect("latents");
    let expected = cpu.frames(&latents).expect("frames");
    for app in apps(&network) {
        let mut generator = app.generator(&network);
        let buffers: Vec<_> =
            expected.iter().map(|frame| app.buffer(rgba(frame).len() as u64, STORAGE)).collect();
        let targets: Vec<_> = buffers.iter().map(|buffer| Target::Rgba { buffer, offset: 0 }).collect();
        let mut encoder = app.encoder();
        let range = FIRST..FIRST + COUNT;
        generator.record_frames(&mut encoder, SEED, range.clone(), &targets).expect("recorded");
        app.queue.submit([encoder.finish()]);
        for (step, (buffer, frame)) in buffers.iter().zip(&expected).enumerate() {
            assert_eq!(app.read(buffer), rgba(frame), "{}: step {step}", app.name);
        }
        let mut encoder = app.encoder();
        let error = generator.record_frames(&mut encoder, SEED, range, &targets[1..]).expect_err("one short");
        let text = format!("expected {steps} targets, one a time step, found {}", steps - 1);
        assert!(error.to_string().contains(&text), "{error}");
    }
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_recorded() {
    let network = network(GREY);
    for app in apps(&network) {
        let mut generator = app.generator(&network);
        let small = app.buffer(100, COPY | STORAGE);
        let uniform = app.buffer(1 << 16, wgpu::BufferUsages::UNIFORM);
        let view = |size, usage| app.texture(size, usage).create_view(&Default::default());
        let (narrow, unusable) =
            (view([15, 64], TILES), view([64, 64], wgpu::TextureUsages::TEXTURE_BINDING));
        let mut encoder = app.encoder();
        let cases = [
            (Target::Pixels { buffer: &small, offset: 0 }, "448 bytes and more from offset 0 on, found 100"),
            (Target::Pixels { buffer: &small, offset: u64::MAX - 3 }, "from offset 18446744073709551612 on"),
            (Target::Pixels { buffer: &small, offset: 2 }, "offset that is a multiple of 4, found 2"),
            (Target::Pixels { buffer: &uniform, offset: 0 }, "usage BufferUsages(COPY_DST), found"),
            (Target::Rgba { buffer: &uniform, offset: 0 }, "usage BufferUsages(STORAGE), found"),
            (Target::Rgba { buffer: &small, offset: 4 }, "offset that is a multiple of"),
            (Target::Rgba { buffer: &small, offset: 0 }, "1792 bytes and more"),
            (Target::Texture { view: &narrow, columns: 2 }, "16 x 32 texels at least, found 15 x 64"),
            (Target::Texture { view: &narrow, columns: 0 }, "at least 1 column"),
            (Target::Texture { view: &unusable, columns: 2 }, "usage TextureUsages(STORAGE_BINDING)"),
        ];
        for (target, text) in cases {
            let error = generator.record(&mut encoder, SEED, 0..7, target).expect_err(text).to_string();
            assert!(error.contains(text), "{}: {error}", app.name);
        }
        let target = Target::Pixels { buffer: &small, offset: 0 };
        assert!(generator.record(&mut encoder, SEED, 0..1 << 32, target).is_err());
        assert_eq!(generator.record(&mut encoder, SEED, 5..5, target).expect("nothing").images, 0);
        app.queue.submit([encoder.finish()]);
        assert_eq!(app.errors.load(Ordering::SeqCst), 0, "{}", app.name);
        let error = Generator::builder(&network)
            .cpu()
            .record(&mut app.encoder(), SEED, 0..7, target)
            .expect_err("no GPU");
        assert!(error.to_string().contains("this one is on the CPU"), "{error}");
    }
}

/// The application's handlers stay its own: it hears its own mistakes and the loss of its device, and nothing of
/// what went wrong in this crate.
#[test]
fn the_applications_handlers_stay_in_place() {
    let network = network(GREY);
    for app in apps(&network) {
        let lost = Arc::new(AtomicUsize::new(0));
        let counted = lost.clone();
        app.device.set_device_lost_callback(move |_, _| {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        let mut generator = app.generator(&network);
        assert_eq!(generator.generate(SEED, FIRST..FIRST + COUNT).expect("images"), expected(&network));
        let mapped = app.buffer(16, wgpu::BufferUsages::MAP_READ);
        assert_eq!(app.errors.load(Ordering::SeqCst), 0);
        // A mistake of the application's own.
        app.queue.write_buffer(&mapped, 0, &[0; 16]);
        assert_eq!(app.errors.load(Ordering::SeqCst), 1, "{}", app.name);
        app.device.destroy();
        let error = generator.generate(SEED, 0..2).expect_err("the device is gone");
        assert!(matches!(error, fsvae::Error::DeviceLost { .. }), "{}: {error}", app.name);
        let _ = app.device.poll(wgpu::PollType::Poll);
        assert_eq!(lost.load(Ordering::SeqCst), 1, "{}", app.name);
    }
}
