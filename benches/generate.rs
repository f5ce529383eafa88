//! Images per second and milliseconds per image, end to end (draw, sample, decode, pixels on the
//! host), at batch 1 and 64 on every backend present.
//!
//! `time` is per image; `thrpt` is images per second. `FSVAE_BENCH_MODEL=PATH` takes another model,
//! and a filter such as `cargo bench -- CPU` one backend.

#![allow(missing_docs)]

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fsvae::{Checkpoint, Generator, Gpu, Network, gpu};

fn network() -> Network {
    match std::env::var("FSVAE_BENCH_MODEL") {
        Ok(path) => Network::open(path),
        Err(_) => Network::new(&Checkpoint::bundled("mnist").expect("bundled").expect("valid")),
    }
    .expect("a network")
}

fn generate(criterion: &mut Criterion) {
    let network = network();
    let limits = gpu::required_limits(&network);
    let gpus: Vec<Gpu> = pollster::block_on(gpu::adapters())
        .iter()
        .map(|adapter| pollster::block_on(Gpu::request(adapter, &limits)).expect("a device"))
        .collect();
    for batch in [1, 64] {
        let builder = Generator::builder(&network).batch(NonZeroUsize::new(batch).expect("not 0"));
        let mut generators = vec![builder.cpu()];
        generators.extend(gpus.iter().map(|gpu| pollster::block_on(builder.gpu(gpu)).expect("a generator")));
        for generator in &mut generators {
            let mut group = criterion.benchmark_group(generator.backend_name());
            group
                .throughput(Throughput::Elements(1))
                .sample_size(10)
                .measurement_time(Duration::from_secs(3));
            let mut first = 0;
            group.bench_function(format!("batch {batch}"), |bencher| {
                bencher.iter_custom(|iterations| {
                    // Batches one after the other; time is per image.
                    let mut elapsed = Duration::ZERO;
                    for _ in 0..iterations {
                        let start = Instant::now();
                        let images = generator.generate(7, first..first + batch as u64).expect("images");
                        elapsed += start.elapsed();
                        assert_eq!(images.len(), batch);
                        first += batch as u64;
                    }
                    elapsed / batch as u32
                });
            });
        }
    }
}

/// From a device to its first image: compiling, loading the weights, one image. Drivers that keep what they compile
/// (Mesa does) are fast from the second time on; `MESA_SHADER_CACHE_DISABLE=1` shows the first.
fn cold_start(criterion: &mut Criterion) {
    let network = network();
    let limits = gpu::required_limits(&network);
    for adapter in pollster::block_on(gpu::adapters()) {
        let gpu = pollster::block_on(Gpu::request(&adapter, &limits)).expect("a device");
        let mut group = criterion.benchmark_group(gpu.name());
        group.sample_size(10).measurement_time(Duration::from_secs(3));
        group.bench_function("cold start", |bencher| {
            bencher.iter(|| {
                let builder = Generator::builder(&network).batch(NonZeroUsize::MIN);
                let generator = pollster::block_on(builder.gpu(&gpu)).expect("a generator");
                generator.generate(7, 0..1).expect("an image")
            });
        });
    }
}

criterion_group!(benches, generate, cold_start);
criterion_main!(benches);
