//! Long streams of a real model, in a process of its own: memory stays flat, and images far into the stream are the
//! oracle's. `FSVAE_SOAK=100` makes it a hundred times as long: a million images on the CPU, 100,000 on a GPU.

mod common;

use std::sync::{Mutex, PoisonError};

use common::{digest, gpus, is_slow};
use fsvae::{Checkpoint, Generator, Network};

const SEED: u64 = 7;
/// Images on the CPU and on a GPU, in a run of everyday length.
const CPU_IMAGES: u64 = 10_000;
const GPU_IMAGES: u64 = 1_000;
/// Resident bytes that may come after a tenth of the stream, in KiB.
const SLACK: u64 = 16 << 10;

/// Digests of `mnist`, seed 7, from the oracle: "mnist generate 7 INDEX SHA256".
fn known() -> Vec<(u64, &'static str)> {
    let row = |line: &'static str| {
        let words: Vec<&str> = line.split(' ').collect();
        (words[3].parse().expect("an index"), words[4])
    };
    include_str!("soak.rows").lines().map(row).collect()
}

/// Resident memory of this process in KiB, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?.parse().ok()
}

fn soak(generator: &Generator, images: u64) {
    let name = generator.backend_name();
    let (mut next, mut checked, mut early, mut late) = (0, 0, None, None);
    let known = known();
    for batch in generator.stream(SEED, 0..images).expect("a stream") {
        for image in batch.expect("images").iter() {
            assert_eq!(image.index, next, "{name}");
            next += 1;
            if let Some((_, expected)) = known.iter().find(|(index, _)| *index == image.index) {
                assert_eq!(digest(image.pixels), *expected, "{name}: image {}", image.index);
                checked += 1;
            }
        }
        late = resident();
        if early.is_none() && next >= images / 10 {
            early = late;
        }
    }
    assert_eq!(next, images, "{name}");
    assert_eq!(checked, known.iter().filter(|(index, _)| *index < images).count(), "{name}");
    if let (Some(early), Some(late)) = (early, late) {
        eprintln!(
            "{name}: {images} images, {checked} digests, {early} KiB resident after a tenth, {late} at the end"
        );
        assert!(late < early + SLACK, "{name}: from {early} to {late} KiB");
    }
}

/// One at a time: they measure the memory of the process.
static ALONE: Mutex<()> = Mutex::new(());

fn network() -> Network {
    Network::new(&Checkpoint::bundled("mnist").expect("a shipped model").expect("a checkpoint"))
        .expect("a network")
}

/// `images` times `FSVAE_SOAK`.
fn times(images: u64) -> u64 {
    let times = std::env::var("FSVAE_SOAK").map_or(1.0, |text| text.parse().expect("FSVAE_SOAK is a number"));
    (times * images as f64) as u64
}

#[test]
fn long_streams_on_the_cpu_are_right_and_memory_is_flat() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    soak(&Generator::builder(&network()).cpu(), times(CPU_IMAGES));
}

#[test]
fn long_streams_on_gpus_are_right_and_memory_is_flat() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let network = network();
    for gpu in gpus(&network) {
        let generator = pollster::block_on(Generator::builder(&network).gpu(&gpu)).expect("a generator");
        soak(&generator, times(if is_slow(&gpu) { GPU_IMAGES / 10 } else { GPU_IMAGES }));
    }
}
