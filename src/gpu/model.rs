//! A network on a device: pipelines and weights, made once and shared by all that run it.

use std::sync::OnceLock;

use super::device::Gpu;
use super::kernels::{
    GroupedLayer, Kernel, LayerBuffers, conv_lif, image_lif, layer_constants, linear_lif, proof, readout,
    rgba, tiles,
};
use super::sampler::{self, Sampler, Source};
use super::transposed::{self, Transposed};
use super::variant::Variant;
use crate::architecture::Architecture;
use crate::aside::aside;
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
    pub(super) decoder_input: LayerBuffers,
    pub(super) decoder: Vec<Transposed>,
    pub(super) readout: wgpu::ComputePipeline,
    pub(super) proof: wgpu::ComputePipeline,
    pub(super) readout_buffers: readout::Buffers,
    encoder: OnceLock<EncoderModel>,
    presenters: [OnceLock<wgpu::ComputePipeline>; 2],
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
        let mut sources = vec![
            (draw, prior),
            (&linear_lif::KERNEL, layers.to_vec()),
            (&readout::KERNEL, read.to_vec()),
            (&proof::KERNEL, Vec::new()),
        ];
        let workgroup_bytes = gpu.device.limits().max_compute_workgroup_storage_size;
        let transposed = transposed::sources(network, variant, workgroup_bytes);
        sources.extend_from_slice(&transposed);
        let pipelines = compile_all(gpu, &sources).await?;
        let [prior, linear, readout, proof, pipelines @ ..] = &pipelines[..] else {
            unreachable!("a pipeline for each kernel")
        };
        gpu.checked(|| {
            trace!("fsvae.upload");
            let decoder = network.decoder.iter().zip(&transposed).zip(pipelines).enumerate();
            Model {
                gpu: gpu.clone(),
                network: network.clone(),
                variant,
                prior: Sampler::prior(gpu, network, prior.clone()),
                linear: linear.clone(),
                decoder_input: LayerBuffers::new(
                    gpu,
                    "fsvae.decoder_input",
                    &decoder_input(&network.decoder_input),
                    0,
                ),
                decoder: decoder
                    .map(|(i, ((layer, source), pipeline))| {
                        Transposed::new(gpu, layer, i, source, pipeline.clone())
                    })
                    .collect(),
                readout: readout.clone(),
                proof: proof.clone(),
                readout_buffers: readout::Buffers::new(gpu, &network.readout, architecture.image_side()),
                encoder: OnceLock::new(),
                presenters: Default::default(),
            }
        })
        .await
    }

    /// Made when it is first asked for: most users only generate.
    pub(crate) async fn prepare_encoder(&self) -> Result<&EncoderModel> {
        match self.encoder.get() {
            Some(made) => Ok(made),
            None => {
                let made = EncoderModel::new(self).await?;
                Ok(self.encoder.get_or_init(|| made))
            }
        }
    }

    /// Compiles the kernels that present images, the first time.
    pub(crate) async fn prepare_presenters(&self) -> Result<()> {
        if self.presenters.iter().any(|made| made.get().is_none()) {
            let compiled = compile(&self.gpu, PRESENTERS.map(|kernel| (kernel, self.presented()))).await?;
            for (place, made) in self.presenters.iter().zip(compiled) {
                let _ = place.set(made);
            }
        }
        Ok(())
    }

    /// The pipeline of [`rgba`]; compiled now, unless it was prepared.
    pub(crate) fn rgba(&self) -> Result<&wgpu::ComputePipeline> {
        self.presenter(0)
    }

    /// The pipeline of [`tiles`]; compiled now, unless it was prepared.
    pub(crate) fn tiles(&self) -> Result<&wgpu::ComputePipeline> {
        self.presenter(1)
    }

    fn presenter(&self, n: usize) -> Result<&wgpu::ComputePipeline> {
        let made = &self.presenters[n];
        if made.get().is_none() {
            let pipeline = self.gpu.checked_now(|| PRESENTERS[n].pipeline(&self.gpu, &self.presented()))?;
            let _ = made.set(pipeline);
        }
        made.get().ok_or_else(|| unreachable!("it was just made"))
    }

    /// The constants of the kernels that present images.
    fn presented(&self) -> Vec<(&'static str, u32)> {
        vec![("IMAGE_CHANNELS", self.architecture().image_channels as u32)]
    }

    pub(crate) fn architecture(&self) -> &Architecture {
        &self.network.architecture
    }
}

/// See [`Model::rgba`] and [`Model::tiles`].
const PRESENTERS: [&Kernel; 2] = [&rgba::KERNEL, &tiles::KERNEL];

impl EncoderModel {
    async fn new(model: &Model) -> Result<Self> {
        let Model { gpu, network, .. } = model;
        let architecture = &network.architecture;
        let side = architecture.image_side();
        let constants = image_lif::constants(&network.image_layer, architecture.time_steps);
        let layer = |layer: &GroupedLayer, side| LayerBuffers::new(gpu, "fsvae.encoder", layer, side);
        let (draw, posterior) = sampler::posterior(network);
        let layers = layer_constants(architecture.time_steps, model.variant);
        let [image, conv, sampler] = compile(
            gpu,
            [
                (&image_lif::KERNEL, constants.to_vec()),
                (&conv_lif::KERNEL, layers.to_vec()),
                (draw, posterior),
            ],
        )
        .await?;
        gpu.checked(|| EncoderModel {
            image,
            image_layer: layer(&image_lif::grouped(&network.image_layer), side),
            conv,
            layers: (network.encoder.iter().enumerate())
                .map(|(i, weights)| layer(&GroupedLayer::new(weights), side >> (i + 1)))
                .collect(),
            latent: LayerBuffers::new(gpu, "fsvae.latent", &GroupedLayer::new(&network.latent), 0),
            posterior: Sampler::posterior(gpu, network, sampler),
        })
        .await
    }
}

/// [`compile_all`] for a number of kernels that is known.
async fn compile<const N: usize>(gpu: &Gpu, sources: [Source; N]) -> Result<[wgpu::ComputePipeline; N]> {
    let pipelines = compile_all(gpu, &sources).await?;
    pipelines.try_into().map_or_else(|_| unreachable!("a pipeline for each kernel"), Ok)
}

/// Compiles kernels, each on a thread of its own where there are threads: drivers take their time, and whoever awaits this
/// does something else. Where the same comes again there is one pipeline.
async fn compile_all(gpu: &Gpu, sources: &[Source]) -> Result<Vec<wgpu::ComputePipeline>> {
    let same = |a: &Source, b: &Source| a.0.name == b.0.name && a.1 == b.1;
    let mut unlike: Vec<&Source> = Vec::new();
    for source in sources {
        if !unlike.iter().any(|other| same(other, source)) {
            unlike.push(source);
        }
    }
    let begin = |source: &&Source| {
        let (gpu, (kernel, constants)) = (gpu.clone(), (*source).clone());
        aside(move || {
            trace!("fsvae.compile");
            gpu.watch(|| kernel.pipeline(&gpu, &constants))
        })
    };
    // All are begun before one is waited for.
    let pending: Vec<_> = unlike.iter().map(begin).collect();
    // None goes on behind the caller's back, not even where one fails.
    let mut compiled = Vec::new();
    for pending in pending {
        compiled.push(match pending.await {
            Ok((pipeline, verdict)) => verdict.await.map(|()| pipeline),
            Err(error) => Err(error),
        });
    }
    let compiled = compiled.into_iter().collect::<Result<Vec<_>>>()?;
    let of = |source| unlike.iter().position(|other| same(other, source)).map(|at| compiled[at].clone());
    Ok(sources.iter().filter_map(of).collect())
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
