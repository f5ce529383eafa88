//! A network on a device: pipelines and weights, made once and shared by all that run it.

use std::sync::OnceLock;

use super::device::Gpu;
use super::kernels::{
    GroupedLayer, Kernel, LayerBuffers, conv_lif, conv_transpose_lif, image_lif, layer_constants, linear_lif,
    readout, rgba, tiles,
};
use super::sampler::{self, Sampler};
use super::variant::Variant;
use crate::architecture::Architecture;
#[cfg(all(feature = "threads", not(target_arch = "wasm32")))]
use crate::cpu::parallel::on_threads;
use crate::error::Result;
use crate::network::{Network, SpikingLayer};

/// What generation needs, and what the rest needs once it was asked for.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) gpu: Gpu,
    pub(crate) network: Network,
    pub(crate) variant: Variant,
    pub(super) prior: Sampler,
    pub(super) linear: wgpu::ComputePipeline,
    pub(super) conv_transpose: wgpu::ComputePipeline,
    pub(super) decoder_input: LayerBuffers,
    pub(super) decoder: Vec<LayerBuffers>,
    pub(super) readout: wgpu::ComputePipeline,
    pub(super) readout_buffers: readout::Buffers,
    encoder: OnceLock<EncoderModel>,
    rgba: OnceLock<wgpu::ComputePipeline>,
    tiles: OnceLock<wgpu::ComputePipeline>,
}

/// What encoding needs besides.
#[derive(Debug)]
pub(crate) struct EncoderModel {
    pub(super) image: wgpu::ComputePipeline,
    pub(super) image_layer: LayerBuffers,
    pub(super) conv: wgpu::ComputePipeline,
    pub(super) layers: Vec<LayerBuffers>,
    pub(super) latent: LayerBuffers,
    pub(super) posterior: Sampler,
}

impl Model {
    pub(crate) async fn new(gpu: &Gpu, network: &Network, variant: Variant) -> Result<Self> {
        let architecture = &network.architecture;
        let layers = layer_constants(architecture.time_steps, variant);
        let ((draw, prior), read) = (sampler::prior(network), readout::constants(&network.readout));
        let [prior, linear, conv_transpose, readout] = compile(
            gpu,
            [
                (draw, &prior),
                (&linear_lif::KERNEL, &layers),
                (&conv_transpose_lif::KERNEL, &layers),
                (&readout::KERNEL, &read),
            ],
        )
        .await?;
        gpu.checked(|| {
            trace!("fsvae.upload");
            let decoder = network.decoder.iter().enumerate();
            Model {
                gpu: gpu.clone(),
                network: network.clone(),
                variant,
                prior: Sampler::prior(gpu, network, prior),
                linear,
                conv_transpose,
                decoder_input: LayerBuffers::new(
                    gpu,
                    "fsvae.decoder_input",
                    &decoder_input(&network.decoder_input),
                    0,
                ),
                decoder: decoder
                    .map(|(i, layer)| {
                        LayerBuffers::new(gpu, "fsvae.decoder", &GroupedLayer::new(layer), 2 << i)
                    })
                    .collect(),
                readout,
                readout_buffers: readout::Buffers::new(gpu, &network.readout, architecture.image_side()),
                encoder: OnceLock::new(),
                rgba: OnceLock::new(),
                tiles: OnceLock::new(),
            }
        })
        .await
    }

    /// Made when it is first asked for: most users only generate.
    pub(crate) fn encoder(&self) -> Result<&EncoderModel> {
        once(&self.encoder, || self.gpu.checked_now(|| EncoderModel::new(self)))
    }

    /// The pipeline of [`rgba`].
    pub(crate) fn rgba(&self) -> Result<&wgpu::ComputePipeline> {
        self.presenter(&self.rgba, &rgba::KERNEL)
    }

    /// The pipeline of [`tiles`].
    pub(crate) fn tiles(&self) -> Result<&wgpu::ComputePipeline> {
        self.presenter(&self.tiles, &tiles::KERNEL)
    }

    fn presenter<'a>(
        &self,
        made: &'a OnceLock<wgpu::ComputePipeline>,
        kernel: &Kernel,
    ) -> Result<&'a wgpu::ComputePipeline> {
        let channels = [("IMAGE_CHANNELS", self.architecture().image_channels as u32)];
        once(made, || self.gpu.checked_now(|| kernel.pipeline(&self.gpu, &channels)))
    }

    pub(crate) fn architecture(&self) -> &Architecture {
        &self.network.architecture
    }
}

impl EncoderModel {
    fn new(model: &Model) -> Self {
        let Model { gpu, network, .. } = model;
        let architecture = &network.architecture;
        let side = architecture.image_side();
        let image = image_lif::constants(&network.image_layer, architecture.time_steps);
        let layer = |layer: &GroupedLayer, side| LayerBuffers::new(gpu, "fsvae.encoder", layer, side);
        let (draw, posterior) = sampler::posterior(network);
        EncoderModel {
            image: image_lif::KERNEL.pipeline(gpu, &image),
            image_layer: layer(&image_lif::grouped(&network.image_layer), side),
            conv: conv_lif::KERNEL.pipeline(gpu, &layer_constants(architecture.time_steps, model.variant)),
            layers: (network.encoder.iter().enumerate())
                .map(|(i, weights)| layer(&GroupedLayer::new(weights), side >> (i + 1)))
                .collect(),
            latent: LayerBuffers::new(gpu, "fsvae.latent", &GroupedLayer::new(&network.latent), 0),
            posterior: Sampler::posterior(gpu, network, draw.pipeline(gpu, &posterior)),
        }
    }
}

/// `OnceLock::get_or_try_init`, which is not stable. Two threads at once may both make one; the first is kept.
fn once<T>(made: &OnceLock<T>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    match made.get() {
        Some(made) => Ok(made),
        None => make().map(|new| made.get_or_init(|| new)),
    }
}

/// Compiles several kernels, each on a thread of its own where there are threads: drivers take their time.
async fn compile<const N: usize>(
    gpu: &Gpu,
    kernels: [(&Kernel, &[(&str, u32)]); N],
) -> Result<[wgpu::ComputePipeline; N]> {
    let one = |n: usize| {
        let (kernel, constants) = kernels[n];
        trace!("fsvae.compile");
        gpu.watch(|| kernel.pipeline(gpu, constants))
    };
    #[cfg(all(feature = "threads", not(target_arch = "wasm32")))]
    let made = on_threads(N, one);
    #[cfg(not(all(feature = "threads", not(target_arch = "wasm32"))))]
    let made = (0..N).map(one);
    let (pipelines, verdicts): (Vec<_>, Vec<_>) = made.into_iter().unzip();
    for verdict in verdicts {
        verdict.await?;
    }
    pipelines.try_into().map_or_else(|_| unreachable!("a pipeline for each kernel"), Ok)
}

/// The checkpoint flattens the 2x2 map channel, y, x; the kernels' maps are pixel by pixel.
fn decoder_input(layer: &SpikingLayer) -> GroupedLayer {
    let channels = layer.outputs / 4;
    let padded = channels.next_multiple_of(4);
    let outputs: Vec<Option<usize>> = (0..4)
        .flat_map(|pixel| (0..padded).map(move |channel| (channel < channels).then_some(channel * 4 + pixel)))
        .collect();
    GroupedLayer::of_outputs(layer, &outputs)
}
