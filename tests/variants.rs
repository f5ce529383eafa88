//! Every variant of the kernels, and the naive path that they are compared with, makes the CPU's images on every adapter.

mod common;
#[path = "../benches/ladder/naive.rs"]
mod naive;

use std::num::NonZeroUsize;

use common::{adapters, gpus};
use fsvae::gpu::{Variant, calibrate};
use fsvae::{Checkpoint, Generator, Network};

const BATCH: NonZeroUsize = NonZeroUsize::new(3).expect("not 0");
/// The carry into the high half of the index is in the middle of the batch.
const FIRST: u64 = (1 << 32) - 2;

fn network(model: &str) -> Network {
    Network::new(&Checkpoint::bundled(model).expect("bundled").expect("valid")).expect("a network")
}

#[test]
fn variants_make_the_cpus_images() {
    for model in ["mnist", "cifar10-esvae"] {
        let network = network(model);
        let builder = Generator::builder(&network).batch(BATCH);
        let cpu = builder.cpu();
        let expected = cpu.generate(7, FIRST..FIRST + 3).expect("images");
        let rebuilt = cpu.reconstruct(expected.as_bytes(), 8, FIRST).expect("images");
        for gpu in gpus(&network) {
            for variant in Variant::ALL {
                let generator = pollster::block_on(builder.variant(variant).gpu(&gpu)).expect("a generator");
                assert_eq!(generator.variant(), Some(variant));
                let name = gpu.name();
                assert!(
                    generator.generate(7, FIRST..FIRST + 3).expect("images") == expected,
                    "{name}, {variant}"
                );
                let found = generator.reconstruct(expected.as_bytes(), 8, FIRST).expect("images");
                assert!(found == rebuilt, "{name}, {variant}");
            }
        }
    }
}

#[test]
fn the_naive_path_makes_the_cpus_images() {
    let network = network("mnist");
    let expected = Generator::builder(&network).cpu().generate(7, FIRST..FIRST + 3).expect("images");
    for adapter in adapters() {
        let name = &adapter.get_info().name;
        // It takes SwiftShader many seconds an image.
        let slow = name.contains("SwiftShader");
        let batch = if slow { 1 } else { 3 };
        let expected = &expected.as_bytes()[..batch * network.architecture().image_bytes()];
        let mut naive = naive::Naive::new(&adapter, &network, batch);
        assert!(naive.generate(7, FIRST) == expected, "{name}");
        // Nothing is left of the first batch.
        assert!(slow || naive.generate(7, FIRST) == expected, "{name}, again");
    }
}

#[test]
fn a_calibration_times_every_variant_and_takes_the_fastest() {
    let network = network("mnist");
    for gpu in gpus(&network) {
        let found = pollster::block_on(calibrate(&gpu, &network, BATCH)).expect("a calibration");
        assert_eq!(found.times.iter().map(|&(variant, _)| variant).collect::<Vec<_>>(), Variant::ALL);
        let best = found.times.iter().find(|&&(variant, _)| variant == found.best).expect("the best").1;
        assert!(best.is_some(), "{}: {found:?}", gpu.name());
        assert!(found.times.iter().all(|&(_, time)| time >= best), "{}: {found:?}", gpu.name());
    }
}

#[test]
fn variants_have_names() {
    for variant in Variant::ALL {
        assert_eq!(variant.name().parse::<Variant>().expect("its own name"), variant);
    }
    let error = "fastest".parse::<Variant>().expect_err("no such variant");
    assert_eq!(
        error.to_string(),
        "expected a variant of the kernels (dense, branches, events, quads or checked), found \"fastest\""
    );
    assert!(error.is_input());
}
