//! One long stream on each backend, in a process of its own: its memory is looked at.

mod common;

use std::num::NonZeroUsize;
use std::time::Duration;

use common::{TINY, gpus};
use fsvae::{Checkpoint, Generator, Network, StreamOptions};

const SEED: u64 = 3;
const OPTIONS: StreamOptions = StreamOptions { batch: NonZeroUsize::new(32), ..StreamOptions::throughput() };

/// Resident memory of this process in KiB, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?.parse().ok()
}

/// Many images through a consumer that sleeps at random: every one is the CPU's, memory stays flat.
/// `FSVAE_STREAM_IMAGES=100000` makes it long.
#[test]
fn a_long_stream_is_right_to_the_end_and_memory_is_flat() {
    let images: u64 = std::env::var("FSVAE_STREAM_IMAGES")
        .map_or(4000, |count| count.parse().expect("FSVAE_STREAM_IMAGES is a number"));
    let network =
        Network::new(&Checkpoint::from_bytes(&TINY.bytes()).expect("a checkpoint")).expect("a network");
    let reference = Generator::builder(&network).cpu();
    let on_gpu = |gpu| pollster::block_on(Generator::builder(&network).gpu(gpu)).expect("a generator");
    let gpus = gpus(&network);
    for generator in std::iter::once(Generator::builder(&network).cpu()).chain(gpus.iter().map(on_gpu)) {
        let name = generator.backend_name();
        let images = if name.contains("SwiftShader") { images / 10 } else { images };
        let stream = generator.stream_with(OPTIONS, SEED, 0..images).expect("a stream");
        let expected = reference.stream_with(OPTIONS, SEED, 0..images).expect("a stream");
        let (mut next, mut early, mut late) = (0, None, None);
        let mut random = 1_u32;
        for (found, expected) in stream.zip(expected) {
            let (found, expected) = (found.expect("images"), expected.expect("images"));
            assert_eq!(found.get(0).expect("an image").index, next, "{name}");
            assert_eq!(found, expected, "{name}");
            next += found.len() as u64;
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if random >> 29 == 0 {
                std::thread::sleep(Duration::from_micros(u64::from(random >> 8) % 3000));
            }
            late = resident();
            if early.is_none() && next >= images / 10 {
                early = late;
            }
        }
        assert_eq!(next, images, "{name}");
        if let (Some(early), Some(late)) = (early, late) {
            eprintln!("{name}: {images} images, {early} KiB resident after a tenth, {late} KiB at the end");
            assert!(late < early + (16 << 10), "{name}: from {early} to {late} KiB");
        }
    }
}
