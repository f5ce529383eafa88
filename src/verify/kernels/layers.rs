//! The spiking layers.

use super::{Case, Dispatch, Part, Random, Results, Scale, Shape, Unit, grouped, results, storage};
use crate::cpu::Prepared;
use crate::cpu::image_lif::image_lif;
use crate::cpu::spikes::Spikes;
use crate::cpu::vectors::Processor;
use crate::gpu::kernels::{self, Kernel, LayerBuffers, LayerSizes, fitting, layer_constants};
use crate::gpu::layer::{dispatch, grouped as grouped_layer};
use crate::gpu::{Gpu, Variant};
use crate::layer::{self, Kind, SpikingLayer};

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
    layer: SpikingLayer,
    input: Input,
}

enum Input {
    /// `[images, pixels, inputs]`
    Trains(Vec<u32>),
    /// `[images, side, side, channels]`
    Pixels(Vec<u8>),
}

/// More than 32 inputs and more than 64 invocations; fewer; next to nothing: each with small and with large numbers, and a
/// pipeline of its own.
pub(super) fn cases(part: Part, random: &mut Random, steps: usize) -> Vec<Box<dyn Case>> {
    let images = 3;
    // Both kinds of picture take turns: their number of channels is compiled in.
    let channels = [1, 3][random.between(0, 1)];
    let mut cases: Vec<Box<dyn Case>> = Vec::new();
    for (inputs, outputs, side) in [([33, 70], [257, 300], 2), ([33, 70], [33, 70], 8), ([1, 32], [1, 20], 4)]
    {
        let (inputs, outputs) =
            (random.between(inputs[0], inputs[1]), random.between(outputs[0], outputs[1]));
        let (kind, side, inputs) = match part {
            // A picture has 4 x 4 pixels at least.
            Part::Image => (Kind::Image, 2 * side, channels),
            Part::Convolution => (Kind::Convolution, side, inputs),
            Part::Transposed | Part::Quads => (Kind::Transposed, side, inputs),
            // A linear layer may see a 2x2 map.
            _ => (Kind::Linear, if side == 2 { 2 } else { 1 }, inputs),
        };
        for scale in [Scale::Small, Scale::Large] {
            let numbers = images * side * side * inputs;
            let input = match kind {
                Kind::Image => Input::Pixels(random.pixels(numbers)),
                _ => Input::Trains(random.trains(numbers, steps)),
            };
            let layer = random.layer(layer::Shape::new("random", kind, side, inputs, outputs), scale);
            cases.push(Box::new(Layer { part, scale, steps, images, layer, input }));
        }
    }
    cases
}

impl Layer {
    fn one_on_cpu(&self, processor: Processor, image: usize) -> Vec<u32> {
        let Layer { layer, steps, images, .. } = self;
        let spikes = match &self.input {
            Input::Pixels(pixels) => {
                let bytes = pixels.len() / images;
                image_lif(layer, &pixels[image * bytes..][..bytes], *steps)
            }
            Input::Trains(trains) => {
                let words = trains.len() / images;
                let trains = Spikes::from_words(&trains[image * words..][..words], layer.inputs, *steps);
                Prepared::new(processor, layer).run(&trains)
            }
        };
        spikes.to_words()
    }
}

impl Case for Layer {
    fn constants(&self, variant: Variant, limits: &wgpu::Limits) -> Vec<(&'static str, u32)> {
        let sizes = LayerSizes::of(&self.layer);
        match self.part {
            Part::Image => kernels::image_lif::constants(&self.layer, self.steps).to_vec(),
            Part::Quads => kernels::conv_transpose_quads::constants(self.steps, sizes).to_vec(),
            _ => {
                let variant = fitting(variant, self.steps, sizes, limits.max_compute_workgroup_storage_size);
                layer_constants(self.steps, variant, sizes).to_vec()
            }
        }
    }

    fn input(&self) -> String {
        let Layer { scale, steps, layer, .. } = self;
        let layer::Shape { inputs, outputs, taps, side, .. } = &layer.shape;
        format!("{scale:?} numbers, T = {steps}, {inputs} to {outputs} channels, {taps} taps, side {side}")
    }

    fn images(&self) -> usize {
        self.images
    }

    fn shape(&self) -> Shape {
        let map = self.layer.map();
        Shape { side: map.side, channels: map.channels, unit: Unit::Trains }
    }

    fn on_cpu(&self, processor: Processor) -> Vec<u32> {
        let all = (0..self.images).flat_map(|image| self.one_on_cpu(processor, image));
        grouped(&all.collect::<Vec<_>>(), self.layer.outputs)
    }

    fn on_gpu(&self, gpu: &Gpu, pipeline: &wgpu::ComputePipeline, parts: u32) -> Dispatch {
        let input = match &self.input {
            Input::Trains(trains) => storage(gpu, &grouped(trains, self.layer.inputs)),
            Input::Pixels(pixels) => storage(gpu, pixels),
        };
        let output = results(gpu, self.images * self.shape().words());
        let (numbers, sizes) = (grouped_layer(&self.layer), LayerSizes::of(&self.layer));
        let buffers = LayerBuffers::new(gpu, "fsvae.verify", &numbers, sizes);
        let pass = dispatch(kernel(self.part))(gpu, pipeline, &buffers, parts, &input, &output);
        Dispatch { pass, results: Results::Buffer(output) }
    }
}
