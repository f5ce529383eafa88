//! The ladder: what fusing all time steps and looking only for spikes is worth, on every adapter.
//!
//! `naive` is a dispatch a layer and step with f32 spikes and membranes in memory (benches/ladder/naive.wgsl); `dense`
//! is fused over all steps; `branches` and `events` skip what is silent. All make the same images, which is checked
//! first. `time` is of an image in batches of 64 (of 1 on SwiftShader, which is slow, and for `naive` on every software adapter).

#![allow(missing_docs)]

#[path = "ladder/naive.rs"]
mod naive;

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use fsvae::gpu::{self, Variant};
use fsvae::{Checkpoint, Generator, Gpu, Network};
use naive::Naive;

const SEED: u64 = 7;

fn ladder(criterion: &mut Criterion) {
    let network =
        Network::new(&Checkpoint::bundled("mnist").expect("bundled").expect("valid")).expect("a network");
    for adapter in pollster::block_on(gpu::adapters()) {
        let gpu =
            pollster::block_on(Gpu::request(&adapter, &gpu::required_limits(&network))).expect("a device");
        let batch = if gpu.name().contains("SwiftShader") { 1 } else { 64 };
        let size = NonZeroUsize::new(batch).expect("not 0");
        let builder = Generator::builder(&network).batch(size);
        let expected = builder.cpu().generate(SEED, 0..batch as u64).expect("images");
        let expected = expected.as_bytes();

        let mut group = criterion.benchmark_group(gpu.name());
        group
            .sample_size(10)
            .warm_up_time(Duration::from_millis(100))
            .measurement_time(Duration::from_secs(2));
        // Half a second an image and more without a GPU.
        let few = if gpu::is_software(gpu.info()) { 1 } else { batch };
        let mut naive = Naive::new(&adapter, &network, few);
        assert!(
            *naive.generate(SEED, 0) == expected[..expected.len() / batch * few],
            "{}: naive",
            gpu.name()
        );
        group.bench_function("naive", |bencher| {
            bencher.iter_custom(|rounds| {
                let start = Instant::now();
                (0..rounds).for_each(|round| drop(naive.generate(SEED, round * few as u64)));
                start.elapsed() / few as u32
            });
        });
        for variant in Variant::ALL {
            let generator = pollster::block_on(builder.variants(variant).gpu(&gpu)).expect("a generator");
            let found = generator.generate(SEED, 0..batch as u64).expect("images");
            assert!(found.as_bytes() == expected, "{}: {variant}", gpu.name());
            group.bench_function(variant.name(), |bencher| {
                bencher.iter_custom(|rounds| {
                    let start = Instant::now();
                    for round in 0..rounds {
                        let first = round * batch as u64;
                        generator.generate(SEED, first..first + batch as u64).expect("images");
                    }
                    start.elapsed() / batch as u32
                });
            });
        }
    }
}

criterion_group!(benches, ladder);
criterion_main!(benches);
