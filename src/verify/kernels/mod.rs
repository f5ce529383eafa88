//! Every kernel against its twin, on random numbers.

mod layers;
mod presents;
mod rates;
mod readout;
mod samplers;

use super::compare::{Shape, Unit};
use super::outcome::{Name, Outcome};
use super::random::{Random, Scale};
use crate::cpu::vectors::Processor;
use crate::error::Result;
use crate::gpu::kernels::{GATHER, Kernel, Pass, constant_buffer, grouped, parts_of, sample};
use crate::gpu::readback::submit;
use crate::gpu::{Gpu, Variant};

/// What is checked together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Linear,
    Convolution,
    Transposed,
    Quads,
    Image,
    Readout,
    Prior,
    Posterior,
    Philox,
    Rgba,
    Tiles,
    Rates,
    Resample,
}

impl Part {
    pub(super) const ALL: [Part; 13] = [
        Part::Philox,
        Part::Linear,
        Part::Transposed,
        Part::Quads,
        Part::Convolution,
        Part::Image,
        Part::Readout,
        Part::Prior,
        Part::Posterior,
        Part::Rates,
        Part::Resample,
        Part::Rgba,
        Part::Tiles,
    ];

    /// What a processor has a way of its own for.
    pub(super) const CPU: [Part; 6] =
        [Part::Linear, Part::Transposed, Part::Convolution, Part::Readout, Part::Prior, Part::Posterior];

    pub(super) fn kernel(self) -> &'static Kernel {
        match self {
            Part::Linear | Part::Convolution | Part::Transposed | Part::Quads | Part::Image => {
                layers::kernel(self)
            }
            Part::Readout => &crate::gpu::kernels::readout::KERNEL,
            Part::Prior | Part::Posterior => &crate::gpu::kernels::sample::KERNEL,
            Part::Rates => &crate::gpu::kernels::sample_rates::KERNEL,
            Part::Resample => &crate::gpu::kernels::resample::KERNEL,
            Part::Philox => &crate::gpu::kernels::philox_words::KERNEL,
            Part::Rgba | Part::Tiles => presents::kernel(self),
        }
    }

    /// Both uses of the sampler are told apart.
    pub(super) fn name(self) -> &'static str {
        match self {
            Part::Prior => "sample (prior)",
            Part::Posterior => "sample (posterior)",
            _ => self.kernel().name,
        }
    }

    fn cases(self, seed: u64, round: u32) -> Vec<Box<dyn Case>> {
        let random = &mut Random::new(seed, self as u32, round);
        // The first round has several fours of steps, and a last four that is not whole.
        let steps = [21, 16, 32, 9, 1, 30][round as usize % 6];
        match self {
            Part::Linear | Part::Convolution | Part::Transposed | Part::Quads | Part::Image => {
                layers::cases(self, random, steps)
            }
            Part::Readout => readout::cases(random, steps),
            Part::Prior | Part::Posterior => samplers::cases(self, random, steps),
            Part::Rates => rates::rates(random, steps),
            Part::Resample => rates::resample(random, steps),
            Part::Philox | Part::Rgba | Part::Tiles => presents::cases(self, random),
        }
    }
}

/// A kernel and numbers for it.
trait Case {
    /// The constants in front of the shader.
    fn constants(&self, variant: Variant, limits: &wgpu::Limits) -> Vec<(&'static str, u32)>;
    /// The numbers in one phrase.
    fn input(&self) -> String;
    fn images(&self) -> usize;
    fn shape(&self) -> Shape;
    /// What the twin gives, as the kernel lays it out.
    fn on_cpu(&self, processor: Processor) -> Vec<u32>;
    fn on_gpu(&self, gpu: &Gpu, pipeline: &wgpu::ComputePipeline, parts: u32) -> Dispatch;
}

/// A dispatch, what it writes, and which of its images count.
struct Dispatch {
    pass: Pass,
    results: Results,
}

enum Results {
    Buffer(wgpu::Buffer),
    /// Rows are multiples of 256 bytes.
    Texture(wgpu::Texture),
}

/// Compares a kernel in all its variants, each with the same numbers.
pub(super) async fn on_gpu(gpu: &Gpu, part: Part, seed: u64, round: u32) -> Result<Vec<Vec<Outcome>>> {
    let kernel = part.kernel();
    let variants = match kernel.name {
        name if name == sample::KERNEL.name => &Variant::SAMPLERS[..],
        _ if kernel.parts.contains(&GATHER) => &Variant::GATHERS[..],
        _ => &Variant::GATHERS[..1],
    };
    let cases = part.cases(seed, round);
    let expected: Vec<Vec<u32>> = cases.iter().map(|case| case.on_cpu(Processor::get())).collect();
    let mut all = Vec::new();
    for &variant in variants {
        let mut outcomes = Vec::new();
        let mut compiled = None;
        for (case, expected) in cases.iter().zip(&expected) {
            let constants = case.constants(variant, &gpu.device.limits());
            // Cases with the same constants share a pipeline.
            let pipeline = match compiled.take() {
                Some((of, pipeline)) if of == constants => pipeline,
                _ => gpu.checked(|| kernel.pipeline(gpu, &constants)).await?,
            };
            let dispatch = gpu.checked(|| case.on_gpu(gpu, &pipeline, parts_of(&constants))).await?;
            let found = dispatch.run(gpu, case.images(), 4 * expected.len() as u64).await?;
            outcomes.push(Outcome {
                name: Name {
                    kernel: part.name(),
                    variant: (variants.len() > 1).then(|| variant.name()),
                    layer: None,
                    input: case.input(),
                },
                shape: case.shape(),
                expected: expected.clone(),
                found,
                digest: None,
            });
            compiled = Some((constants, pipeline));
        }
        all.push(outcomes);
    }
    Ok(all)
}

/// Compares an instruction set with the portable code.
pub(super) fn on_cpu(
    processor: Processor,
    portable: Processor,
    part: Part,
    seed: u64,
    round: u32,
) -> Vec<Outcome> {
    let outcome = |case: &dyn Case| Outcome {
        name: Name { kernel: part.name(), variant: Some(processor.name()), layer: None, input: case.input() },
        shape: case.shape(),
        expected: case.on_cpu(portable),
        found: case.on_cpu(processor),
        digest: None,
    };
    part.cases(seed, round).iter().map(|case| outcome(&**case)).collect()
}

impl Dispatch {
    async fn run(&self, gpu: &Gpu, images: usize, bytes: u64) -> Result<Vec<u32>> {
        submit(gpu, bytes, |encoder, readback| {
            self.pass.record(&mut encoder.begin_compute_pass(&Default::default()), images as u32);
            match &self.results {
                Results::Buffer(buffer) => encoder.copy_buffer_to_buffer(buffer, 0, readback, 0, bytes),
                Results::Texture(texture) => {
                    let layout = wgpu::TexelCopyBufferLayout {
                        offset: 0,
                        bytes_per_row: Some(4 * texture.width()),
                        rows_per_image: None,
                    };
                    let target = wgpu::TexelCopyBufferInfo { buffer: readback, layout };
                    encoder.copy_texture_to_buffer(texture.as_image_copy(), target, texture.size());
                }
            }
        })
        .await
    }
}

/// A storage buffer with contents.
fn storage<T: bytemuck::NoUninit>(gpu: &Gpu, contents: &[T]) -> wgpu::Buffer {
    constant_buffer(gpu, "fsvae.verify", contents, wgpu::BufferUsages::STORAGE)
}

/// A storage buffer for results, full of ones so that a word that is not written shows.
fn results(gpu: &Gpu, words: usize) -> wgpu::Buffer {
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
    constant_buffer(gpu, "fsvae.verify", &vec![u32::MAX; words], usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is compared is anything but silence or saturation.
    #[test]
    fn the_random_numbers_make_spikes() {
        for part in Part::ALL {
            for round in 0..6 {
                for case in part.cases(7, round) {
                    let words = case.on_cpu(Processor::get());
                    assert!(words.len().is_multiple_of(case.shape().words()), "{part:?}: {}", case.input());
                    let bits: u32 = words.iter().map(|word| word.count_ones()).sum();
                    assert!(bits > 0, "{part:?}: {}", case.input());
                }
            }
        }
    }

    #[test]
    fn instruction_sets_agree_with_the_portable_one() {
        let all = Processor::all();
        let portable = *all.last().expect("the portable one");
        for processor in all {
            for part in Part::CPU {
                for outcome in on_cpu(processor, portable, part, 7, 0) {
                    assert_eq!(outcome.fault(), None);
                }
            }
        }
    }
}
