//! `shaders/image_lif.wgsl`: the encoder's first layer, on u8 pixels.

use super::{Binding, GroupedLayer, Kernel, LayerBuffers, LayerSizes, Pass, folded, shader};
use crate::gpu::device::Gpu;
use crate::layer::{Shape, SpikingLayer};

pub(crate) const KERNEL: Kernel = Kernel {
    name: "image_lif",
    parts: &[shader!("../../../shaders/lif.wgsl"), shader!("../../../shaders/image_lif.wgsl")],
    bindings: &[Binding::Read, Binding::Read, Binding::Read, Binding::Write],
    workgroup_size: 64,
};

/// The constants in front of the shader.
pub(crate) fn constants(layer: &Shape, time_steps: usize) -> [(&'static str, u32); 4] {
    let [_, outputs, side] = LayerSizes::of(layer).constants(); // image channels are not grouped
    [("TIME_STEPS", time_steps as u32), ("IMAGE_CHANNELS", layer.inputs as u32), outputs, side]
}

/// The layer with each weight W = 2^16 * high + low in two limbs, `[taps, inputs, outputs, 2]`.
pub(crate) fn grouped(layer: &SpikingLayer) -> GroupedLayer {
    let mut grouped = GroupedLayer::new(layer);
    let (padded, outputs) = (4 * grouped.inputs, grouped.outputs);
    let mut weights = Vec::new();
    for tap in 0..layer.taps {
        for input in 0..layer.inputs {
            for four in &grouped.weights[(tap * padded + input) * outputs..][..outputs] {
                weights.push(four.map(|weight| weight >> 16));
                weights.push(four.map(|weight| weight & 0xffff));
            }
        }
    }
    grouped.weights = weights;
    grouped
}

/// u8 pixels `[images, side, side, channels]` to spikes `[images, side / 2, side / 2, outputs]`.
pub(crate) fn pass(
    gpu: &Gpu,
    pipeline: &wgpu::ComputePipeline,
    layer: &LayerBuffers,
    _: u32,
    pixels: &wgpu::Buffer,
    output: &wgpu::Buffer,
) -> Pass {
    let outputs = layer.sizes.side * layer.sizes.side / 4 * layer.sizes.outputs;
    let workgroups = folded(gpu, &KERNEL, outputs, 1);
    KERNEL.pass(gpu, pipeline, &layer.bind(pixels, output), workgroups)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cpu::image_lif::image_lif as twin;
    use crate::gpu::testing::{cases, gpus, grouped as padded, layer, results, run, storage};
    use crate::layer::Kind;

    const IMAGES: usize = 2;

    /// With its 8 guard bits and pixels of up to 255 a weight's share of the current is as much as a
    /// spike's in any other layer, so weights get about as large as i32.
    fn on_pixels(layer: SpikingLayer) -> SpikingLayer {
        let bound = layer.weights.iter().map(|weight| weight.unsigned_abs()).max().unwrap_or(0);
        let scale = if bound < 1000 { 300 } else { 1 };
        let weights = layer.weights.iter().map(|weight| weight * scale).collect();
        SpikingLayer { weights, ..layer }
    }

    proptest! {
        #![proptest_config(cases(16))]

        #[test]
        fn agrees_with_its_twin(
            (steps, side, layer, pixels) in (1..=32_usize, 2..6_u32, prop_oneof![Just(1_usize), Just(3)], 1..40_usize)
                .prop_flat_map(|(steps, log_side, channels, outputs)| {
                    let side = 1_usize << log_side;
                    let bytes = IMAGES * side * side * channels;
                    let pixel = prop_oneof![Just(0), Just(255), Just(127), Just(128), any::<u8>()];
                    let noise = prop::collection::vec(pixel, bytes);
                    let uniform = any::<u8>().prop_map(move |level| vec![level; bytes]);
                    let layer = layer(Kind::Image, side, channels, outputs).prop_map(on_pixels);
                    (Just(steps), Just(side), layer, prop_oneof![noise, uniform])
                })
        ) {
            let mut expected = Vec::new();
            for image in pixels.chunks(pixels.len() / IMAGES) {
                expected.extend(twin(&layer, image, steps).to_words());
            }
            for gpu in gpus() {
                let pipeline = KERNEL.pipeline(gpu, &constants(&layer, steps));
                let buffers = LayerBuffers::new(gpu, "test", &grouped(&layer), LayerSizes::of(&layer));
                let input = storage(gpu, &pixels);
                let output = results(gpu, IMAGES * side * side / 4 * layer.outputs.next_multiple_of(4));
                let found = run(gpu, &pass(gpu, &pipeline, &buffers, 1, &input, &output), IMAGES, &output);
                prop_assert_eq!(&found, &padded(&expected, layer.outputs), "{}", gpu.name());
            }
        }
    }
}
