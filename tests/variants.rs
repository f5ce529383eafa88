//! Every variant of the kernels, and the naive path that they are compared with, makes the CPU's images on every adapter.

mod common;
#[path = "../benches/ladder/naive.rs"]
mod naive;

use std::num::NonZeroUsize;
use std::time::Duration;

use common::{adapters, gpus, is_slow};
use fsvae::gpu::{Times, Variant, Variants, calibrate, is_software};
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
            // On what interprets, invocations that share work take minutes: conformance has them with small models.
            let tried = |variant: &Variant| *variant != Variant::Shared || !is_slow(&gpu);
            for variant in Variant::ALL.into_iter().filter(tried) {
                let generator = pollster::block_on(builder.variants(variant).gpu(&gpu)).expect("a generator");
                assert_eq!(generator.variants(), Some(variant.into()));
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
fn a_calibration_times_every_variant_and_layer_and_takes_the_fastest() {
    let network = network("mnist");
    for gpu in gpus(&network) {
        let found = pollster::block_on(calibrate(&gpu, &network, BATCH)).expect("a calibration");
        let tried = |variant: &Variant| *variant != Variant::Shared || !is_software(gpu.info());
        let all: Vec<Variant> = Variant::ALL.into_iter().filter(tried).collect();
        assert_eq!(found.times.iter().map(|&(variant, _)| variant).collect::<Vec<_>>(), all);
        let (_, best) =
            found.times.iter().find(|(variant, _)| *variant == found.best.rest()).expect("the best");
        let best = best.unwrap_or_else(|| panic!("{}: {found:?}", gpu.name()));
        // Another is not taken for what may be noise.
        let least = best.batch.mul_f64(0.97);
        let fastest = |(_, times): &(Variant, Option<Times>)| times.is_none_or(|times| times.batch >= least);
        assert!(found.times.iter().all(fastest), "{}: {found:?}", gpu.name());
        // All of them are right here, and each layer was timed where there is a clock and an image does not take long.
        let clock = gpu.device().features().contains(fsvae::wgpu::Features::TIMESTAMP_QUERY);
        let quick =
            |times: &Option<Times>| times.is_some_and(|times| times.single < Duration::from_millis(100));
        let timed = found.times.iter().filter(|(_, times)| clock && quick(times));
        let expected: Vec<Variant> = timed.map(|&(variant, _)| variant).collect();
        let layers: Vec<&str> = found.layers.iter().map(|layer| &*layer.layer).collect();
        assert_eq!(
            layers,
            ["sampler", "decoder_input", "decoder.0", "decoder.1", "decoder.2", "final_layer.0"],
            "{}",
            gpu.name()
        );
        for layer in &found.layers {
            let timed: Vec<Variant> = layer.times.iter().map(|&(variant, _)| variant).collect();
            assert_eq!(timed, expected, "{}, {}", gpu.name(), layer.layer);
        }
    }
}

/// Layers and sizes of batches that each run another variant, in generation and reconstruction.
#[test]
fn variants_of_layers_make_the_cpus_images() {
    let network = network("faces");
    let kinds = [Variant::Quads, Variant::Dense, Variant::Shared, Variant::Products];
    let mixed = (0..4).fold(Variants::from(Variant::Checked), |variants, layer| {
        variants.with(layer, 1, kinds[layer]).with(layer, 6, kinds[3 - layer])
    });
    let mixed = mixed.with_sampler(1, Variant::Shared).with_sampler(6, Variant::Products);
    let cpu = Generator::builder(&network).cpu();
    let expected = cpu.generate(7, FIRST..FIRST + 6).expect("images");
    let rebuilt = cpu.reconstruct(expected.as_bytes(), 8, FIRST).expect("images");
    for gpu in gpus(&network) {
        let six = Generator::builder(&network).batch(NonZeroUsize::new(6).expect("not 0")).variants(mixed);
        let generator = pollster::block_on(six.gpu(&gpu)).expect("a generator");
        assert_eq!(generator.variants(), Some(mixed));
        let name = gpu.name();
        assert!(generator.generate(7, FIRST..FIRST + 6).expect("images") == expected, "{name}");
        assert!(generator.reconstruct(expected.as_bytes(), 8, FIRST).expect("images") == rebuilt, "{name}");
        for (at, image) in expected.iter().enumerate() {
            let index = FIRST + at as u64;
            let found = generator.generate(7, index..index + 1).expect("an image");
            assert!(found.as_bytes() == image.pixels, "{name}, {at}");
        }
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
        "expected a variant of the kernels (dense, branches, events, quads, checked, products or shared), found \"fastest\""
    );
    assert!(error.is_input());
}
