//! `shaders/linear_lif.wgsl`: a fully connected spiking layer.

use super::{Binding, GATHER, Kernel, LAYER, LIF, LayerBuffers, Pass, folded, shader};
use crate::gpu::device::Gpu;

pub(crate) const KERNEL: Kernel = Kernel {
    name: "linear_lif",
    parts: &[LIF, LAYER, GATHER, shader!("../../../shaders/linear_lif.wgsl")],
    bindings: &[Binding::Read, Binding::Read, Binding::Read, Binding::Write],
    workgroup_size: 64,
};

/// Spikes `[images, inputs]` in `input` to `[images, outputs]` in `output`.
pub(crate) fn pass(
    gpu: &Gpu,
    pipeline: &wgpu::ComputePipeline,
    layer: &LayerBuffers,
    parts: u32,
    input: &wgpu::Buffer,
    output: &wgpu::Buffer,
) -> Pass {
    let workgroups = folded(gpu, &KERNEL, layer.sizes.outputs * parts, 1);
    KERNEL.pass(gpu, pipeline, &layer.bind(input, output), workgroups)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cpu::linear_lif::{linear_lif as twin, prepare};
    use crate::cpu::spikes::Spikes;
    use crate::cpu::vectors::Processor;
    use crate::gpu::kernels::{GroupedLayer, LayerSizes, layer_constants, parts};
    use crate::gpu::testing::{cases, grouped, layer, results, run, spike_trains, storage, variants};
    use crate::gpu::variant::Variant;
    use crate::layer::{Kind, Shape, SpikingLayer};

    fn on_cpu(layer: &SpikingLayer, trains: &[u32], steps: usize) -> Vec<u32> {
        let layer = prepare(Processor::get(), layer);
        let mut all = Vec::new();
        for image in trains.chunks(trains.len() / IMAGES) {
            let input = Spikes::from_words(image, image.len(), steps);
            let mut output = Spikes::silent(1, layer.outputs, steps);
            twin(&layer, &input, &mut output.masks);
            all.extend(output.to_words());
        }
        all
    }

    fn on_gpu(
        (gpu, variant): (&Gpu, Variant),
        layer: &SpikingLayer,
        trains: &[u32],
        steps: usize,
    ) -> Vec<u32> {
        let sizes = LayerSizes::of(layer);
        let pipeline = KERNEL.pipeline(gpu, &layer_constants(steps, variant, sizes));
        let buffers = LayerBuffers::new(gpu, "test", &GroupedLayer::new(layer), sizes);
        let input = storage(gpu, &grouped(trains, layer.inputs));
        let output = results(gpu, IMAGES * layer.outputs.next_multiple_of(4));
        run(gpu, &pass(gpu, &pipeline, &buffers, parts(variant, sizes), &input, &output), IMAGES, &output)
    }

    const IMAGES: usize = 3;

    proptest! {
        #![proptest_config(cases(8))]

        #[test]
        fn agrees_with_its_twin(
            (steps, layer, trains) in (1..=32_usize, 1..70_usize, 1..300_usize).prop_flat_map(|(steps, inputs, outputs)| {
                (Just(steps), layer(Kind::Linear, 1, inputs, outputs), spike_trains(IMAGES * inputs, steps))
            })
        ) {
            let expected = grouped(&on_cpu(&layer, &trains, steps), layer.outputs);
            for (gpu, variant) in variants(&Variant::GATHERS) {
                prop_assert_eq!(&on_gpu((gpu, variant), &layer, &trains, steps), &expected, "{}, {}", gpu.name(), variant);
            }
        }
    }

    /// At u = 3, then (3 >> 2) + 3 = 3 and so on, a threshold of 3 never fires and one of 2 always
    /// does. A membrane left at -3 decays towards minus infinity: -3, -1, -1, -1.
    #[test]
    fn a_membrane_at_its_threshold_does_not_fire() {
        let layer = SpikingLayer {
            shape: Shape::new("test", Kind::Linear, 1, 2, 5),
            weights: [[3, 0], [3, 0], [-3, 0], [0, -3], [0, -3]].concat().into(),
            bias: vec![0; 5],
            threshold: vec![3, 2, -3, -1, -2],
            exponents: vec![8; 5],
        };
        let expected = [0, 0b1111, 0, 0, 0b1110].repeat(IMAGES);
        let trains = [0b1111, 0b0001].repeat(IMAGES);
        assert_eq!(on_cpu(&layer, &trains, 4), expected);
        for (gpu, variant) in variants(&Variant::GATHERS) {
            assert_eq!(
                on_gpu((gpu, variant), &layer, &trains, 4),
                grouped(&expected, 5),
                "{}, {}",
                gpu.name(),
                variant
            );
        }
    }
}
