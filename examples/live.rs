//! A window full of images, the oldest of which give way to new ones for as long as it runs, all on the window's device.
//!
//! Keys: space pauses, up and down change the images of a frame, r takes the next seed, s saves the grid as PNG.
//! Options: `--seed N`, `--batch N` (images of a frame), `--frames N` (then it quits), `--screenshot PATH` (of the last
//! frame), `--measure SECONDS` (what frames cost without and with images in the making). `WGPU_BACKEND` and
//! `WGPU_ADAPTER_NAME` choose the GPU.

mod app;
mod window;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use fsvae::gpu::{self, Gpu, Origin, Target};
use fsvae::{Checkpoint, Generator, Network};
use wgpu::{TextureFormat, TextureUsages};
use winit::application::ApplicationHandler;
use winit::dpi::LogicalSize;
use winit::event::WindowEvent;
use winit::event_loop::{ActiveEventLoop, EventLoop, EventLoopProxy};
use winit::keyboard::{Key, NamedKey};
use winit::window::WindowId;

use window::Screen;
use window::measure::Measure;

const COLUMNS: u32 = 16;
const ROWS: u32 = 10;
const TILES: u32 = COLUMNS * ROWS;
/// Side of a tile in the window, in logical pixels.
const TILE: u32 = 64;

/// What a submission of our own may take of a frame's 16 ms.
const BUDGET: Duration = Duration::from_millis(4);

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("live: {message}");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = run(options) {
        eprintln!("live: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let network = Network::new(&Checkpoint::bundled("faces-esvae").ok_or("no such model")??)?;
    let events = EventLoop::with_user_event().build()?;
    let mut live = Live { options, network, proxy: events.create_proxy(), wall: None, outcome: Ok(()) };
    events.run_app(&mut live)?;
    live.outcome
}

struct Options {
    frames: u64,
    screenshot: Option<PathBuf>,
    seed: u64,
    batch: u32,
    measure: Option<Duration>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Options { frames: u64::MAX, screenshot: None, seed: 0, batch: 4, measure: None };
        while let Some(name) = arguments.next() {
            let value = arguments.next().unwrap_or_default();
            let number = |least, most| match value.parse() {
                Ok(number) if (least..=most).contains(&number) => Ok(number),
                _ => Err(format!("{name}: expected a number from {least} to {most}, found \"{value}\"")),
            };
            match name.as_str() {
                "--frames" => options.frames = number(1, u64::MAX)?,
                "--seed" => options.seed = number(0, u64::MAX)?,
                "--batch" => options.batch = number(1, TILES.into())? as u32,
                "--measure" => options.measure = Some(Duration::from_secs(number(1, 3600)?)),
                "--screenshot" if !value.is_empty() => options.screenshot = Some(value.into()),
                _ => {
                    return Err(format!(
                        "expected --seed N, --batch N, --frames N, --screenshot PATH, --measure SECONDS, found {name}"
                    ));
                }
            }
        }
        Ok(options)
    }
}

/// The device was lost, or objects to something.
struct Trouble(String);

/// The application as winit sees it.
struct Live {
    options: Options,
    network: Network,
    proxy: EventLoopProxy<Trouble>,
    wall: Option<Wall>,
    outcome: Result<(), Box<dyn Error>>,
}

impl Live {
    fn quit(&mut self, events: &ActiveEventLoop, outcome: Result<(), Box<dyn Error>>) {
        // The first error is the cause of those that follow.
        if self.outcome.is_ok() {
            self.outcome = outcome;
        }
        events.exit();
    }

    /// True when that was all.
    fn handle(&mut self, event: WindowEvent) -> Result<bool, Box<dyn Error>> {
        let Some(wall) = &mut self.wall else { return Ok(false) };
        let mut closed = false;
        match event {
            WindowEvent::CloseRequested => closed = true,
            WindowEvent::Resized(size) => wall.screen.resize(size),
            WindowEvent::Occluded(false) => wall.screen.window.request_redraw(),
            WindowEvent::KeyboardInput { event, .. } if event.state.is_pressed() => {
                wall.key(&event.logical_key);
            }
            WindowEvent::RedrawRequested => closed = wall.frame()?,
            _ => {}
        }
        closed |= wall.frames >= self.options.frames;
        if let (true, Some(path)) = (closed, &self.options.screenshot) {
            wall.screenshot(path)?;
        }
        Ok(closed)
    }
}

impl ApplicationHandler<Trouble> for Live {
    fn resumed(&mut self, events: &ActiveEventLoop) {
        if self.wall.is_none() {
            match pollster::block_on(Wall::new(events, &self.network, &self.proxy, &self.options)) {
                Ok(wall) => self.wall = Some(wall),
                Err(error) => self.quit(events, Err(error)),
            }
        }
    }

    fn window_event(&mut self, events: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        if events.exiting() {
            return;
        }
        match self.handle(event) {
            Ok(false) => {}
            Ok(true) => self.quit(events, Ok(())),
            Err(error) => self.quit(events, Err(error)),
        }
    }

    fn user_event(&mut self, events: &ActiveEventLoop, Trouble(message): Trouble) {
        self.quit(events, Err(message.into()));
    }
}

/// Image n of a seed hangs at tile n modulo [`TILES`].
struct Wall {
    screen: Screen,
    generator: Generator,
    grid: wgpu::Texture,
    show: app::Show,
    seed: u64,
    /// Index of the next image.
    next: u64,
    batch: u32,
    paused: bool,
    frames: u64,
    /// When the title was new, and the frames and images since.
    title: (Instant, u32, u32),
    measure: Option<Measure>,
}

impl Wall {
    async fn new(
        events: &ActiveEventLoop,
        network: &Network,
        proxy: &EventLoopProxy<Trouble>,
        &Options { seed, batch, measure, .. }: &Options,
    ) -> Result<Self, Box<dyn Error>> {
        let side = network.architecture().image_side() as u32;
        let size = [COLUMNS * side, ROWS * side];
        let proxy = proxy.clone();
        // Nobody listens any more once the window is closed.
        let trouble = move |message| drop(proxy.send_event(Trouble(message)));
        let inner = LogicalSize::new(COLUMNS * TILE, ROWS * TILE);
        let (limits, features) = (gpu::required_limits(network), gpu::required_features());
        let screen = Screen::open(events, inner, &limits, features, trouble).await?;

        let gpu = Gpu::from_wgpu(screen.device.clone(), screen.queue.clone());
        let generator = Generator::builder(network).budget(BUDGET).gpu(&gpu).await?;
        let usage = TextureUsages::STORAGE_BINDING | TextureUsages::TEXTURE_BINDING | TextureUsages::COPY_SRC;
        let grid = app::texture(&screen.device, size, TextureFormat::Rgba8Unorm, usage);
        let show = app::Show::new(&screen.device, &grid, screen.format);
        let title = (Instant::now(), 0, 0);
        let (paused, measure) = (measure.is_some(), measure.map(Measure::new));
        Ok(Wall { screen, generator, grid, show, seed, next: 0, batch, paused, frames: 0, title, measure })
    }

    /// One submission: the generation of some images into their tiles, the drawing of all. The device does it
    /// when it can; nothing here waits for it, except for a free texture of the surface, as every application does. True
    /// when all was measured.
    fn frame(&mut self) -> Result<bool, Box<dyn Error>> {
        let Some(frame) = self.screen.next()? else { return Ok(false) };
        let mut encoder = self.screen.device.create_command_encoder(&Default::default());
        if !self.paused {
            self.renew(&mut encoder)?;
        }
        self.show.draw(&mut encoder, &self.screen.view(&frame));
        self.screen.queue.submit([encoder.finish()]);
        self.screen.window.pre_present_notify();
        self.screen.queue.present(frame);
        self.screen.window.request_redraw();
        self.frames += 1;
        self.retitle();
        let Some(measure) = &mut self.measure else { return Ok(false) };
        Ok(measure.frame(&self.generator)?)
    }

    fn renew(&mut self, encoder: &mut wgpu::CommandEncoder) -> fsvae::Result<()> {
        let first = (self.next % u64::from(TILES)) as u32;
        let tiles = Target::Texture { texture: &self.grid, layer: 0, columns: COLUMNS, first, wrap: TILES };
        let images = Origin::Prior { seed: self.seed, first: self.next, count: self.batch };
        self.generator.record(encoder, images, &[tiles])?;
        self.next += u64::from(self.batch);
        self.title.2 += self.batch;
        Ok(())
    }

    fn retitle(&mut self) {
        let (since, frames, images) = &mut self.title;
        *frames += 1;
        let seconds = since.elapsed().as_secs_f64();
        if seconds >= 0.5 {
            let title = format!(
                "fsvae: seed {}, {} images a frame, {:.0} fps, {:.0} images/s{}",
                self.seed,
                self.batch,
                f64::from(*frames) / seconds,
                f64::from(*images) / seconds,
                if self.paused { ", paused" } else { "" }
            );
            self.screen.window.set_title(&title);
            self.title = (Instant::now(), 0, 0);
        }
    }

    fn key(&mut self, key: &Key) {
        match key.as_ref() {
            Key::Named(NamedKey::Space) => self.paused = !self.paused,
            Key::Named(NamedKey::ArrowUp) => self.batch = (2 * self.batch).min(TILES),
            Key::Named(NamedKey::ArrowDown) => self.batch = (self.batch / 2).max(1),
            Key::Character("r") => (self.seed, self.next) = (self.seed.wrapping_add(1), 0),
            Key::Character("s") => self.save(),
            _ => {}
        }
    }

    /// Saves the grid when the device has come to it, which a later frame will hear.
    fn save(&self) {
        let path = format!("live-{}-{}.png", self.seed, self.next);
        app::read_back(&self.screen.device, &self.screen.queue, &self.grid, move |grid| {
            match grid.and_then(|grid| grid.save(&path).map_err(|error| error.to_string())) {
                Ok(()) => println!("saved {path}"),
                Err(error) => eprintln!("live: {path}: {error}"),
            }
        });
    }

    /// Draws once more, to a texture that can be read back, and waits: it is about to quit.
    fn screenshot(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        let Screen { device, queue, format, .. } = &self.screen;
        let usage = TextureUsages::RENDER_ATTACHMENT | TextureUsages::COPY_SRC;
        let shot = app::texture(device, self.screen.size(), *format, usage);
        let mut encoder = device.create_command_encoder(&Default::default());
        self.show.draw(&mut encoder, &shot.create_view(&Default::default()));
        queue.submit([encoder.finish()]);
        let (sender, receiver) = mpsc::channel();
        app::read_back(device, queue, &shot, move |shot| drop(sender.send(shot)));
        device.poll(wgpu::PollType::wait_indefinitely())?;
        receiver.recv()??.save(path)?;
        Ok(())
    }
}
