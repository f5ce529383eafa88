//! FSVAE's prior and posterior with their draws.

use super::{Case, Dispatch, Part, Random, Results, Scale, Shape, Unit, grouped, results, storage};
use crate::cpu::sample::{Sampler as Twin, sample};
use crate::cpu::spikes::Spikes;
use crate::cpu::vectors::Processor;
use crate::gpu::kernels::sample::{Manner, Run, buffer, constants, pass};
use crate::gpu::{Gpu, Variant};
use crate::layer::{self, SpikingLayer};
use crate::philox::{Draws, Stream};

/// The carry into the high half of the index is in the middle of the batch.
const FIRST: u64 = (1 << 32) - 2;
const IMAGES: usize = 3;

struct Sampler {
    stream: Stream,
    scale: Scale,
    time_steps: usize,
    channels: usize,
    layers: Box<[SpikingLayer; 3]>,
    /// The encoder's spikes `[images, C]`; the prior does not look at them.
    encoded: Vec<u32>,
    seed: u64,
}

/// More channels than invocations of a workgroup; more than a mask has bits; few with many neurons each.
pub(super) fn cases(part: Part, random: &mut Random, time_steps: usize) -> Vec<Box<dyn Case>> {
    let stream = if part == Part::Posterior { Stream::Posterior } else { Stream::Prior };
    let mut case = |channels: [usize; 2], neurons: [usize; 2], scale| -> Box<dyn Case> {
        let channels = random.between(channels[0], channels[1]);
        let neurons = random.between(neurons[0], neurons[1]);
        let inputs = if stream == Stream::Posterior { 2 * channels } else { channels };
        Box::new(Sampler {
            stream,
            scale,
            time_steps,
            channels,
            layers: random.sampler(layer::Shape::autoregressive("random", inputs, channels, neurons), scale),
            encoded: random.trains(IMAGES * channels, time_steps),
            seed: random.wide(),
        })
    };
    vec![
        case([129, 140], [2, 4], Scale::Small),
        case([33, 50], [2, 30], Scale::Large),
        case([2, 9], [200, 255], Scale::Small),
    ]
}

impl Sampler {
    /// k
    fn neurons(&self) -> usize {
        self.layers[2].outputs / self.channels
    }
}

impl Case for Sampler {
    fn constants(&self, variant: Variant, limits: &wgpu::Limits) -> Vec<(&'static str, u32)> {
        let manner = Manner::new(variant, self.channels, self.time_steps, limits);
        constants(self.time_steps, self.channels, self.neurons(), self.stream, manner).to_vec()
    }

    fn input(&self) -> String {
        let Sampler { scale, seed, time_steps, channels, .. } = self;
        let k = self.neurons();
        format!(
            "{scale:?} numbers, T = {time_steps}, C = {channels}, k = {k}, seed {seed}, images {FIRST} and on"
        )
    }

    fn images(&self) -> usize {
        IMAGES
    }

    fn shape(&self) -> Shape {
        Shape { side: 1, channels: self.channels, unit: Unit::Trains }
    }

    fn on_cpu(&self, processor: Processor) -> Vec<u32> {
        let &Sampler { stream, seed, channels, time_steps: steps, .. } = self;
        let sampler = Twin::new(processor, &self.layers, channels);
        let mut words = Vec::new();
        for (encoded, index) in self.encoded.chunks(channels).zip(FIRST..) {
            let encoded = Spikes::from_words(encoded, channels, steps);
            let encoded = (stream == Stream::Posterior).then_some(&encoded);
            let draws = Draws { seed, index, stream, channels };
            words.extend(sample(&sampler, encoded, draws, steps).to_words());
        }
        grouped(&words, channels)
    }

    fn on_gpu(&self, gpu: &Gpu, pipeline: &wgpu::ComputePipeline, _: u32) -> Dispatch {
        let start = storage(gpu, &[Run::new(self.seed, FIRST)]);
        let encoded = storage(gpu, &grouped(&self.encoded, self.channels));
        let latents = results(gpu, IMAGES * self.shape().words());
        let pass = pass(gpu, pipeline, &start, &buffer(gpu, &self.layers), &encoded, &latents);
        Dispatch { pass, results: Results::Buffer(latents) }
    }
}
