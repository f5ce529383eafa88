//! A device that goes away: an error from everything that is under way or comes later, never a panic and never a
//! hang, and the same images from the next device.

mod common;

use std::pin::Pin;
use std::sync::mpsc;
use std::time::Duration;

use common::{TINY, gpus};
use fsvae::{Checkpoint, Error, Generator, Gpu, ImageStream, Network};
use futures_core::Stream;

const SEED: u64 = 5;

fn network() -> Network {
    Network::new(&Checkpoint::from_bytes(&TINY.bytes()).expect("a checkpoint")).expect("a network")
}

fn on(gpu: &Gpu, network: &Network) -> Generator {
    let builder = Generator::builder(network).batch(4.try_into().expect("not 0"));
    pollster::block_on(builder.gpu(gpu)).expect("a generator")
}

/// Runs `work` and fails if it hangs.
fn within_a_minute<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::spawn(move || sender.send(work()));
    match receiver.recv_timeout(Duration::from_secs(60)) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{name}: it hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => panic!("{name}: {:?}", thread.join()),
    }
}

fn is_lost<T: std::fmt::Debug>(result: Result<T, Error>, name: &str, what: &str) {
    assert!(matches!(result, Err(Error::DeviceLost { .. })), "{name}, {what}: {result:?}");
}

/// The application's own device, and one of ours, which has a thread that polls.
fn borrowed_and_owned(network: &Network) -> Vec<(String, Gpu)> {
    let owned = gpus(network).into_iter().map(|gpu| (format!("{}, own device", gpu.name()), gpu));
    let borrowed = gpus(network).into_iter().map(|gpu| {
        let name = format!("{}, borrowed device", gpu.name());
        (name, Gpu::from_wgpu(gpu.device().clone(), gpu.queue().clone()))
    });
    owned.chain(borrowed).collect()
}

#[test]
fn every_call_says_that_the_device_is_lost() {
    let network = network();
    let pixels = vec![7; network.architecture().image_bytes()];
    let latents = Generator::builder(&network).cpu().encode(&pixels, 0, 0).expect("latents");
    for (name, gpu) in borrowed_and_owned(&network) {
        let (network, pixels, latents) = (network.clone(), pixels.clone(), latents.clone());
        within_a_minute(&name.clone(), move || {
            let generator = on(&gpu, &network);
            generator.reconstruct(&pixels, 0, 0).expect("works while the device is there");
            gpu.device().destroy();
            for _ in 0..2 {
                is_lost(generator.generate(SEED, 0..9), &name, "generate");
                is_lost(generator.sample_latents(SEED, 0..9), &name, "sample");
                is_lost(generator.encode(&pixels, 0, 0), &name, "encode");
                is_lost(generator.decode(&latents), &name, "decode");
                is_lost(generator.reconstruct(&pixels, 0, 0), &name, "reconstruct");
                is_lost(generator.frames(&latents), &name, "frames");
                let mut late = generator.stream(SEED, ..);
                if let Ok(stream) = &mut late {
                    is_lost(stream.next().expect("an error"), &name, "a new stream");
                } else {
                    is_lost(late, &name, "a new stream");
                }
            }
        });
    }
}

/// `take` gets the next batch from a stream on a device, one way or another.
fn lose_and_rebuild(take: fn(&mut ImageStream, &Gpu) -> Option<Result<fsvae::Images, Error>>, how: &str) {
    let network = network();
    let expected = Generator::builder(&network).cpu().generate(SEED, 0..50).expect("images");
    for ((name, gpu), (_, next)) in borrowed_and_owned(&network).into_iter().zip(borrowed_and_owned(&network))
    {
        let (network, expected) = (network.clone(), expected.clone());
        let name = format!("{name}, {how}");
        within_a_minute(&name.clone(), move || {
            let mut generator = on(&gpu, &network);
            let mut stream = generator.stream(SEED, 0..50).expect("a stream");
            let mut pixels = Vec::new();
            for _ in 0..3 {
                pixels.extend(take(&mut stream, &gpu).expect("one").expect("images").into_bytes());
            }
            // With the next batches in flight.
            gpu.device().destroy();
            let mut lost = None;
            while lost.is_none() {
                match take(&mut stream, &gpu).expect("not the end") {
                    // What was finished before is still delivered.
                    Ok(images) => pixels.extend(images.into_bytes()),
                    Err(error) => lost = Some(error),
                }
            }
            is_lost(lost.map_or(Ok(()), Err), &name, "the stream");
            assert!(take(&mut stream, &gpu).is_none(), "{name}: nothing after the error");
            assert!(take(&mut stream, &gpu).is_none());
            let at = stream.next_index().expect("not the end");
            assert_eq!(at * network.architecture().image_bytes() as u64, pixels.len() as u64, "{name}");

            pollster::block_on(stream.rebuild(&next)).expect("rebuilt");
            while let Some(images) = take(&mut stream, &next) {
                pixels.extend(images.expect("images").into_bytes());
            }
            assert_eq!(pixels, expected.as_bytes(), "{name}");
            is_lost(generator.generate(SEED, 0..1), &name, "the old generator");
            pollster::block_on(generator.rebuild(&next)).expect("rebuilt");
            assert_eq!(generator.generate(SEED, 0..50).expect("images"), expected, "{name}");
        });
    }
}

#[test]
fn a_waiting_stream_goes_on_elsewhere() {
    lose_and_rebuild(|stream, _| stream.next(), "waiting");
}

#[test]
fn an_awaited_stream_goes_on_elsewhere() {
    /// Polls the device as an application's frames would, in between.
    fn take(stream: &mut ImageStream, gpu: &Gpu) -> Option<Result<fsvae::Images, Error>> {
        pollster::block_on(std::future::poll_fn(|context| {
            let polled = Pin::new(&mut *stream).poll_next(context);
            if polled.is_pending() {
                context.waker().wake_by_ref();
                std::thread::sleep(Duration::from_millis(1));
                let _ = gpu.device().poll(fsvae::wgpu::PollType::Poll);
            }
            polled
        }))
    }
    lose_and_rebuild(take, "awaited");
}

/// A stream may move from the CPU to a GPU.
#[test]
fn a_stream_on_the_cpu_moves_to_a_gpu() {
    let network = network();
    let cpu = Generator::builder(&network).batch(4.try_into().expect("not 0")).cpu();
    let expected: Vec<_> =
        cpu.stream(SEED, 0..30).expect("a stream").map(|images| images.expect("images")).collect();
    for gpu in gpus(&network) {
        let mut stream = cpu.stream(SEED, 0..30).expect("a stream");
        let mut found = vec![stream.next().expect("one").expect("images")];
        pollster::block_on(stream.rebuild(&gpu)).expect("rebuilt");
        found.extend(stream.map(|images| images.expect("images")));
        assert_eq!(found, expected, "{}", gpu.name());
    }
}
