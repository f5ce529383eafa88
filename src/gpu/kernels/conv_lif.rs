//! `shaders/conv_lif.wgsl`: a spiking convolution of stride 2.

use super::{Binding, GATHER, Kernel, LAYER, LIF, LayerBuffers, Pass, folded, shader};
use crate::gpu::device::Gpu;

pub(crate) const KERNEL: Kernel = Kernel {
    name: "conv_lif",
    parts: &[LIF, LAYER, GATHER, shader!("../../../shaders/conv_lif.wgsl")],
    bindings: &[Binding::Read, Binding::Read, Binding::Read, Binding::Write],
    workgroup_size: 64,
};

/// Spikes `[images, side, side, inputs]` in `input` to `[images, side / 2, side / 2, outputs]` in
/// `output`.
pub(crate) fn pass(
    gpu: &Gpu,
    pipeline: &wgpu::ComputePipeline,
    layer: &LayerBuffers,
    parts: u32,
    input: &wgpu::Buffer,
    output: &wgpu::Buffer,
) -> Pass {
    let pixels = layer.sizes.side * layer.sizes.side / 4;
    let workgroups = folded(gpu, &KERNEL, pixels * layer.sizes.outputs * parts, 1);
    KERNEL.pass(gpu, pipeline, &layer.bind(input, output), workgroups)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cpu::conv_lif::{conv_lif as twin, prepare};
    use crate::cpu::spikes::Spikes;
    use crate::cpu::vectors::Processor;
    use crate::gpu::kernels::{GroupedLayer, LayerSizes, layer_constants, parts};
    use crate::gpu::testing::{cases, grouped, layer, results, run, spike_trains, storage, variants};
    use crate::gpu::variant::Variant;
    use crate::layer::Kind;

    const IMAGES: usize = 2;

    proptest! {
        #![proptest_config(cases(8))]

        #[test]
        fn agrees_with_its_twin(
            (steps, side, layer, trains) in (1..=32_usize, 1..4_u32, 1..40_usize, 1..70_usize)
                .prop_flat_map(|(steps, log_side, inputs, outputs)| {
                    let side = 1_usize << log_side;
                    let trains = spike_trains(IMAGES * side * side * inputs, steps);
                    (Just(steps), Just(side), layer(Kind::Convolution, side, inputs, outputs), trains)
                })
        ) {
            let prepared = prepare(Processor::get(), &layer);
            let image = |trains: &[u32]| {
                twin(&prepared, &Spikes::from_words(trains, layer.inputs, steps), side).to_words()
            };
            let expected: Vec<u32> = trains.chunks(side * side * layer.inputs).flat_map(image).collect();
            for (gpu, variant) in variants(&Variant::GATHERS) {
                let sizes = LayerSizes::of(&layer);
                let pipeline = KERNEL.pipeline(gpu, &layer_constants(steps, variant, sizes));
                let buffers = LayerBuffers::new(gpu, "test", &GroupedLayer::new(&layer), sizes);
                let input = storage(gpu, &grouped(&trains, layer.inputs));
                let output = results(gpu, IMAGES * side * side / 4 * layer.outputs.next_multiple_of(4));
                let found = run(gpu, &pass(gpu, &pipeline, &buffers, parts(variant, sizes), &input, &output), IMAGES, &output);
                prop_assert_eq!(&found, &grouped(&expected, layer.outputs), "{}, {}", gpu.name(), variant);
            }
        }
    }
}
