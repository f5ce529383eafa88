//! `shaders/conv_transpose_lif.wgsl`: a spiking transposed convolution.

use super::{Binding, GATHER, Kernel, LAYER, LIF, LayerBuffers, Pass, folded, shader};
use crate::gpu::device::Gpu;

pub(crate) const KERNEL: Kernel = Kernel {
    name: "conv_transpose_lif",
    parts: &[LIF, LAYER, GATHER, shader!("../../../shaders/conv_transpose_lif.wgsl")],
    bindings: &[Binding::Read, Binding::Read, Binding::Read, Binding::Write],
    workgroup_size: 64,
};

/// Spikes `[images, side, side, inputs]` in `input` to `[images, 2 side, 2 side, outputs]` in
/// `output`.
pub(crate) fn pass(
    gpu: &Gpu,
    pipeline: &wgpu::ComputePipeline,
    layer: &LayerBuffers,
    parts: u32,
    input: &wgpu::Buffer,
    output: &wgpu::Buffer,
) -> Pass {
    let sizes = layer.sizes;
    let pixels_of_a_parity = sizes.side * sizes.side;
    let workgroups = folded(gpu, &KERNEL, pixels_of_a_parity * sizes.outputs * parts, 4);
    KERNEL.pass(gpu, pipeline, &layer.bind(input, output), workgroups)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cpu::conv_transpose_lif::{conv_transpose_lif as twin, prepare};
    use crate::cpu::spikes::Spikes;
    use crate::cpu::vectors::Processor;
    use crate::gpu::kernels::{
        GroupedLayer, LayerSizes, conv_transpose_quads as quads, layer_constants, parts,
    };
    use crate::gpu::testing::{cases, grouped, layer, results, run, spike_trains, storage, variants};
    use crate::gpu::variant::Variant;
    use crate::layer::{Kind, Shape, SpikingLayer};

    const IMAGES: usize = 2;

    fn on_cpu(layer: &SpikingLayer, trains: &[u32], steps: usize, side: usize) -> Vec<u32> {
        let prepared = prepare(Processor::get(), layer);
        let image = |trains: &[u32]| {
            twin(&prepared, &Spikes::from_words(trains, layer.inputs, steps), side).to_words()
        };
        trains.chunks(side * side * layer.inputs).flat_map(image).collect()
    }

    fn on_gpu(
        (gpu, variant): (&Gpu, Variant),
        layer: &SpikingLayer,
        trains: &[u32],
        steps: usize,
        side: usize,
    ) -> Vec<u32> {
        let sizes = LayerSizes::of(layer);
        let buffers = LayerBuffers::new(gpu, "test", &GroupedLayer::new(layer), sizes);
        let input = storage(gpu, &grouped(trains, layer.inputs));
        let output = results(gpu, IMAGES * 4 * side * side * layer.outputs.next_multiple_of(4));
        let pass = if variant == Variant::Quads && quads::workgroup_bytes(steps, sizes) <= 16 << 10 {
            let pipeline = quads::KERNEL.pipeline(gpu, &quads::constants(steps, sizes));
            quads::pass(gpu, &pipeline, &buffers, 1, &input, &output)
        } else {
            let pipeline = KERNEL.pipeline(gpu, &layer_constants(steps, variant, sizes));
            pass(gpu, &pipeline, &buffers, parts(variant, sizes), &input, &output)
        };
        run(gpu, &pass, IMAGES, &output)
    }

    proptest! {
        #![proptest_config(cases(8))]

        #[test]
        fn agrees_with_its_twin(
            (steps, side, layer, trains) in (1..=32_usize, 1..4_u32, 1..40_usize, 1..70_usize)
                .prop_flat_map(|(steps, log_side, inputs, outputs)| {
                    let side = 1_usize << log_side;
                    let trains = spike_trains(IMAGES * side * side * inputs, steps);
                    (Just(steps), Just(side), layer(Kind::Transposed, side, inputs, outputs), trains)
                })
        ) {
            let expected = grouped(&on_cpu(&layer, &trains, steps, side), layer.outputs);
            for (gpu, variant) in variants(&[&Variant::GATHERS[..], &[Variant::Quads]].concat()) {
                prop_assert_eq!(&on_gpu((gpu, variant), &layer, &trains, steps, side), &expected, "{}, {}", gpu.name(), variant);
            }
        }
    }

    /// One input pixel with a spike, nine taps that are told apart by their power of two: where each
    /// lands is written out from `output = 2 input + k - 1`, not computed by the code under test.
    #[test]
    fn each_tap_lands_where_the_contract_says() {
        let (a, b, side) = (1_usize, 0_usize, 2);
        for tap in 0..9 {
            let mut weights = vec![0; 9];
            weights[tap] = 1;
            let layer = SpikingLayer {
                shape: Shape::new("test", Kind::Transposed, side, 1, 1),
                weights: weights.into(),
                bias: vec![0],
                threshold: vec![0],
                exponents: vec![8],
            };
            let mut trains = vec![0; IMAGES * 4];
            trains[a * side + b] = 1;
            let mut expected = vec![0; IMAGES * 16];
            let (y, x) = ((2 * a + tap / 3).wrapping_sub(1), (2 * b + tap % 3).wrapping_sub(1));
            if y < 4 && x < 4 {
                expected[y * 4 + x] = 1;
            }
            assert_eq!(on_cpu(&layer, &trains, 1, side), expected, "tap {tap}");
            for (gpu, variant) in variants(&[&Variant::GATHERS[..], &[Variant::Quads]].concat()) {
                let found = on_gpu((gpu, variant), &layer, &trains, 1, side);
                assert_eq!(found, grouped(&expected, 1), "{}, {variant}, tap {tap}", gpu.name());
            }
        }
    }
}
