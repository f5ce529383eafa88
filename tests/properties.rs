//! Any shape that a checkpoint may have: every adapter makes the CPU's images.

mod common;

use common::{RandomModel, gpus};
use fsvae::{Checkpoint, Generator, Network};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use safetensors::Dtype;

fn models() -> impl Strategy<Value = RandomModel> {
    let large = prop_oneof![Just(Dtype::F32), Just(Dtype::F16), Just(Dtype::BF16)];
    let channels = prop_oneof![Just(1_usize), Just(3)];
    let hidden = prop_oneof![Just(&[][..]), Just(&[5][..]), Just(&[90, 33][..])];
    let drawn =
        prop_oneof![(1..40_usize).prop_map(|k| (Some(k), &[][..])), hidden.prop_map(|hidden| (None, hidden))];
    (any::<u64>(), 1..=32_usize, 1..40_usize, drawn, 1..5_usize, channels, 1..8_usize, large).prop_map(
        |(rng, steps, latent, (k, hidden), layers, channels, width, large)| RandomModel {
            rng,
            steps,
            latent,
            k,
            hidden,
            layers,
            channels,
            width,
            large,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 12,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(11),
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_adapter_makes_the_cpus_images(
        model in models(),
        seed: u64,
        first in 0..u64::MAX - 5,
        noise in prop::collection::vec(any::<u8>(), 997),
    ) {
        let bytes = model.bytes();
        let network = Network::new(&Checkpoint::from_bytes(&bytes).expect("a checkpoint")).expect("valid");
        let range = first..first + 5;
        let bytes = 3 * network.architecture().image_bytes();
        let pixels: Vec<u8> = noise.into_iter().cycle().take(bytes).collect();
        let cpu = Generator::builder(&network).cpu();
        let expected = cpu.generate(seed, range.clone()).expect("images");
        let latents = cpu.encode(&pixels, seed, first).expect("latents");
        let reconstructed = cpu.reconstruct(&pixels, seed, first).expect("images");
        for gpu in gpus(&network) {
            let builder = Generator::builder(&network).batch(2.try_into().expect("not 0"));
            let generator = pollster::block_on(builder.gpu(&gpu)).expect("a generator");
            let found = generator.generate(seed, range.clone()).expect("images");
            prop_assert_eq!(&found, &expected, "{}", gpu.name());
            let found = generator.encode(&pixels, seed, first).expect("latents");
            prop_assert_eq!(&found, &latents, "{}", gpu.name());
            let found = generator.reconstruct(&pixels, seed, first).expect("images");
            prop_assert_eq!(&found, &reconstructed, "{}", gpu.name());
        }
    }
}
