//! Streams: the same images in the same order however they are taken, as many in flight as was asked for, and
//! nothing left when they are dropped.

mod common;

use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use common::{RandomModel, gpus, is_slow};
use fsvae::{Checkpoint, Generator, Gpu, ImageStream, Images, Network, StreamOptions, wgpu};
use futures_core::{FusedStream, Stream};
use safetensors::Dtype;

const MODEL: RandomModel = RandomModel {
    rng: 41,
    steps: 5,
    latent: 6,
    hidden: &[],
    k: Some(4),
    layers: 2,
    channels: 1,
    width: 3,
    large: Dtype::F32,
};
const SEED: u64 = 3;

fn network() -> Network {
    Network::new(&Checkpoint::from_bytes(&MODEL.bytes()).expect("a checkpoint")).expect("a network")
}

fn size(n: usize) -> NonZeroUsize {
    n.try_into().expect("not 0")
}

fn options(batch: usize, in_flight: usize) -> StreamOptions {
    StreamOptions { batch: Some(size(batch)), in_flight: size(in_flight) }
}

fn on(gpu: &Gpu, network: &Network) -> Generator {
    pollster::block_on(Generator::builder(network).batch(size(8)).gpu(gpu)).expect("a generator")
}

/// On the CPU and on every adapter.
fn generators(network: &Network) -> Vec<Generator> {
    let cpu = Generator::builder(network).batch(size(8)).cpu();
    std::iter::once(cpu).chain(gpus(network).iter().map(|gpu| on(gpu, network))).collect()
}

/// What a stream gave: batch sizes, indices and pixels.
#[derive(Debug, Default, PartialEq)]
struct Taken {
    batches: Vec<usize>,
    indices: Vec<u64>,
    pixels: Vec<u8>,
}

impl Taken {
    fn take(&mut self, images: &Images) {
        self.batches.push(images.len());
        self.indices.extend(images.iter().map(|image| image.index));
        self.pixels.extend(images.as_bytes());
    }
}

async fn take_async(stream: ImageStream) -> Taken {
    let mut taken = Taken::default();
    let mut stream = pin!(stream);
    while let Some(images) = std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await {
        taken.take(&images.expect("images"));
    }
    assert!(stream.is_terminated());
    taken
}

fn take_without_waiting(mut stream: ImageStream) -> Taken {
    let mut taken = Taken::default();
    loop {
        match stream.try_next() {
            Poll::Ready(Some(images)) => taken.take(&images.expect("images")),
            Poll::Ready(None) => return taken,
            Poll::Pending => std::thread::sleep(Duration::from_micros(200)),
        }
    }
}

#[test]
fn every_way_of_taking_gives_the_same_images() {
    let network = network();
    let range = (1 << 32) - 9..(1 << 32) + 8_u64;
    let expected = Generator::builder(&network).cpu().generate(SEED, range.clone()).expect("images");
    for generator in generators(&network) {
        for (batch, in_flight) in [(1, 1), (1, 3), (4, 2), (17, 1), (100, 5)] {
            let name = format!("{}, batch {batch}, {in_flight} in flight", generator.backend_name());
            let stream = || {
                let options = options(batch, in_flight);
                generator.stream_with(options, SEED, range.clone()).expect("a stream")
            };
            let mut waited = Taken::default();
            stream().for_each(|images| waited.take(&images.expect("images")));
            assert_eq!(waited.pixels, expected.as_bytes(), "{name}");
            assert_eq!(waited.indices, range.clone().collect::<Vec<_>>(), "{name}");
            let (last, full) = waited.batches.split_last().expect("a batch");
            let most = stream().batch();
            assert!(most <= batch && *last <= most && full.iter().all(|&images| images == most), "{name}");
            assert_eq!(pollster::block_on(take_async(stream())), waited, "{name}: awaited");
            assert_eq!(take_without_waiting(stream()), waited, "{name}: tried");
        }
    }
}

#[test]
fn latency_gives_single_images_and_throughput_the_generators_batch() {
    let network = network();
    for generator in generators(&network) {
        let mut single = generator.stream_with(StreamOptions::latency(), SEED, ..).expect("a stream");
        assert_eq!(single.next().expect("one").expect("images").len(), 1);
        let mut many = generator.stream(SEED, ..).expect("a stream");
        assert_eq!(many.next().expect("one").expect("images").len(), generator.batch());
        assert_eq!(generator.stream(SEED, 5..5).expect("a stream").count(), 0);
        assert_eq!(generator.stream(SEED, u64::MAX..).expect("a stream").count(), 1);
    }
}

/// Several streams and the generator itself, taken in turn.
#[test]
fn streams_do_not_disturb_each_other() {
    let network = network();
    for generator in generators(&network) {
        let alone =
            |seed| generator.stream(seed, 0..40).expect("a stream").map(|images| images.expect("images"));
        let expected: Vec<Vec<Images>> = (0..3).map(|seed| alone(seed).collect()).collect();
        let mut streams: Vec<_> =
            (0..3).map(|seed| generator.stream(seed, 0..40).expect("a stream")).collect();
        for turn in 0..expected[0].len() {
            for (stream, expected) in streams.iter_mut().zip(&expected) {
                assert_eq!(stream.next().expect("one").expect("images"), expected[turn]);
            }
            let images = generator.generate(0, 0..8).expect("images");
            assert_eq!(images, expected[0][0], "{}", generator.backend_name());
        }
    }
}

/// A consumer that does not come back stops the producer: no more is in flight than the options say.
#[test]
fn a_slow_consumer_stops_the_device() {
    let network = network();
    for generator in generators(&network) {
        let name = generator.backend_name();
        let mut stream = generator.stream_with(options(4, 3), SEED, 0..1000).expect("a stream");
        let before = stream.progress();
        assert_eq!((before.delivered, before.in_flight, before.remaining), (0, 0, 1000), "{name}");
        assert_eq!(stream.next_index(), Some(0));
        stream.next().expect("one").expect("images");
        std::thread::sleep(Duration::from_millis(if name == "CPU" { 200 } else { 20 }));
        let after = stream.progress();
        // The CPU's worker begins a batch more while the others wait to be taken.
        assert_eq!((after.delivered, after.in_flight), (4, 12), "{name}");
        assert_eq!(after.delivered + after.in_flight + after.remaining, 1000, "{name}");
        assert_eq!(stream.next_index(), Some(4), "{name}");
    }
}

/// On an application's device nothing is polled for an awaited stream: the application's frames do it.
#[test]
fn an_awaited_stream_on_a_borrowed_device_needs_the_applications_frames() {
    let network = network();
    let expected = Generator::builder(&network).cpu().generate(SEED, 0..20).expect("images");
    for owned in gpus(&network) {
        let (device, queue) = (owned.device().clone(), owned.queue().clone());
        let generator = on(&Gpu::from_wgpu(device.clone(), queue), &network);
        // One batch at a time: submitting another would tell wgpu, too, that the first is done.
        let mut stream = generator.stream_with(options(8, 1), SEED, 0..20).expect("a stream");
        assert!(stream.try_next().is_pending(), "{}", owned.name());
        std::thread::sleep(Duration::from_millis(100));
        assert!(stream.try_next().is_pending(), "{}: somebody polled", owned.name());
        let done = Arc::new(AtomicBool::new(false));
        let ended = done.clone();
        let frames = std::thread::spawn(move || {
            while !ended.load(Ordering::SeqCst) {
                let _ = device.poll(wgpu::PollType::Poll);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let taken = pollster::block_on(take_async(stream));
        done.store(true, Ordering::SeqCst);
        frames.join().expect("frames");
        assert_eq!(taken.pixels, expected.as_bytes(), "{}", owned.name());
    }
}

/// wgpu's own count of what is alive on a device.
fn alive(gpu: &Gpu) -> (isize, isize, i64) {
    let _ = gpu.device().poll(wgpu::PollType::wait_indefinitely());
    let counters = gpu.device().get_internal_counters().hal;
    (counters.buffers.read(), counters.bind_groups.read(), counters.buffer_memory.read() as i64)
}

/// Dropped at any moment: before anything, with batches in flight, awaited and not finished.
#[test]
fn a_thousand_streams_dropped_midway_leave_nothing() {
    let network = network();
    for gpu in gpus(&network) {
        let generator = on(&gpu, &network);
        let begin = |n: usize| {
            let mut stream = generator.stream_with(options(2, 1 + n % 3), SEED, ..).expect("a stream");
            match n % 4 {
                0 => {}
                1 => assert!(stream.next().expect("one").is_ok()),
                2 => drop(stream.try_next()),
                _ => {
                    assert!(stream.next().expect("one").is_ok());
                    drop(stream.try_next());
                }
            }
        };
        (0..20).for_each(begin);
        let before = alive(&gpu);
        assert!(before.0 > 10, "{}: the counters do not count", gpu.name());
        (0..if is_slow(&gpu) { 200 } else { 1000 }).for_each(begin);
        let after = alive(&gpu);
        eprintln!("{}: buffers, bind groups, bytes: {before:?} before, {after:?} after", gpu.name());
        assert_eq!(before, after, "{}", gpu.name());
    }
}

#[test]
fn streams_on_the_cpu_end_their_threads() {
    let network = network();
    let generator = Generator::builder(&network).batch(size(2)).cpu();
    for n in 0..1000 {
        let mut stream = generator.stream(SEED, ..).expect("a stream");
        for _ in 0..n % 3 {
            stream.next().expect("one").expect("images");
        }
    }
    let threads = || std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    for _ in 0..100 {
        if threads() < 50 {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{} threads are alive", threads());
}
