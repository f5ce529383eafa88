//! An application with a device, textures and a render pass of its own shows images that never leave its GPU.
//!
//! It draws to a texture instead of a window, reads that back, and compares every pixel with the CPU's images.
//! `WGPU_BACKEND` and `WGPU_ADAPTER_NAME` choose the GPU.

mod app;

use std::error::Error;
use std::sync::mpsc;

use fsvae::gpu::{self, Gpu, Origin, Target};
use fsvae::{Checkpoint, Generator, Network};
use wgpu::{TextureFormat, TextureUsages};

const SEED: u64 = 7;
const COLUMNS: u32 = 8;
const ROWS: u32 = 8;
const IMAGES: u64 = (COLUMNS * ROWS) as u64;

fn main() -> Result<(), Box<dyn Error>> {
    pollster::block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let network = Network::new(&Checkpoint::bundled("mnist").ok_or("no such model")??)?;
    let side = network.architecture().image_side() as u32;

    // The application opens its device, with what the network needs added to what it needs itself ...
    let adapters = gpu::adapters().await;
    let adapter = gpu::choose_adapter(&adapters, None)?;
    let limits = wgpu::Limits::downlevel_defaults()
        .or_worse_values_from(&adapter.limits())
        .or_better_values_from(&gpu::required_limits(&network));
    let descriptor = wgpu::DeviceDescriptor {
        required_limits: limits,
        required_features: gpu::required_features(),
        ..Default::default()
    };
    let (device, queue) = adapter.request_device(&descriptor).await?;

    // ... and makes a texture for the images, and one that stands for the screen.
    let size = [COLUMNS * side, ROWS * side];
    let usage = TextureUsages::STORAGE_BINDING | TextureUsages::TEXTURE_BINDING;
    let texture = app::texture(&device, size, TextureFormat::Rgba8Unorm, usage);
    let usage = TextureUsages::RENDER_ATTACHMENT | TextureUsages::COPY_SRC;
    let screen = app::texture(&device, size, TextureFormat::Rgba8Unorm, usage);
    let show = app::Show::new(&device, &texture, screen.format());

    // fsvae borrows the device. This compiles the kernels and uploads the weights, once.
    let gpu = Gpu::from_wgpu(device.clone(), queue.clone());
    let generator = Generator::builder(&network).gpu(&gpu).await?;

    // A frame: fsvae fills the texture, the application draws it, in one submission. Nobody waits.
    let mut encoder = device.create_command_encoder(&Default::default());
    let target = Target::tiles(&texture, COLUMNS);
    generator.record(&mut encoder, Origin::prior(SEED, 0..IMAGES)?, &[target])?;
    show.draw(&mut encoder, &screen.create_view(&Default::default()));
    queue.submit([encoder.finish()]);

    // What is on the screen, against the CPU.
    let (sender, receiver) = mpsc::channel();
    app::read_back(&device, &queue, &screen, move |shown| drop(sender.send(shown)));
    device.poll(wgpu::PollType::wait_indefinitely())?;
    let shown = receiver.recv()??;
    let expected = Generator::builder(&network).cpu().generate(SEED, 0..IMAGES)?.to_grid().into_rgba8();
    let different =
        shown.pixels().zip(expected.pixels()).filter(|(shown, expected)| shown != expected).count();
    if different > 0 || shown.dimensions() != expected.dimensions() {
        return Err(format!("{different} pixels differ on {}", gpu.name()).into());
    }
    println!("equal: {IMAGES} images, {} x {} pixels, on {}", shown.width(), shown.height(), gpu.name());
    Ok(())
}
