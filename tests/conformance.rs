//! Images, bit for bit, against rows of (model, seed, index, SHA-256) that come from an independent
//! implementation of the integer machine, `tests/oracle/oracle.py`, on the CPU and on every adapter.

mod common;

use common::{RandomModel, digest, gpus, is_slow};
use fsvae::{Checkpoint, Generator, Network};
use safetensors::Dtype;

const fn model(
    rng: u64,
    [steps, latent, k]: [usize; 3],
    [layers, channels, width]: [usize; 3],
    large: Dtype,
) -> RandomModel {
    RandomModel { rng, steps, latent, k, layers, channels, width, large }
}

/// Checkpoints of every odd shape: T, C, k; depth, image channels, width.
const MODELS: [RandomModel; 10] = [
    model(1, [1, 5, 1], [2, 1, 3], Dtype::F32),
    model(2, [7, 6, 5], [3, 3, 5], Dtype::F16),
    model(3, [16, 13, 20], [4, 1, 4], Dtype::F32),
    model(4, [31, 9, 255], [2, 3, 7], Dtype::F16),
    model(5, [32, 33, 5], [3, 1, 9], Dtype::BF16),
    model(6, [16, 130, 3], [2, 3, 33], Dtype::F16),
    model(21, [20, 1, 2], [5, 1, 2], Dtype::F32),
    model(8, [16, 7, 11], [5, 3, 3], Dtype::F16),
    model(9, [9, 34, 7], [1, 1, 17], Dtype::F32),
    model(10, [12, 12, 16], [1, 3, 6], Dtype::F32),
];

/// One row: a model (bundled, or the position of a random one), seed, index, digest of the pixels.
struct Row {
    model: &'static str,
    seed: u64,
    index: u64,
    digest: &'static str,
}

fn rows() -> Vec<Row> {
    let parse = |line: &'static str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let &[model, seed, index, digest] = &fields[..] else { panic!("four fields: {line}") };
        Row { model, seed: seed.parse().expect("a seed"), index: index.parse().expect("an index"), digest }
    };
    include_str!("conformance.rows").lines().map(parse).collect()
}

/// Each model with its rows.
fn models() -> Vec<(&'static str, Network, Vec<Row>)> {
    let mut models: Vec<(&str, Network, Vec<Row>)> = Vec::new();
    for row in rows() {
        if models.last().is_none_or(|(name, ..)| *name != row.model) {
            let network = match row.model.parse::<usize>() {
                Ok(random) => {
                    let bytes = MODELS[random].bytes();
                    Network::new(&Checkpoint::from_bytes(&bytes).expect("a checkpoint"))
                }
                Err(_) => Network::new(&Checkpoint::bundled(row.model).expect("bundled").expect("valid")),
            };
            models.push((row.model, network.expect("a network"), Vec::new()));
        }
        models.last_mut().expect("just pushed").2.push(row);
    }
    models
}

fn check(generator: &mut Generator, model: &str, rows: &[Row]) {
    let name = generator.backend_name();
    for Row { seed, index, digest: expected, .. } in rows {
        let images = generator.generate(*seed, *index..=*index).expect("an image");
        assert_eq!(images.len(), 1);
        let found = digest(images.as_bytes());
        assert_eq!(&found, expected, "{name}: model {model}, seed {seed}, index {index}");
    }
    eprintln!("{name}: model {model}: {} images as the oracle's", rows.len());
}

#[test]
fn all_models_have_rows() {
    let models = models();
    assert_eq!(models.len(), 2 + MODELS.len());
    assert!(models.iter().all(|(_, _, rows)| rows.len() >= 9));
}

#[test]
fn the_cpu_agrees_with_the_oracle() {
    for (name, network, rows) in models() {
        check(&mut Generator::builder(&network).cpu(), name, &rows);
    }
}

#[test]
fn every_adapter_agrees_with_the_oracle() {
    for (name, network, rows) in models() {
        for gpu in gpus(&network) {
            let mut generator =
                pollster::block_on(Generator::builder(&network).gpu(&gpu)).expect("a generator");
            let shipped = Checkpoint::bundled(name).is_some();
            let some = if is_slow(&gpu) && shipped { 4 } else { rows.len() };
            check(&mut generator, name, &rows[..some]);
        }
    }
}

/// The same images whatever the batch, over the carry from the low to the high half of the index,
/// up to the last index, in one piece or batch by batch, after other images or none.
#[test]
fn images_do_not_depend_on_batches() {
    let network =
        Network::new(&Checkpoint::from_bytes(&MODELS[1].bytes()).expect("a checkpoint")).expect("valid");
    let mut reference = Generator::builder(&network).cpu();
    for range in [(1 << 32) - 5..=(1 << 32) + 5, u64::MAX - 10..=u64::MAX] {
        let expected: Vec<u8> = range
            .clone()
            .flat_map(|index| reference.generate(3, index..=index).expect("an image").into_bytes())
            .collect();
        let mut generators: Vec<Generator> = Vec::new();
        for batch in [1, 2, 7, 64] {
            let builder = Generator::builder(&network).batch(batch.try_into().expect("not 0"));
            generators.push(builder.cpu());
            let gpus = gpus(&network);
            generators
                .extend(gpus.iter().map(|gpu| pollster::block_on(builder.gpu(gpu)).expect("a generator")));
        }
        for generator in &mut generators {
            let name = format!("{} at batch {}", generator.backend_name(), generator.batch());
            // A run that is given up halfway leaves nothing behind.
            let first = generator.batches(99, ..).expect("batches").next().expect("one").expect("images");
            assert_eq!(first.len(), generator.batch(), "{name}");
            let images = generator.generate(3, range.clone()).expect("images");
            assert_eq!(images.as_bytes(), expected, "{name}");
            let indices: Vec<u64> = images.iter().map(|image| image.index).collect();
            assert_eq!(indices, range.clone().collect::<Vec<_>>(), "{name}");
            let batches = generator.batches(3, range.clone()).expect("batches");
            let pixels: Vec<u8> = batches.flat_map(|images| images.expect("images").into_bytes()).collect();
            assert_eq!(pixels, expected, "{name}");
        }
    }
}

#[test]
fn ranges_at_their_ends() {
    let network =
        Network::new(&Checkpoint::from_bytes(&MODELS[0].bytes()).expect("a checkpoint")).expect("valid");
    let mut generator = Generator::builder(&network).cpu();
    assert!(generator.generate(0, 5..5).expect("no images").is_empty());
    #[expect(clippy::reversed_empty_ranges, reason = "the case under test")]
    let backwards = generator.generate(0, 5..3);
    assert!(backwards.expect("no images").is_empty());
    let all = generator.generate(0, ..).expect_err("2^64 images fit nowhere");
    assert!(all.to_string().contains("18446744073709551616 images do not fit in memory"), "{all}");
    let past = (std::ops::Bound::Excluded(u64::MAX), std::ops::Bound::Unbounded);
    assert!(generator.generate(0, past).is_err());
    assert_eq!(generator.batches(0, u64::MAX..).expect("one image").count(), 1);
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
