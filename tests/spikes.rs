//! Spike trains of whole layers are the oracle's, on every backend.

mod common;

use common::{digest, gpus, input};
use fsvae::{Checkpoint, Generator, Job, LayerSpikes, Network, Outputs};

/// MODEL LAYER SHA256 of words `[2, y, x, channels]`, from `tests/oracle/rows.py` and from nothing else.
const ROWS: &str = include_str!("../src/verify/layers.rows");
const SEED: u64 = 7;

fn check(name: &str, model: &str, spikes: &[LayerSpikes], sampled: &str) {
    for spikes in spikes {
        let layer = if spikes.layer().name == "latent" { sampled } else { &spikes.layer().name };
        let row = format!("{model} {layer} ");
        let expected = ROWS.lines().find_map(|line| line.strip_prefix(&row)).expect("a row");
        let bytes: Vec<u8> = spikes.words().iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(digest(&bytes), expected, "{name}: {row}");
    }
}

#[test]
fn every_layers_spikes_are_the_oracles() {
    for model in [
        "mnist",
        "fashion",
        "faces",
        "faces-esvae",
        "mnist-esvae",
        "fashion-esvae",
        "cifar10-esvae",
        "thumbs-esvae",
    ] {
        let checkpoint = Checkpoint::bundled(model).expect("bundled").expect("valid");
        let network = Network::new(&checkpoint).expect("a network");
        let architecture = network.architecture();
        let names: Vec<String> = architecture.layers().into_iter().map(|layer| layer.name).collect();
        let pixels: Vec<u8> = ["noise", "ramp"].iter().flat_map(|name| input(name, &network)).collect();
        let (encoding, generation) = (&names[..architecture.depth() + 2], &names[architecture.depth() + 1..]);
        let cpu = Generator::builder(&network).cpu();
        let on = |gpu: &fsvae::Gpu| {
            pollster::block_on(Generator::builder(&network).gpu(gpu)).expect("a generator")
        };
        for generator in std::iter::once(cpu).chain(gpus(&network).iter().map(on)) {
            let name = generator.backend_name();
            let take = |job: Job<'_>, names: &[String]| {
                let task = generator.start(job.giving(Outputs::spikes(names))).expect("a task");
                task.wait().expect("a part").spikes
            };
            check(&name, model, &take(Job::posterior(&pixels[..], SEED, 0), encoding), "posterior");
            check(&name, model, &take(Job::prior(SEED, 0..2).expect("a range"), generation), "prior");
        }
    }
}
