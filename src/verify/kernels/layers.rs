//! The spiking layers.

use super::{Case, Dispatch, Part, Random, Results, Scale, Shape, Unit, grouped, results, storage};
use crate::cpu::conv_lif::{self as convolution, conv_lif};
use crate::cpu::conv_transpose_lif::{self as transposed, conv_transpose_lif};
use crate::cpu::image_lif::image_lif;
use crate::cpu::linear_lif::{self as linear, linear_lif};
use crate::cpu::spikes::Spikes;
use crate::cpu::vectors::Processor;
use crate::gpu::kernels::{self, GroupedLayer, Kernel, LayerBuffers, LayerSizes, layer_constants};
use crate::gpu::{Gpu, Variant};
use crate::network::SpikingLayer;

pub(super) fn kernel(part: Part) -> &'static Kernel {
    match part {
        Part::Convolution => &kernels::conv_lif::KERNEL,
        Part::Transposed => &kernels::conv_transpose_lif::KERNEL,
        Part::Quads => &kernels::conv_transpose_quads::KERNEL,
        Part::Image => &kernels::image_lif::KERNEL,
        _ => &kernels::linear_lif::KERNEL,
    }
}

struct Layer {
    part: Part,
    scale: Scale,
    steps: usize,
    images: usize,
    /// Of the input.
    side: usize,
    layer: SpikingLayer,
    input: Input,
}

enum Input {
    /// `[images, pixels, inputs]`
    Trains(Vec<u32>),
    /// `[images, side, side, channels]`
    Pixels(Vec<u8>),
}

/// More than 32 inputs and more than 64 invocations, small and large numbers; fewer; next to nothing.
pub(super) fn cases(part: Part, random: &mut Random, steps: usize) -> Vec<Box<dyn Case>> {
    let images = 3;
    // Both kinds of picture take turns: their number of channels is compiled in.
    let channels = [1, 3][random.between(0, 1)];
    let mut case = |inputs: [usize; 2], outputs: [usize; 2], side, scale| -> Box<dyn Case> {
        let (inputs, outputs) =
            (random.between(inputs[0], inputs[1]), random.between(outputs[0], outputs[1]));
        let (layer, input) = match part {
            Part::Image => {
                // A picture has 4 x 4 pixels at least.
                let side = 2 * side;
                let pixels = random.pixels(images * side * side * channels);
                (random.image_layer(channels, outputs, scale), Input::Pixels(pixels))
            }
            Part::Linear => {
                // A layer that sees a 2x2 map has four taps.
                let taps = if side == 2 { 4 } else { 1 };
                let trains = random.trains(images * taps * inputs, steps);
                (random.layer(inputs, outputs, taps, scale), Input::Trains(trains))
            }
            _ => {
                let trains = random.trains(images * side * side * inputs, steps);
                (random.layer(inputs, outputs, 9, scale), Input::Trains(trains))
            }
        };
        let side = if part == Part::Image { 2 * side } else { side };
        Box::new(Layer { part, scale, steps, images, side, layer, input })
    };
    vec![
        case([33, 70], [257, 300], 2, Scale::Small),
        case([33, 70], [33, 70], 8, Scale::Large),
        // Masks of few outputs' inputs would be larger than the workgroup memory that every device has.
        case([33, 70], if part == Part::Quads { [33, 70] } else { [1, 70] }, 8, Scale::Small),
        case([1, 32], [1, 20], 4, Scale::Small),
        case([1, 8], [1, 12], 2, Scale::Large),
    ]
}

impl Layer {
    /// Height and width of the output.
    fn output_side(&self) -> usize {
        match self.part {
            Part::Linear => 1,
            Part::Transposed | Part::Quads => 2 * self.side,
            _ => self.side / 2,
        }
    }

    fn one_on_cpu(&self, processor: Processor, image: usize) -> Vec<u32> {
        let Layer { layer, steps, side, images, .. } = self;
        let trains = match &self.input {
            Input::Pixels(pixels) => {
                let bytes = pixels.len() / images;
                return image_lif(layer, &pixels[image * bytes..][..bytes], *side, *steps).to_words();
            }
            Input::Trains(trains) => {
                let words = trains.len() / images;
                Spikes::from_words(&trains[image * words..][..words], layer.inputs, *steps)
            }
        };
        match self.part {
            Part::Convolution => conv_lif(&convolution::prepare(processor, layer), &trains, *side).to_words(),
            Part::Transposed | Part::Quads => {
                conv_transpose_lif(&transposed::prepare(processor, layer), &trains, *side).to_words()
            }
            _ => {
                let mut output = Spikes::silent(1, layer.outputs, *steps);
                linear_lif(&linear::prepare(processor, layer), &trains, &mut output.masks);
                output.to_words()
            }
        }
    }
}

impl Case for Layer {
    fn constants(&self, variant: Variant) -> Vec<(&'static str, u32)> {
        match self.part {
            Part::Image => kernels::image_lif::constants(&self.layer, self.steps).to_vec(),
            Part::Quads => {
                let sizes = LayerSizes::of(&self.layer, self.side);
                kernels::conv_transpose_quads::constants(self.steps, sizes).to_vec()
            }
            _ => layer_constants(self.steps, variant).to_vec(),
        }
    }

    fn input(&self) -> String {
        let Layer { scale, steps, side, layer, .. } = self;
        let SpikingLayer { inputs, outputs, taps, .. } = layer;
        format!("{scale:?} numbers, T = {steps}, {inputs} to {outputs} channels, {taps} taps, side {side}")
    }

    fn images(&self) -> usize {
        self.images
    }

    fn shape(&self) -> Shape {
        Shape { side: self.output_side(), channels: self.layer.outputs, unit: Unit::Trains }
    }

    fn on_cpu(&self, processor: Processor) -> Vec<u32> {
        let all = (0..self.images).flat_map(|image| self.one_on_cpu(processor, image));
        grouped(&all.collect::<Vec<_>>(), self.layer.outputs)
    }

    fn on_gpu(&self, gpu: &Gpu, pipeline: &wgpu::ComputePipeline) -> Dispatch {
        let (input, layer) = match &self.input {
            Input::Trains(trains) => {
                (storage(gpu, &grouped(trains, self.layer.inputs)), GroupedLayer::new(&self.layer))
            }
            Input::Pixels(pixels) => (storage(gpu, pixels), kernels::image_lif::grouped(&self.layer)),
        };
        let output = results(gpu, self.images * self.shape().words());
        let side = if self.part == Part::Linear { 0 } else { self.side };
        let buffers = LayerBuffers::new(gpu, "fsvae.verify", &layer, side);
        let pass = match self.part {
            Part::Convolution => kernels::conv_lif::pass,
            Part::Transposed => kernels::conv_transpose_lif::pass,
            Part::Quads => kernels::conv_transpose_quads::pass,
            Part::Image => kernels::image_lif::pass,
            _ => kernels::linear_lif::pass,
        };
        Dispatch { pass: pass(gpu, pipeline, &buffers, &input, &output), results: Results::Buffer(output) }
    }
}
