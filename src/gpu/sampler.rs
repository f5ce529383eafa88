//! What draws latents on a device: the kernels of the network's family.

use super::device::Gpu;
use super::kernels::{Kernel, Pass, resample, sample, sample_rates};
use super::variant::Variant;
use super::variants::Size;
use crate::layer::SpikingLayer;
use crate::network::{self, Network};
use crate::philox::Stream;

/// A kernel with the constants in front of it.
pub(super) type Source = (&'static Kernel, Vec<(&'static str, u32)>);

/// The prior or the posterior in a device's memory.
#[derive(Debug)]
pub(crate) struct Sampler {
    /// Of batches of each [`Size`].
    pipelines: [wgpu::ComputePipeline; 2],
    buffers: Buffers,
}

#[derive(Debug)]
enum Buffers {
    Layers(wgpu::Buffer),
    Rates([wgpu::Buffer; 2]),
    /// Of so many channels.
    Resample(usize),
}

/// The prior's kernel, on a device of these limits.
pub(super) fn prior(network: &Network, variant: Variant, limits: &wgpu::Limits) -> Source {
    match &network.sampler {
        network::Sampler::Layers { prior, .. } => layers(network, prior, Stream::Prior, variant, limits),
        network::Sampler::Rates(rates) => {
            let steps = network.architecture.time_steps;
            (&sample_rates::KERNEL, sample_rates::constants(steps, rates).into())
        }
    }
}

/// The posterior's kernel, on a device of these limits.
pub(super) fn posterior(network: &Network, variant: Variant, limits: &wgpu::Limits) -> Source {
    match &network.sampler {
        network::Sampler::Layers { posterior, .. } => {
            layers(network, posterior, Stream::Posterior, variant, limits)
        }
        network::Sampler::Rates(rates) => {
            let steps = network.architecture.time_steps;
            (&resample::KERNEL, resample::constants(steps, rates.channels()).into())
        }
    }
}

fn layers(
    network: &Network,
    [.., last]: &[SpikingLayer; 3],
    stream: Stream,
    variant: Variant,
    limits: &wgpu::Limits,
) -> Source {
    let (steps, channels) = (network.architecture.time_steps, network.architecture.latent_channels);
    let manner = sample::Manner::new(variant, channels, steps, limits);
    (&sample::KERNEL, sample::constants(steps, channels, last.outputs / channels, stream, manner).into())
}

impl Sampler {
    /// `pipelines` are of [`prior`].
    pub(super) fn prior(gpu: &Gpu, network: &Network, pipelines: [wgpu::ComputePipeline; 2]) -> Self {
        let buffers = match &network.sampler {
            network::Sampler::Layers { prior, .. } => Buffers::Layers(sample::buffer(gpu, prior)),
            network::Sampler::Rates(rates) => Buffers::Rates(sample_rates::buffers(gpu, rates)),
        };
        Sampler { pipelines, buffers }
    }

    /// `pipeline` is one of [`posterior`].
    pub(super) fn posterior(gpu: &Gpu, network: &Network, pipeline: wgpu::ComputePipeline) -> Self {
        let buffers = match &network.sampler {
            network::Sampler::Layers { posterior, .. } => Buffers::Layers(sample::buffer(gpu, posterior)),
            network::Sampler::Rates(_) => Buffers::Resample(network.architecture.latent_channels),
        };
        Sampler { pipelines: [pipeline.clone(), pipeline], buffers }
    }

    /// Draws z of the images `run` starts at into `latents`, `[images, latent words]`. `encoded` are the encoder's
    /// spikes of the same shape; a prior takes any buffer.
    pub(super) fn pass(
        &self,
        gpu: &Gpu,
        size: Size,
        run: &wgpu::Buffer,
        encoded: &wgpu::Buffer,
        latents: &wgpu::Buffer,
    ) -> Pass {
        let pipeline = &self.pipelines[size as usize];
        match &self.buffers {
            Buffers::Layers(network) => sample::pass(gpu, pipeline, run, network, encoded, latents),
            Buffers::Rates(buffers) => sample_rates::pass(gpu, pipeline, run, buffers, latents),
            Buffers::Resample(channels) => resample::pass(gpu, pipeline, *channels, run, encoded, latents),
        }
    }
}

/// What the samplers ask of a device.
pub(super) struct Needs {
    /// Bytes of the largest buffer.
    pub(super) binding: u64,
    pub(super) workgroup_bytes: usize,
    pub(super) kernels: Vec<&'static Kernel>,
}

impl Needs {
    pub(super) fn new(network: &Network) -> Self {
        let (steps, channels) = (network.architecture.time_steps, network.architecture.latent_channels);
        let (binding, workgroup_bytes) = match &network.sampler {
            network::Sampler::Layers { prior, posterior } => {
                let largest = sample::bytes(prior).max(sample::bytes(posterior));
                (largest, sample::workgroup_bytes(channels, steps, false))
            }
            network::Sampler::Rates(rates) => {
                (sample_rates::largest(rates), sample_rates::workgroup_bytes(rates))
            }
        };
        let (usual, limits) = (Variant::default(), wgpu::Limits::default());
        let kernels = vec![prior(network, usual, &limits).0, posterior(network, usual, &limits).0];
        Needs { binding: binding as u64, workgroup_bytes, kernels }
    }
}
