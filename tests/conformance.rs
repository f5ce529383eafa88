//! Images, bit for bit, against rows of (model, seed, index, SHA-256) that come from an independent
//! implementation of the integer machine, `tests/oracle/oracle.py`, on the CPU and on every adapter.

mod common;

use common::models::{MODELS, network};
use common::{RandomModel, digest, gpus, input, is_slow};
use fsvae::gpu::Variant;
use fsvae::{Checkpoint, Generator, Latents, Network};
use safetensors::Dtype;

/// One row: a model (bundled, or the position of a random one), what to do, seed, index, digest of the
/// pixels, and of a reconstruction's latent spikes.
struct Row {
    model: &'static str,
    task: &'static str,
    seed: u64,
    index: u64,
    digest: &'static str,
    latents: Option<&'static str>,
}

fn rows() -> Vec<Row> {
    let parse = |line: &'static str| {
        let mut fields = line.split(' ');
        let mut field = || fields.next().expect("a field");
        let (model, task) = (field(), field());
        let (seed, index) = (field().parse().expect("a seed"), field().parse().expect("an index"));
        Row { model, task, seed, index, digest: field(), latents: fields.next() }
    };
    include_str!("conformance.rows").lines().map(parse).collect()
}

/// Each model with its rows.
fn models() -> Vec<(&'static str, Network, Vec<Row>)> {
    let mut models: Vec<(&str, Network, Vec<Row>)> = Vec::new();
    for row in rows() {
        if models.last().is_none_or(|(name, ..)| *name != row.model) {
            models.push((row.model, network(row.model), Vec::new()));
        }
        models.last_mut().expect("just pushed").2.push(row);
    }
    models
}

fn check(generator: &mut Generator, model: &str, network: &Network, rows: &[&Row]) {
    let name = generator.backend_name();
    for Row { task, seed, index, digest: expected, latents: z, .. } in rows {
        let row = format!("{name}: model {model}, {task}, seed {seed}, index {index}");
        let (images, latents) = match task.strip_prefix("reconstruct:") {
            None => {
                let latents = generator.sample_latents(*seed, *index..=*index).expect("latents");
                (generator.generate(*seed, *index..=*index).expect("an image"), latents)
            }
            Some(image) => {
                let image = input(image, network);
                let latents = generator.encode(&image, *seed, *index).expect("latents");
                (generator.reconstruct(&image, *seed, *index).expect("an image"), latents)
            }
        };
        assert_eq!(images.len(), 1);
        assert_eq!(&digest(images.as_bytes()), expected, "{row}");
        if let Some(z) = z {
            assert_eq!(&digest(&latents.to_spikes()), z, "latents of {row}");
        }
        assert_eq!(
            generator.decode(&latents).expect("an image").as_bytes(),
            images.as_bytes(),
            "decoded: {row}"
        );
    }
    eprintln!("{name}: model {model}: {} rows as the oracle's", rows.len());
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
    for (name, network, rows) in models() {
        check(&mut Generator::builder(&network).cpu(), name, &network, &rows.iter().collect::<Vec<_>>());
    }
}

/// The variants of the kernels take turns, or all run on every model with `FSVAE_TEST_VARIANTS=all`, which takes minutes.
#[test]
fn every_adapter_agrees_with_the_oracle() {
    let all = std::env::var("FSVAE_TEST_VARIANTS").is_ok_and(|which| which == "all");
    for (turn, (name, network, rows)) in models().into_iter().enumerate() {
        for gpu in gpus(&network) {
            let mut variants = Variant::ALL.to_vec();
            variants.rotate_left(turn % Variant::ALL.len());
            variants.truncate(if all { variants.len() } else { 1 });
            for variant in variants {
                let builder =
                    Generator::builder(&network).batch(2.try_into().expect("not 0")).variant(variant);
                let mut generator = pollster::block_on(builder.gpu(&gpu)).expect("a generator");
                // Some of each task.
                let large = network.architecture().latent_channels == 128;
                let every = if large { if is_slow(&gpu) { 8 } else { 2 } } else { 1 };
                check(&mut generator, name, &network, &rows.iter().step_by(every).collect::<Vec<_>>());
            }
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
    for model in [&MODELS[1], &MODELS[12]] {
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
    assert!(generator.batch() <= 1 << 16);
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
