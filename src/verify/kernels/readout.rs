//! Spikes to pixels.

use super::{Case, Dispatch, Random, Results, Scale, Shape, Unit, grouped, results, storage};
use crate::cpu::readout::{PreparedReadout, readout};
use crate::cpu::spikes::Spikes;
use crate::cpu::vectors::Processor;
use crate::gpu::kernels::readout::{Buffers, constants, passes};
use crate::gpu::{Gpu, Variant};
use crate::network::Readout as Numbers;

const IMAGES: usize = 3;

struct Readout {
    scale: Scale,
    side: usize,
    /// The picture after this time step.
    moment: usize,
    layer: Numbers,
    /// `[images, side, side, inputs]`
    trains: Vec<u32>,
}

/// Images smaller than a tile, of one tile and of several; more inputs than a chunk has.
pub(super) fn cases(random: &mut Random, steps: usize) -> Vec<Box<dyn Case>> {
    let outputs = [3, 1][random.between(0, 1)];
    let mut case = |inputs: [usize; 2], outputs, side, scale| -> Box<dyn Case> {
        let inputs = random.between(inputs[0], inputs[1]);
        let layer = random.readout(inputs, outputs, steps, scale);
        let trains = random.trains(IMAGES * side * side * inputs, steps);
        let moment = random.between(steps / 2, steps - 1);
        Box::new(Readout { scale, side, moment, layer, trains })
    };
    vec![
        case([17, 40], outputs, 32, Scale::Small),
        case([17, 40], outputs, 16, Scale::Large),
        case([1, 16], outputs, 8, Scale::Small),
        case([1, 40], 4 - outputs, 4, Scale::Small),
    ]
}

impl Case for Readout {
    fn constants(&self, _: Variant, _: &wgpu::Limits) -> Vec<(&'static str, u32)> {
        constants(&self.layer, self.side).to_vec()
    }

    fn input(&self) -> String {
        let Readout { scale, side, moment, layer, .. } = self;
        let Numbers { inputs, outputs, moments, .. } = layer;
        let steps = moments.len();
        format!("{scale:?} numbers, T = {steps}, step {moment}, {inputs} to {outputs} channels, side {side}")
    }

    fn images(&self) -> usize {
        IMAGES
    }

    fn shape(&self) -> Shape {
        Shape { side: self.side, channels: self.layer.outputs, unit: Unit::Bytes }
    }

    fn on_cpu(&self, processor: Processor) -> Vec<u32> {
        let Readout { side, layer, .. } = self;
        let moment = &layer.moments[self.moment];
        let prepared = PreparedReadout::new(processor, layer);
        let bytes = 4 * self.shape().words();
        let mut pixels = vec![0; IMAGES * bytes];
        let trains = self.trains.chunks(side * side * layer.inputs);
        for (trains, image) in trains.zip(pixels.chunks_mut(bytes)) {
            let spikes = Spikes::from_words(trains, layer.inputs, layer.moments.len());
            readout(&prepared, moment, &prepared.rates(moment, &spikes), *side, image);
        }
        bytemuck::pod_collect_to_vec(&pixels)
    }

    fn on_gpu(&self, gpu: &Gpu, pipeline: &wgpu::ComputePipeline, _: u32) -> Dispatch {
        let input = storage(gpu, &grouped(&self.trains, self.layer.inputs));
        let output = results(gpu, IMAGES * self.shape().words());
        let buffers = Buffers::new(gpu, &self.layer, self.side);
        let pass = passes(gpu, pipeline, &buffers, &input, &output).swap_remove(self.moment);
        Dispatch { pass, results: Results::Buffer(output) }
    }
}
