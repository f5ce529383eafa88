//! A device that an application lends: its threads, its frames, its handlers and its end are its own.

#[path = "common/app.rs"]
mod app;
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use app::{BATCH, apps};
use common::{GREY, adapters};
use fsvae::gpu::{self, Origin, Target};
use fsvae::{Generator, Gpu, Images, Job, Network, wgpu};

const SEED: u64 = 9;
const FIRST: u64 = (1 << 32) - 3;
const COUNT: u64 = 7;

fn expected(network: &Network) -> Images {
    Generator::builder(network).cpu().generate(SEED, FIRST..FIRST + COUNT).expect("images")
}

const COPY: wgpu::BufferUsages = wgpu::BufferUsages::COPY_DST.union(wgpu::BufferUsages::COPY_SRC);

/// From frame to frame is long; what a batch took is told by the device's clock.
#[test]
fn a_task_that_is_looked_at_once_a_frame_finds_its_pace() {
    let network = GREY.network();
    for adapter in adapters() {
        let descriptor = wgpu::DeviceDescriptor {
            required_limits: gpu::required_limits(&network),
            required_features: gpu::optional_features() & adapter.features(),
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).expect("a device");
        let has_clock = device.features().contains(wgpu::Features::TIMESTAMP_QUERY);
        let lent = Gpu::from_wgpu(device.clone(), queue);
        let builder = Generator::builder(&network).budget(Duration::from_millis(40));
        let generator = pollster::block_on(builder.gpu(&lent)).expect("a generator");
        let mut task = generator.start(Job::prior(SEED, ..).expect("a range")).expect("a task");
        let mut largest = 0;
        for _frame in 0..16 {
            if let Poll::Ready(Some(part)) = task.try_next() {
                largest = largest.max(part.expect("a part").count);
            }
            std::thread::sleep(Duration::from_millis(50));
            device.poll(wgpu::PollType::Poll).expect("no error");
        }
        // A machine with much else to do may be slow now and then, but an image of this network is a matter of microseconds.
        assert_eq!(largest > 1, has_clock, "{}: at most {largest} images", lent.name());
    }
}

/// An application's thread submits recordings while another of its threads generates, encodes and decodes, all on one
/// device and one generator: none runs on the other's seeds, pictures or latents. Two seconds, or as many as
/// `FSVAE_RACE_SECONDS` says, on all adapters at once.
#[test]
fn recordings_and_calls_do_not_disturb_each_other() {
    let network = GREY.network();
    let seconds = std::env::var("FSVAE_RACE_SECONDS").map_or(2, |text| text.parse().expect("a number"));
    let image = network.architecture().image_bytes() as u64;
    let cpu = Generator::builder(&network).cpu();
    let pixels: Vec<u8> = (0..5 * image).map(|at| (at * at) as u8).collect();
    let expected: Vec<_> = (0..4).map(|seed| cpu.generate(seed, 0..5).expect("images")).collect();
    let reconstructed: Vec<_> =
        (0..4).map(|seed| cpu.reconstruct(&pixels, seed, 0).expect("images")).collect();
    let apps: Vec<_> = apps(&network).into_iter().map(|app| (app.generator(&network), app)).collect();
    let end = Instant::now() + Duration::from_secs(seconds);
    let (expected, reconstructed, pixels) = (&expected, &reconstructed, &pixels[..]);
    let calls = |name: &str, generator: &Generator| {
        let mut rounds = 0;
        while Instant::now() < end {
            let seed = rounds % 4;
            let found = generator.generate(seed as u64, 0..5).expect("images");
            assert_eq!(found, expected[seed], "{name}: a call, round {rounds}");
            let found = generator.reconstruct(pixels, seed as u64, 0).expect("images");
            assert_eq!(found, reconstructed[seed], "{name}: a call, round {rounds}");
            rounds += 1;
        }
        rounds
    };
    let recordings = |app: &app::App, generator: &Generator| {
        let target = app.buffer(5 * image, COPY);
        let mut rounds = 0;
        while Instant::now() < end {
            let seed = (rounds + 2) % 4;
            let origin = Origin::Prior { seed: seed as u64, first: 0, count: 5 };
            let mut encoder = app.encoder();
            let pixels = Target::Pixels { buffer: &target, offset: 0 };
            generator.record(&mut encoder, origin, &[pixels]).expect("recorded");
            app.queue.submit([encoder.finish()]);
            assert_eq!(app.read(&target), expected[seed].as_bytes(), "{}: a recording", app.name);
            rounds += 1;
        }
        rounds
    };
    std::thread::scope(|scope| {
        let (calls, recordings) = (&calls, &recordings);
        for (generator, app) in &apps {
            let calls = scope.spawn(move || calls(&app.name, generator));
            scope.spawn(move || {
                let rounds = (recordings(app, generator), calls.join().expect("no panic"));
                eprintln!("{}: {} recordings beside {} rounds of calls", app.name, rounds.0, rounds.1);
                assert!(rounds.0 > 0 && rounds.1 > 0);
                assert_eq!(app.errors.load(Ordering::SeqCst), 0, "{}", app.name);
            });
        }
    });
}

/// An application that does not listen for errors gets wgpu's panic for any that is not ours to hear: none is.
#[test]
fn a_device_without_an_ear_is_destroyed_with_batches_in_flight() {
    let network = GREY.network();
    let limits = |adapter: &wgpu::Adapter| {
        let base = wgpu::Limits::downlevel_defaults().or_worse_values_from(&adapter.limits());
        base.or_better_values_from(&gpu::required_limits(&network))
    };
    for adapter in adapters() {
        let name = gpu::describe(&adapter.get_info());
        let descriptor = wgpu::DeviceDescriptor { required_limits: limits(&adapter), ..Default::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).expect("a device");
        let gpu = Gpu::from_wgpu(device.clone(), queue);
        let builder = Generator::builder(&network).batch(BATCH.try_into().expect("not 0"));
        let generator = pollster::block_on(builder.gpu(&gpu)).expect("a generator");
        let mut waited = generator.stream(SEED, 0..100).expect("a stream");
        let mut tried = generator.stream(SEED, 0..100).expect("a stream");
        waited.next().expect("one").expect("images");
        let _ = tried.try_next();
        device.destroy();
        let ends = |stream: &mut fsvae::ImageStream| stream.find_map(Result::err).expect("an error");
        for error in [ends(&mut waited), ends(&mut tried)] {
            assert!(matches!(error, fsvae::Error::DeviceLost { .. }), "{name}: {error}");
        }
        let error = generator.generate(SEED, 0..1).expect_err("the device is gone");
        assert!(matches!(error, fsvae::Error::DeviceLost { .. }), "{name}: {error}");
        assert!(pollster::block_on(generator.prepare()).is_err(), "{name}");
    }
}

/// The application's handlers stay its own: it hears its own mistakes and the loss of its device, and nothing of
/// what went wrong in this crate.
#[test]
fn the_applications_handlers_stay_in_place() {
    let network = GREY.network();
    for app in apps(&network) {
        let lost = Arc::new(AtomicUsize::new(0));
        let counted = lost.clone();
        app.device.set_device_lost_callback(move |_, _| {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        let generator = app.generator(&network);
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
