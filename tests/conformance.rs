//! Images, bit for bit, against rows of (model, seed, index, SHA-256) that come from an independent
//! implementation of the integer machine, `tests/oracle/oracle.py`: waited for and awaited on the CPU; on every adapter
//! waited for and awaited on a device of our own, awaited and recorded on a device of an application. `tests/capi.rs` has
//! them from C.
//!
//! On SwiftShader, which interprets, and of large models everywhere but on the CPU the rows are divided among the four ways
//! in turns: each way sees each model, each row goes one way. All other rows go all ways. Of large models SwiftShader has every
//! fourth row, unless `FSVAE_TEST_VARIANTS=all`.

#[path = "common/app.rs"]
mod app;
mod common;

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Mutex;

use app::{App, apps};
use common::models::{MODELS, bytes};
use common::rows::{Row, inputs, models, runs};
use common::{RandomModel, gpus, input, is_slow};
use fsvae::gpu::{Origin, Target, Variant};
use fsvae::{Checkpoint, Generator, Images, Job, Latents, Network, Outputs, Part, wgpu};
use safetensors::Dtype;

/// Compares the images of a run, and its latents.
fn check_run(run: &[&Row], images: &[u8], latents: &Latents, way: &str) {
    let (bytes, words) = (images.len() / run.len(), latents.channels());
    assert_eq!(latents.len(), run.len(), "{way}");
    for ((row, image), words) in run.iter().zip(images.chunks(bytes)).zip(latents.words().chunks(words)) {
        let latents = Latents::from_words(latents.time_steps(), latents.channels(), words.to_vec());
        row.check(image, Some(&latents.expect("latents")), way);
    }
}

/// By the calls that wait, one by one; the latents are decoded besides, where that `decodes`.
fn wait(generator: &Generator, network: &Network, rows: &[&Row], decodes: bool) {
    let way = format!("{}, waited for", generator.backend_name());
    for row in rows {
        let Row { seed, index, .. } = *row;
        let (images, latents): (Images, Latents) = if row.is_generated() {
            let latents = generator.sample_latents(*seed, *index..=*index).expect("latents");
            (generator.generate(*seed, *index..=*index).expect("an image"), latents)
        } else {
            let image = row.input(network);
            let latents = generator.encode(&image, *seed, *index).expect("latents");
            (generator.reconstruct(&image, *seed, *index).expect("an image"), latents)
        };
        assert_eq!(images.len(), 1);
        row.check(images.as_bytes(), Some(&latents), &way);
        if decodes {
            let decoded = generator.decode(&latents).expect("an image");
            row.check(decoded.as_bytes(), None, &format!("{way}, decoded"));
        }
    }
}

/// As tasks, which `block_on` awaits.
fn finish(
    generator: &Generator,
    network: &Network,
    rows: &[&Row],
    way: &str,
    block_on: impl Fn(Pin<&mut dyn Future<Output = fsvae::Result<Part>>>) -> fsvae::Result<Part>,
) {
    for run in runs(rows) {
        let Row { seed, index, .. } = *run[0];
        let job = if run[0].is_generated() {
            Job::prior(seed, index..=index + (run.len() as u64 - 1)).expect("a range")
        } else {
            Job::posterior(inputs(&run, network), seed, index)
        };
        let job = job.giving(Outputs::images().and(Outputs::latents()));
        let task = generator.start(job).expect("a task");
        let part = block_on(std::pin::pin!(task.finish())).expect("a part");
        let (images, latents) = (part.images.expect("images"), part.latents.expect("latents"));
        check_run(&run, images.as_bytes(), &latents, way);
    }
}

/// Recorded into one buffer of the application's, all runs in one submission.
fn record(app: &App, generator: &Generator, network: &Network, rows: &[&Row]) {
    let way = format!("{}, recorded", app.name);
    let architecture = network.architecture();
    let (image, channels) = (architecture.image_bytes(), architecture.latent_channels);
    let words = channels.next_multiple_of(4);
    let (input, output) = ((rows.len() * image) as u64, (rows.len() * (image + 4 * words)) as u64);
    let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
    let (given, made) = (app.buffer(input, usage), app.buffer(output, usage));
    let mut encoder = app.encoder();
    let mut commands = Vec::new();
    // Images of the rows before, the pixels first and the latents behind all of them.
    let mut before = 0;
    for run in &runs(rows) {
        let Row { seed, index: first, .. } = *run[0];
        let (count, offset) = (run.len() as u32, (before * image) as u64);
        let origin = if run[0].is_generated() {
            Origin::Prior { seed, first, count }
        } else {
            app.queue.write_buffer(&given, offset, &inputs(run, network));
            Origin::Images { buffer: &given, offset, seed, first, count }
        };
        let targets = [
            Target::Pixels { buffer: &made, offset },
            Target::Latents { buffer: &made, offset: input + (before * 4 * words) as u64 },
        ];
        // Every other one as commands of their own.
        if commands.len() % 2 == 0 {
            generator.record(&mut encoder, origin, &targets).expect("recorded");
            let recorded = std::mem::replace(&mut encoder, app.encoder());
            commands.push(recorded.finish());
        } else {
            commands.push(generator.commands(origin, &targets).expect("recorded").0);
        }
        before += run.len();
    }
    app.queue.submit(commands);
    let bytes = app.read(&made);
    let (images, latents) = bytes.split_at(input as usize);
    let latents: Vec<u32> = (latents.chunks(4 * words))
        .flat_map(|image| image[..4 * channels].chunks(4))
        .map(|word| u32::from_le_bytes(word.try_into().expect("4 bytes")))
        .collect();
    for ((row, image), words) in rows.iter().zip(images.chunks(image)).zip(latents.chunks(channels)) {
        let latents = Latents::from_words(architecture.time_steps, channels, words.to_vec());
        row.check(image, Some(&latents.expect("latents")), &way);
    }
}

#[test]
fn all_models_have_rows() {
    let models = models();
    assert_eq!(models.len(), fsvae::bundled::MODELS.len() + MODELS.len());
    for (name, _, rows) in models {
        let generated = rows.iter().filter(|row| row.task == "generate").count();
        assert!(generated >= 9 && rows.len() - generated == 18, "{name}");
    }
}

#[test]
fn the_cpu_agrees_with_the_oracle() {
    // On a processor that is emulated small models have to do: none of the bundled ones.
    let small = std::env::var_os("FSVAE_TEST_SMALL").is_some();
    for (name, network, rows) in models() {
        if small && (bytes(name).len() > 300_000 || network.architecture().image_side() > 32) {
            continue;
        }
        let (generator, rows) = (Generator::builder(&network).cpu(), rows.iter().collect::<Vec<_>>());
        wait(&generator, &network, &rows, true);
        finish(&generator, &network, &rows, "CPU, awaited", |task| pollster::block_on(task));
        eprintln!("CPU: model {name}: {} rows as the oracle's", rows.len());
    }
}

/// The variants of the kernels take turns, or all run on every model with `FSVAE_TEST_VARIANTS=all`, which takes minutes.
///
/// Where there are many cores, several models run at once: a GPU waits for kernels to be compiled most of the time.
#[test]
fn every_adapter_agrees_with_the_oracle() {
    let all = std::env::var("FSVAE_TEST_VARIANTS").is_ok_and(|which| which == "all");
    let models = Mutex::new(models().into_iter().enumerate());
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 0..(cores / 2).clamp(1, 8) {
            scope.spawn(|| {
                loop {
                    let model = models.lock().expect("nothing panics with it").next();
                    let Some((turn, (name, network, rows))) = model else { break };
                    adapters_agree_with_the_oracle(turn, name, &network, &rows, all);
                }
            });
        }
    });
}

fn adapters_agree_with_the_oracle(turn: usize, name: &str, network: &Network, rows: &[Row], all: bool) {
    let large = network.architecture().latent_channels >= 128;
    for (gpu, app) in gpus(network).iter().zip(apps(network)) {
        for round in 0..if all { Variant::ALL.len() } else { 1 } {
            let variant = |more| match Variant::ALL[(turn + round + more) % Variant::ALL.len()] {
                // Nor is there time for invocations that wait for each other: 1,024 for an image.
                Variant::Shared if is_slow(gpu) && large && !all => Variant::Products,
                other => other,
            };
            let builder = Generator::builder(network).batch(2.try_into().expect("not 0"));
            let on =
                |gpu, variant| pollster::block_on(builder.variants(variant).gpu(gpu)).expect("a generator");
            let (own, lent) = (on(gpu, variant(0)), on(&app.lend(), variant(1)));
            let divided = is_slow(gpu) || large;
            let of_way = |way: usize| -> Vec<&Row> {
                // On what interprets a large model takes seconds an image.
                let every = if is_slow(gpu) && large && !all { 16 } else { 4 };
                let is_due = |at: usize| !divided || (at + turn) % every == every / 4 * way;
                (0..).zip(rows).filter(|(at, _)| is_due(*at)).map(|(_, row)| row).collect()
            };
            wait(&own, network, &of_way(0), !(is_slow(gpu) && large));
            let way = format!("{}, awaited", app.name);
            finish(&own, network, &of_way(1), &way, |task| pollster::block_on(task));
            let way = format!("{}, awaited from frame to frame", app.name);
            finish(&lent, network, &of_way(2), &way, |task| app.frames(task));
            record(&app, &lent, network, &of_way(3));
            assert_eq!(app.errors.load(std::sync::atomic::Ordering::SeqCst), 0, "{}", app.name);
            eprintln!("{}: model {name}: {} rows as the oracle's", app.name, rows.len());
        }
    }
}

/// One for every backend and batch.
fn generators(network: &Network, batches: &[usize]) -> Vec<Generator> {
    let gpus = gpus(network);
    let of_batch = |&batch: &usize| {
        let builder = Generator::builder(network).batch(batch.try_into().expect("not 0"));
        let on_gpu = |gpu| pollster::block_on(builder.gpu(gpu)).expect("a generator");
        std::iter::once(builder.cpu()).chain(gpus.iter().map(on_gpu)).collect::<Vec<_>>()
    };
    batches.iter().flat_map(of_batch).collect()
}

/// The same images whatever the batch, over the carry from the low to the high half of the index,
/// up to the last index, in one piece or batch by batch, after other images or none.
#[test]
fn images_do_not_depend_on_batches() {
    for model in [&MODELS[1], &MODELS[12], &MODELS[24]] {
        images_do_not_depend_on_batches_of(model);
    }
}

fn images_do_not_depend_on_batches_of(model: &RandomModel) {
    let network =
        Network::new(&Checkpoint::from_bytes(&model.bytes()).expect("a checkpoint")).expect("valid");
    let reference = Generator::builder(&network).cpu();
    for range in [(1 << 32) - 5..=(1 << 32) + 5, u64::MAX - 10..=u64::MAX] {
        let expected: Vec<u8> = range
            .clone()
            .flat_map(|index| reference.generate(3, index..=index).expect("an image").into_bytes())
            .collect();
        for generator in &mut generators(&network, &[1, 2, 7, 64]) {
            let name = format!("{} at batch {}", generator.backend_name(), generator.batch());
            // A run that is given up halfway leaves nothing behind.
            let first = generator.stream(99, ..).expect("a stream").next().expect("one").expect("images");
            assert_eq!(first.len(), generator.batch(), "{name}");
            let images = generator.generate(3, range.clone()).expect("images");
            assert_eq!(images.as_bytes(), expected, "{name}");
            let indices: Vec<u64> = images.iter().map(|image| image.index).collect();
            assert_eq!(indices, range.clone().collect::<Vec<_>>(), "{name}");
            let stream = generator.stream(3, range.clone()).expect("a stream");
            let pixels: Vec<u8> = stream.flat_map(|images| images.expect("images").into_bytes()).collect();
            assert_eq!(pixels, expected, "{name}");
        }
    }
}

/// Latents, reconstructions and frames of several images at once, on every backend and at batches that
/// do not divide their number, are those of one at a time; the last frame is the image.
#[test]
fn the_other_tasks_do_not_depend_on_batches_either() {
    for model in [&MODELS[1], &MODELS[2], &MODELS[13]] {
        let network =
            Network::new(&Checkpoint::from_bytes(&model.bytes()).expect("a checkpoint")).expect("valid");
        let reference = Generator::builder(&network).cpu();
        let first = (1 << 32) - 2;
        let pixels: Vec<u8> = ["ramp", "noise", "disc", "uniform37", "sample1"]
            .iter()
            .flat_map(|name| input(name, &network))
            .collect();
        let bytes = network.architecture().image_bytes();
        let mut spikes = Vec::new();
        let mut images = Vec::new();
        for (pixels, index) in pixels.chunks(bytes).zip(first..) {
            spikes.extend(reference.encode(pixels, 3, index).expect("latents").to_spikes());
            images.extend(reference.reconstruct(pixels, 3, index).expect("an image").into_bytes());
        }
        let mut frames = None;
        for generator in &mut generators(&network, &[1, 2, 64]) {
            let name = format!("{} at batch {}", generator.backend_name(), generator.batch());
            let latents = generator.encode(&pixels, 3, first).expect("latents");
            assert_eq!(latents.to_spikes(), spikes, "{name}");
            assert_eq!(
                generator.reconstruct(&pixels, 3, first).expect("images").as_bytes(),
                images,
                "{name}"
            );
            assert_eq!(generator.decode(&latents).expect("images").as_bytes(), images, "{name}");
            let found = generator.frames(&latents).expect("frames");
            assert_eq!(found.len(), network.architecture().time_steps, "{name}");
            assert_eq!(found.last().expect("a frame").as_bytes(), images, "{name}");
            assert_eq!(frames.get_or_insert_with(|| found.clone()), &found, "{name}");
            let drawn = generator.sample_latents(3, first..first + 5).expect("latents");
            let generated = generator.generate(3, first..first + 5).expect("images");
            assert_eq!(generator.decode(&drawn).expect("images").as_bytes(), generated.as_bytes(), "{name}");
        }
    }
}

#[test]
fn what_does_not_fit_the_network_is_refused() {
    let network =
        Network::new(&Checkpoint::from_bytes(&MODELS[0].bytes()).expect("a checkpoint")).expect("valid");
    let generator = Generator::builder(&network).cpu();
    let error = generator.encode(&[0; 65], 0, 0).expect_err("65 bytes").to_string();
    assert!(error.contains("images of 64 bytes (u8 [8, 8, 1]), found 65"), "{error}");
    let error = generator.reconstruct(&[0; 128], 0, u64::MAX).expect_err("past the end").to_string();
    assert!(error.contains("2 images from index 18446744073709551615 on pass"), "{error}");
    assert!(generator.reconstruct(&[0; 64], 0, u64::MAX).is_ok());
    let latents = Latents::from_words(2, 5, vec![0; 5]).expect("latents");
    let error = generator.decode(&latents).expect_err("two steps").to_string();
    assert!(error.contains("T = 1 time steps and C = 5 channels, found T = 2 and C = 5"), "{error}");
    assert!(generator.frames(&latents).is_err());
    assert!(generator.encode(&[], 0, 0).expect("none").is_empty());
}

/// A batch that no device has room for is split, and one that the host has none for is, too.
#[test]
fn batches_beyond_the_limits_are_split() {
    let network =
        Network::new(&Checkpoint::bundled("mnist").expect("bundled").expect("valid")).expect("valid");
    for gpu in gpus(&network) {
        let builder = Generator::builder(&network).batch(1_000_000.try_into().expect("not 0"));
        let generator = pollster::block_on(builder.gpu(&gpu)).expect("a generator");
        // 32 x 32 pixels of 32 channels, a word each, in a binding of 128 MiB or little more.
        assert!((1..100_000).contains(&generator.batch()), "{}: {}", gpu.name(), generator.batch());
        assert_eq!(generator.generate(7, 0..2).expect("images").len(), 2);
    }
    let generator = Generator::builder(&network).batch(usize::MAX.try_into().expect("not 0")).cpu();
    // The first images would come after minutes.
    assert_eq!(generator.batch(), 4096);
}

#[test]
fn ranges_at_their_ends() {
    let network =
        Network::new(&Checkpoint::from_bytes(&MODELS[0].bytes()).expect("a checkpoint")).expect("valid");
    let generator = Generator::builder(&network).cpu();
    assert!(generator.generate(0, 5..5).expect("no images").is_empty());
    #[expect(clippy::reversed_empty_ranges, reason = "the case under test")]
    let backwards = generator.generate(0, 5..3);
    assert!(backwards.expect("no images").is_empty());
    let all = generator.generate(0, ..).expect_err("2^64 images fit nowhere");
    assert!(all.to_string().contains("18446744073709551616 images do not fit in memory"), "{all}");
    let past = (std::ops::Bound::Excluded(u64::MAX), std::ops::Bound::Unbounded);
    assert!(generator.generate(0, past).is_err());
    assert_eq!(generator.stream(0, u64::MAX..).expect("one image").count(), 1);
}

/// Writes the models for the oracle; `tests/oracle/README.md` says how the rows are made. NumPy has
/// no bf16, so that type is written widened, which changes no value.
#[test]
#[ignore = "writes files: FSVAE_WRITE_MODELS=DIRECTORY"]
fn write_models() {
    let directory = std::env::var("FSVAE_WRITE_MODELS").expect("FSVAE_WRITE_MODELS is set");
    for (i, model) in MODELS.iter().enumerate() {
        let mut tensors = model.tensors();
        for tensor in tensors.0.values_mut().filter(|tensor| tensor.dtype == Dtype::BF16) {
            let widen = |pair: &[u8]| [0, 0, pair[0], pair[1]];
            tensor.data = tensor.data.chunks_exact(2).flat_map(widen).collect();
            tensor.dtype = Dtype::F32;
        }
        std::fs::write(format!("{directory}/{i}.safetensors"), tensors.bytes()).expect("written");
    }
}
