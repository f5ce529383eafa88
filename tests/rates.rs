//! Images that are steered by rates and directions, bit for bit, against rows of the oracle
//! (`tests/oracle/steering.py`), on the CPU and on every adapter.

mod common;

use std::collections::BTreeMap;

use common::models::network;
use common::{TINY, TINY_RATES, digest, gpus, input, is_slow};
use fsvae::{Direction, Error, Generator, Images, Job, Latents, Network, Outputs, Rates};

/// The pictures that rates come from, in the order of their indices.
const PICTURES: [&str; 10] = [
    "uniform0",
    "uniform1",
    "uniform37",
    "uniform127",
    "uniform128",
    "uniform254",
    "uniform255",
    "ramp",
    "noise",
    "disc",
];

/// What a row has after its model.
struct Row {
    task: &'static str,
    seed: u64,
    index: u64,
    /// Of the rates or the direction, of the latent spikes, and of the pixels.
    digests: [&'static str; 3],
}

/// Each model with its rows.
fn rows() -> BTreeMap<&'static str, Vec<Row>> {
    let mut models: BTreeMap<_, Vec<Row>> = BTreeMap::new();
    for line in include_str!("rates.rows").lines() {
        let [model, task, seed, index, numbers, z, image] =
            line.split(' ').collect::<Vec<_>>().try_into().expect("seven fields");
        let (seed, index) = (seed.parse().expect("a seed"), index.parse().expect("an index"));
        models.entry(model).or_default().push(Row { task, seed, index, digests: [numbers, z, image] });
    }
    models
}

/// Rates or a direction as the oracle digests them, latents, and images.
type Steered = (String, Latents, Images);

fn drawn(generator: &Generator, rates: &Rates, seed: u64, index: u64) -> Steered {
    let outputs = Outputs::images().and(Outputs::latents());
    let job = Job::rates(rates, seed, index..=index).expect("a range").giving(outputs);
    let part = generator.start(job).and_then(fsvae::Task::wait).expect("an image");
    let bytes: Vec<u8> = rates.as_slice().iter().flat_map(|rate| rate.to_le_bytes()).collect();
    (digest(&bytes), part.latents.expect("latents"), part.images.expect("images"))
}

/// `encoded` has the rates of [`PICTURES`]; `ramp` is one of them.
fn steered(generator: &Generator, encoded: &[Rates], ramp: &[u8], row: &Row) -> Steered {
    let (seed, index) = (row.seed, row.index);
    let of = |name: &str| &encoded[PICTURES.iter().position(|picture| *picture == name).expect("a picture")];
    let all = |range: std::ops::Range<usize>| {
        encoded[range].iter().cloned().reduce(|mut all, next| {
            all.append(&next).expect("the same C");
            all
        })
    };
    match row.task.split(':').collect::<Vec<_>>()[..] {
        ["rates", name] => drawn(generator, of(name), seed, index),
        ["mean"] => drawn(generator, &all(0..10).expect("some").mean(), seed, index),
        ["mix", way] => {
            let (step, steps) = way.split_once('/').expect("a way");
            let (step, steps) = (step.parse().expect("a number"), steps.parse().expect("a number"));
            let mixture = Rates::interpolate(of("noise"), of("disc"), step, steps).expect("rates");
            drawn(generator, &mixture, seed, index)
        }
        [base, .., amount] => {
            let direction = Direction::between(&all(7..10).expect("some"), &all(0..7).expect("some"));
            let direction = direction.expect("a direction");
            let latents = if base == "prior" {
                generator.sample_latents(seed, index..=index)
            } else {
                generator.encode(ramp, seed, index)
            };
            let amount = amount.parse().expect("an amount");
            let latents = latents.expect("latents").along(&direction, amount, seed, index).expect("latents");
            let images = generator.decode(&latents).expect("an image");
            let bytes: Vec<u8> =
                direction.as_slice().iter().flat_map(|number| number.to_le_bytes()).collect();
            (digest(&bytes), latents, images)
        }
        _ => panic!("no task {}", row.task),
    }
}

/// Checks every `every`-th row.
fn check(generator: &Generator, network: &Network, model: &str, rows: &[Row], every: usize) {
    let name = generator.backend_name();
    let pictures: Vec<Vec<u8>> = PICTURES.iter().map(|picture| input(picture, network)).collect();
    let mut encoded = BTreeMap::new();
    for row in rows.iter().step_by(every) {
        let encoded = encoded.entry(row.seed).or_insert_with(|| {
            let rates = pictures
                .iter()
                .zip(0..)
                .map(|(picture, index)| generator.encode_rates(picture, row.seed, index).expect("rates"));
            rates.collect::<Vec<_>>()
        });
        let (numbers, latents, images) = steered(generator, encoded, &pictures[7], row);
        let found = [numbers, digest(&latents.to_spikes()), digest(images.as_bytes())];
        let Row { task, seed, index, digests } = row;
        assert_eq!(found, *digests, "{name}: model {model}, {task}, seed {seed}, index {index}");
    }
    eprintln!("{name}: model {model}: {} rows as the oracle's", rows.len().div_ceil(every));
}

#[test]
fn the_cpu_agrees_with_the_oracle() {
    let rows = rows();
    assert_eq!(rows.len(), 7);
    for (model, rows) in rows {
        assert_eq!(rows.len(), 42, "{model}");
        let network = network(model);
        check(&Generator::builder(&network).cpu(), &network, model, &rows, 1);
    }
}

#[test]
fn every_adapter_agrees_with_the_oracle() {
    for (model, rows) in rows() {
        let network = network(model);
        for gpu in gpus(&network) {
            let builder = Generator::builder(&network).batch(2.try_into().expect("not 0"));
            let generator = pollster::block_on(builder.gpu(&gpu)).expect("a generator");
            check(&generator, &network, model, &rows, if is_slow(&gpu) { 5 } else { 1 });
        }
    }
}

/// What a job draws does not depend on its range or batch, and an ESVAE's prior draws like anybody else.
#[test]
fn an_index_has_its_row() {
    for model in [TINY, TINY_RATES] {
        let network = model.network();
        let rates = Rates::new(3, vec![60_000, 100, 30_000, 0, 65_535, 1000]).expect("rates");
        let generator = Generator::builder(&network).batch(3.try_into().expect("not 0")).cpu();
        let outputs = Outputs::images().and(Outputs::latents());
        let range = |range| {
            let job = Job::rates(&rates, 5, range).expect("a range").giving(outputs.clone()).into_owned();
            generator.start(job).and_then(fsvae::Task::wait).expect("images")
        };
        let all = range(7..=17);
        assert_eq!((all.first, all.count), (7, 11));
        for (at, index) in (7..=17).enumerate() {
            let part = range(index..=index);
            let latents = part.latents.expect("latents");
            assert_eq!(latents, rates.draw((index % 2) as usize, 4, 5, index).expect("latents"));
            assert_eq!(latents.words(), &all.latents.as_ref().expect("latents").words()[3 * at..][..3]);
            let image = all.images.as_ref().expect("images").get(at).expect("an image");
            assert_eq!(image.index, index);
            assert_eq!(image.pixels, part.images.expect("images").as_bytes());
        }
        assert_eq!(range(u64::MAX..=u64::MAX).count, 1);
        let other = Rates::new(4, vec![0; 4]).expect("rates");
        let refused = generator.start(Job::rates(&other, 0, 0..1).expect("a range")).expect_err("C");
        assert!(matches!(refused, Error::Rates { expected: 3, found: 4 }) && refused.is_input(), "{refused}");
        assert!(generator.encode_rates(&[], 0, 0).is_err());
    }
}
