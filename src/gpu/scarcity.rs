//! Tests: whatever cannot be made is one clean error, and the same device and generator work afterwards.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::testing::{Ration, gpus};
use super::{Gpu, GpuBackend, Origin, Target, Variant, adapters, describe, required_limits};
use crate::{Checkpoint, Error, Generator, Job, Latents, Network, Outputs, Part};

const LONG: Duration = Duration::from_secs(300);
const IMAGES: usize = 3;

fn network() -> Network {
    Network::new(&Checkpoint::bundled("mnist").expect("bundled").expect("valid")).expect("valid")
}

/// Every kind of work, each with buffers of its own kind.
fn jobs(pixels: &[u8], latents: &Latents) -> Vec<Job<'static>> {
    let range = 5..5 + IMAGES as u64;
    let spikes = Outputs::spikes(["encoder.0", "decoder.0"]);
    vec![
        Job::prior(7, range).expect("a range"),
        Job::posterior(pixels, 7, 5).giving(Outputs::latents().and(spikes)).into_owned(),
        Job::latents(latents).giving(Outputs::images().and(Outputs::frames())).into_owned(),
    ]
}

fn run(generator: &Generator, job: &Job<'static>) -> crate::Result<Part> {
    generator.start(job.clone())?.wait()
}

/// What the jobs give on the CPU.
struct Expected {
    jobs: Vec<Job<'static>>,
    parts: Vec<Part>,
}

impl Expected {
    fn new(network: &Network) -> Self {
        let cpu = Generator::builder(network).cpu();
        let images = cpu.generate(7, 5..5 + IMAGES as u64).expect("images");
        let latents = cpu.encode(images.as_bytes(), 7, 5).expect("latents");
        let jobs = jobs(images.as_bytes(), &latents);
        let parts = jobs.iter().map(|job| run(&cpu, job).expect("made")).collect();
        Expected { jobs, parts }
    }
}

fn generator(gpu: &Gpu, network: &Network) -> crate::Result<Generator> {
    let batch = NonZeroUsize::new(2).expect("not 0");
    pollster::block_on(Generator::builder(network).batch(batch).gpu(gpu))
}

/// The device's objection in one line, and not the loss of the device.
fn is_clean(error: &Error, gpu: &Gpu, n: usize) {
    let text = error.to_string();
    assert!(
        matches!(error, Error::Gpu { .. }) && !text.contains('\n'),
        "{}, the {n}-th: {error:?}",
        gpu.name()
    );
}

/// The generator is made without a shortage, each of its jobs meets one again and again, and goes well at last.
fn fails_and_recovers(gpu: &Gpu, network: &Network, expected: &Expected) -> usize {
    let mut failures = 0;
    let generator = generator(gpu, network).expect("a generator");
    for (job, part) in expected.jobs.iter().zip(&expected.parts) {
        for n in 0.. {
            gpu.ration.fail_after(n);
            let made = run(&generator, job);
            let failed = !gpu.ration.is_waiting();
            gpu.ration.plenty();
            match made {
                Ok(made) => assert!(!failed && made == *part, "{}, the {n}-th", gpu.name()),
                Err(error) => is_clean(&error, gpu, n),
            }
            failures += usize::from(failed);
            if !failed {
                break;
            }
        }
        assert_eq!(run(&generator, job).expect("made"), *part, "{}", gpu.name());
    }
    failures + recordings(gpu, &generator, &expected.parts[0])
}

/// Nothing is recorded where something cannot be made.
fn recordings(gpu: &Gpu, generator: &Generator, expected: &Part) -> usize {
    let pixels = expected.images.as_ref().expect("images").as_bytes();
    let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::STORAGE;
    let (target, words) =
        (gpu.buffer("test", pixels.len() as u64, usage), gpu.buffer("test", 4 * pixels.len() as u64, usage));
    let targets = [Target::Pixels { buffer: &target, offset: 0 }, Target::Rgba { buffer: &words, offset: 0 }];
    let origin = Origin::prior(7, 5..5 + IMAGES as u64).expect("a range");
    for n in 0.. {
        gpu.ration.fail_after(n);
        let commands = generator.commands(origin, &targets);
        let failed = !gpu.ration.is_waiting();
        gpu.ration.plenty();
        match commands {
            Err(error) => is_clean(&error, gpu, n),
            Ok((commands, _)) => {
                assert!(!failed, "{}, the {n}-th", gpu.name());
                gpu.queue.submit([commands]);
                let readback = gpu.buffer(
                    "test",
                    target.size(),
                    wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                );
                let mut encoder = gpu.device.create_command_encoder(&Default::default());
                encoder.copy_buffer_to_buffer(&target, 0, &readback, 0, target.size());
                gpu.queue.submit([encoder.finish()]);
                let (sender, mapped) = gpu.pump.signal();
                readback.map_async(wgpu::MapMode::Read, .., move |result| sender.say(result.is_ok()));
                assert!(gpu.pump.wait(&mapped, None));
                assert_eq!(&*readback.get_mapped_range(..).expect("mapped"), pixels, "{}", gpu.name());
                return n;
            }
        }
    }
    unreachable!("it goes well at last")
}

#[test]
fn whatever_cannot_be_made_is_one_error_and_the_rest_goes_on() {
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let network = network();
        let expected = Expected::new(&network);
        for gpu in gpus() {
            // What other tests make on the same device does not count.
            let mut gpu = gpu.clone();
            gpu.ration = Ration::default();
            let gpu = &gpu;
            let mut least = 0;
            for n in 0.. {
                gpu.ration.fail_after(n);
                let made = generator(gpu, &network);
                let failed = !gpu.ration.is_waiting();
                gpu.ration.plenty();
                match made {
                    Err(error) => is_clean(&error, gpu, n),
                    Ok(_) if failed => panic!("{}: the {n}-th was missed", gpu.name()),
                    Ok(_) => break,
                }
                least = n + 1;
            }
            let later = fails_and_recovers(gpu, &network, &expected);
            eprintln!("{}: {least} failures of the generator, {later} of its work", gpu.name());
            // Four kernels, the weights of each layer, and the plan; slots, the encoder, the recordings.
            assert!(least >= 20 && later >= 15, "{}: {least}, {later}", gpu.name());
        }
        done.send(()).expect("somebody waits");
    });
    ended.recv_timeout(LONG).expect("it neither panics nor hangs");
}

/// A device of an application, and what its handler hears.
fn applications(
    adapter: &wgpu::Adapter,
    required_limits: wgpu::Limits,
) -> (wgpu::Device, wgpu::Queue, Arc<Mutex<Vec<String>>>) {
    let descriptor = wgpu::DeviceDescriptor { required_limits, ..Default::default() };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).expect("a device");
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let hears = heard.clone();
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        hears.lock().expect("a lock").push(error.to_string());
    }));
    (device, queue, heard)
}

/// A device that is lost refuses, if it answers at all.
#[test]
fn a_map_that_fails_is_an_error_and_not_a_hang() {
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let network = network();
        let expected = Expected::new(&network);
        for gpu in gpus() {
            let lent = Gpu::from_wgpu(gpu.device.clone(), gpu.queue.clone());
            let mut own = gpu.clone();
            own.refusal = Arc::default();
            for gpu in [&own, &lent] {
                let name = gpu.name();
                let generator = generator(gpu, &network).expect("a generator");
                let lost = |made: crate::Result<Part>| {
                    let error = made.expect_err("a map that fails");
                    assert!(matches!(error, Error::DeviceLost { .. }), "{name}: {error:?}");
                };
                // SwiftShader takes its time.
                let jobs = if name.contains("SwiftShader") { 1 } else { expected.jobs.len() };
                for (job, part) in expected.jobs.iter().zip(&expected.parts).take(jobs) {
                    gpu.refusal.store(true, Ordering::SeqCst);
                    lost(run(&generator, job));
                    let awaited = generator.start(job.clone()).expect("a task").finish();
                    lost(in_passing(gpu, awaited));
                    gpu.refusal.store(false, Ordering::SeqCst);
                    assert_eq!(run(&generator, job).expect("made"), *part, "{name}");
                }
                gpu.refusal.store(true, Ordering::SeqCst);
                let timed = in_passing(gpu, generator.timings(7, 0));
                assert!(matches!(timed, Ok(None) | Err(Error::DeviceLost { .. })), "{name}: {timed:?}");
            }
        }
        done.send(()).expect("somebody waits");
    });
    ended.recv_timeout(LONG).expect("it neither panics nor hangs");
}

/// Awaits something while an application's frames poll its device.
fn in_passing<T>(gpu: &Gpu, future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(made) = future.as_mut().poll(&mut context) {
            return made;
        }
        let _ = gpu.device.poll(wgpu::PollType::Poll);
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The application destroys its device after a batch was read and before its slot is free again.
#[test]
fn what_a_destroyed_device_says_to_an_unmapping_is_ours_to_hear() {
    let network = network();
    for adapter in pollster::block_on(adapters()) {
        let name = describe(&adapter.get_info());
        let (device, queue, heard) = applications(&adapter, required_limits(&network));
        let gpu = Gpu::from_wgpu(device, queue);
        let backend = GpuBackend::new(&gpu, &network, Variant::default().into(), 1, None);
        let backend = pollster::block_on(backend).expect("a model");
        let slot = backend.shared.slot(0, 64);
        let (sender, mapped) = gpu.pump.signal();
        slot.map(&gpu, 64, move |success| sender.say(success));
        assert!(gpu.pump.wait(&mapped, None), "{name}");
        gpu.device.destroy();
        backend.shared.reuse(slot);
        assert_eq!(*heard.lock().expect("a lock"), [""; 0], "{name}");
    }
}

/// A device that has just what the network needs makes the same images, and one that has less says what is missing.
#[test]
fn a_small_device_is_enough_or_says_what_is_missing() {
    let network = network();
    let expected = Expected::new(&network);
    let needed = required_limits(&network);
    for adapter in pollster::block_on(adapters()) {
        let name = describe(&adapter.get_info());
        let device = |limits: wgpu::Limits| {
            let descriptor = wgpu::DeviceDescriptor { required_limits: limits, ..Default::default() };
            let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).expect("a device");
            Gpu::from_wgpu(device, queue)
        };
        let gpu = device(needed.clone());
        let generator = generator(&gpu, &network).expect("a generator");
        for (job, part) in expected.jobs.iter().zip(&expected.parts) {
            assert_eq!(run(&generator, job).expect("made"), *part, "{name}");
        }

        let less = needed.max_storage_buffer_binding_size - 4;
        let short = wgpu::Limits { max_storage_buffer_binding_size: less, ..needed.clone() };
        // A device that has smaller buffers has smaller bindings, too; those are what it is told of.
        let smaller = wgpu::Limits { max_buffer_size: less, ..short.clone() };
        for limits in [short, smaller] {
            let error = self::generator(&device(limits), &network).expect_err("too small");
            let Error::DeviceLimit {
                limit: "max_storage_buffer_binding_size", needed: most, available, ..
            } = error
            else {
                panic!("{name}: {error}")
            };
            assert_eq!((most, available), (less + 4, less), "{name}");
        }
    }
}
