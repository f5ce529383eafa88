//! ESVAE's prior and posterior with their draws.

use super::{Case, Dispatch, Random, Results, Scale, Shape, Unit, grouped, results, storage};
use crate::cpu::rates;
use crate::cpu::spikes::Spikes;
use crate::cpu::vectors::Processor;
use crate::gpu::kernels::sample::Run;
use crate::gpu::kernels::{resample, sample_rates};
use crate::gpu::{Gpu, Variant};
use crate::network::{RateLayer, Rates, logits};

/// The carry into the high half of the index is in the middle of the batch.
const FIRST: u64 = (1 << 32) - 2;
const IMAGES: usize = 3;

struct Sampler {
    draws: Draws,
    /// The draws' numbers in one phrase.
    what: String,
    time_steps: usize,
    channels: usize,
    seed: u64,
}

enum Draws {
    Rates(Rates),
    /// The encoder's spikes `[images, C]`.
    Resample(Vec<u32>),
}

/// More channels than invocations of a workgroup; fewer; few.
const CHANNELS: [[usize; 2]; 3] = [[129, 160], [33, 50], [8, 15]];

pub(super) fn rates(random: &mut Random, time_steps: usize) -> Vec<Box<dyn Case>> {
    let mut case = |[least, most]: [usize; 2], scale: Scale, hidden: usize| -> Box<dyn Case> {
        let channels = random.between(least, most);
        let widths: Vec<usize> = (0..hidden).map(|_| random.between(least, 2 * most)).collect();
        let draws = Draws::Rates(random.rates(channels, &widths, scale));
        let what = format!("{scale:?} numbers, hidden layers {widths:?}");
        Box::new(Sampler { draws, what, time_steps, channels, seed: random.wide() })
    };
    let scales = [Scale::Small, Scale::Large];
    let mut cases = Vec::new();
    for channels in CHANNELS {
        for hidden in [0, 1, 2] {
            cases.extend(scales.map(|scale| case(channels, scale, hidden)));
        }
    }
    cases.push(largest_rate(random, time_steps));
    cases
}

/// Currents above all logits: a rate of 65,536. With 65,535 a spike would be missing in one draw of 65,536, so it is a
/// seed with such a draw.
fn largest_rate(random: &mut Random, time_steps: usize) -> Box<dyn Case> {
    let channels = random.between(CHANNELS[0][0], CHANNELS[0][1]);
    let logits = logits(8);
    let rates = |bias| {
        let layer = RateLayer {
            inputs: channels,
            outputs: channels,
            weights: vec![0; channels * channels].into(),
            bias: vec![bias; channels],
            exponent: 8,
        };
        Rates { layers: vec![layer], logits: logits.clone() }
    };
    let highest = logits[logits.len() - 1];
    let (always, nearly) = (rates(highest + 1), rates(highest));
    let differs = |seed: u64| {
        let draws = |rates| {
            (FIRST..).take(IMAGES).map(move |index| {
                rates::sample_rates(Processor::get(), rates, seed, index, time_steps).to_words()
            })
        };
        draws(&always).ne(draws(&nearly))
    };
    let mut seed = random.wide();
    while !differs(seed) {
        seed = random.wide();
    }
    let what = "the largest rate".into();
    Box::new(Sampler { draws: Draws::Rates(always), what, time_steps, channels, seed })
}

pub(super) fn resample(random: &mut Random, time_steps: usize) -> Vec<Box<dyn Case>> {
    let case = |[least, most]: [usize; 2]| -> Box<dyn Case> {
        // An invocation makes four.
        let channels = random.between(4 * least, 4 * most);
        let draws = Draws::Resample(random.trains(IMAGES * channels, time_steps));
        Box::new(Sampler { draws, what: "spike trains".into(), time_steps, channels, seed: random.wide() })
    };
    CHANNELS.map(case).into()
}

impl Case for Sampler {
    fn constants(&self, _: Variant, _: &wgpu::Limits) -> Vec<(&'static str, u32)> {
        match &self.draws {
            Draws::Rates(rates) => sample_rates::constants(self.time_steps, rates).to_vec(),
            Draws::Resample(_) => resample::constants(self.time_steps, self.channels).to_vec(),
        }
    }

    fn input(&self) -> String {
        let Sampler { what, time_steps, channels, seed, .. } = self;
        format!("{what}, T = {time_steps}, C = {channels}, seed {seed}, images {FIRST} and on")
    }

    fn images(&self) -> usize {
        IMAGES
    }

    fn shape(&self) -> Shape {
        Shape { side: 1, channels: self.channels, unit: Unit::Trains }
    }

    fn on_cpu(&self, processor: Processor) -> Vec<u32> {
        let &Sampler { time_steps, channels, seed, .. } = self;
        let image = |(n, index): (usize, u64)| match &self.draws {
            Draws::Rates(rates) => rates::sample_rates(processor, rates, seed, index, time_steps).to_words(),
            Draws::Resample(encoded) => {
                let encoded = &encoded[n * channels..][..channels];
                let encoded = Spikes::from_words(encoded, channels, time_steps);
                rates::resample(&encoded, seed, index).to_words()
            }
        };
        grouped(&(0..IMAGES).zip(FIRST..).flat_map(image).collect::<Vec<_>>(), channels)
    }

    fn on_gpu(&self, gpu: &Gpu, pipeline: &wgpu::ComputePipeline, _: u32) -> Dispatch {
        let start = storage(gpu, &[Run::new(self.seed, FIRST)]);
        let latents = results(gpu, IMAGES * self.shape().words());
        let pass = match &self.draws {
            Draws::Rates(rates) => {
                sample_rates::pass(gpu, pipeline, &start, &sample_rates::buffers(gpu, rates), &latents)
            }
            Draws::Resample(encoded) => {
                let encoded = storage(gpu, &grouped(encoded, self.channels));
                resample::pass(gpu, pipeline, self.channels, &start, &encoded, &latents)
            }
        };
        Dispatch { pass, results: Results::Buffer(latents) }
    }
}
