//! A network on a device: pipelines and weights, made once and shared by all that run it.

use std::sync::OnceLock;

use super::device::Gpu;
use super::kernels::{Kernel, Loops, proof, readout, rgba, tiles};
use super::layer::{DeviceLayer, Way, sources};
use super::sampler::{self, Sampler, Source};
use super::variants::{SAMPLER, Size, Variants};
use crate::architecture::Architecture;
use crate::aside::aside;
use crate::error::Result;
use crate::network::Network;

/// What generation needs, and what the rest needs once it was asked for.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) gpu: Gpu,
    pub(crate) network: Network,
    pub(crate) variants: Variants,
    pub(super) prior: Sampler,
    pub(super) decoder: Vec<DeviceLayer>,
    pub(super) readout: wgpu::ComputePipeline,
    pub(super) proof: wgpu::ComputePipeline,
    pub(super) readout_buffers: readout::Buffers,
    encoder: OnceLock<EncoderModel>,
    presenters: [OnceLock<wgpu::ComputePipeline>; 2],
}

/// What encoding needs besides.
#[derive(Debug)]
pub(crate) struct EncoderModel {
    pub(super) layers: Vec<DeviceLayer>,
    pub(super) posterior: Sampler,
}

impl Model {
    pub(crate) async fn new(gpu: &Gpu, network: &Network, variants: Variants) -> Result<Self> {
        let architecture = &network.architecture;
        let read = readout::constants(&network.readout, architecture.image_side()).to_vec();
        let rest = [(&readout::KERNEL, read), (&proof::KERNEL, Vec::new())];
        let rest = rest.map(|source| (source, variants.rest().loops()));
        let limits = gpu.device.limits();
        let mut all: Vec<(Source, Loops)> = Vec::new();
        for size in Size::ALL {
            let variant = variants.at(SAMPLER, size);
            all.push((sampler::prior(network, variant, &limits), variant.loops()));
        }
        all.extend(rest);
        for size in Size::ALL {
            let of = |layer| variants.at(SAMPLER + 1 + layer, size);
            all.extend(sources(gpu, &network.decoder, architecture.time_steps, of));
        }
        let pipelines = compile_all(gpu, &all).await?;
        let [small, large, readout, proof, pipelines @ ..] = &pipelines[..] else {
            unreachable!("a pipeline for each kernel")
        };
        let layers = network.decoder.len();
        let way = |at: usize| Way::new(&all[4 + at].0, pipelines[at].clone());
        gpu.checked(|| {
            trace!("fsvae.upload");
            Model {
                gpu: gpu.clone(),
                network: network.clone(),
                variants,
                prior: Sampler::prior(gpu, network, [small.clone(), large.clone()]),
                decoder: (network.decoder.iter().enumerate())
                    .map(|(at, layer)| DeviceLayer::new(gpu, layer, [way(at), way(layers + at)]))
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
            let loops = self.variants.rest().loops();
            let sources = PRESENTERS.map(|kernel| ((kernel, self.presented()), loops));
            let compiled = compile_all(&self.gpu, &sources).await?;
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
            let pipeline = self.gpu.checked_now(|| {
                PRESENTERS[n].pipeline_with(&self.gpu, &self.presented(), self.variants.rest().loops())
            })?;
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
        let Model { gpu, network, variants, .. } = model;
        let variant = variants.rest();
        let limits = gpu.device.limits();
        let mut all = vec![(sampler::posterior(network, variant, &limits), variant.loops())];
        all.extend(sources(gpu, &network.encoder, network.architecture.time_steps, |_| variant));
        let pipelines = compile_all(gpu, &all).await?;
        let [posterior, pipelines @ ..] = &pipelines[..] else { unreachable!("a pipeline for each kernel") };
        let way = |at: usize| Way::new(&all[1 + at].0, pipelines[at].clone());
        gpu.checked(|| EncoderModel {
            layers: (network.encoder.iter().enumerate())
                .map(|(at, layer)| DeviceLayer::new(gpu, layer, [way(at), way(at)]))
                .collect(),
            posterior: Sampler::posterior(gpu, network, posterior.clone()),
        })
        .await
    }
}

/// Compiles kernels, each on a thread of its own where there are threads: drivers take their time, and whoever awaits this
/// does something else. Where the same comes again there is one pipeline.
async fn compile_all(gpu: &Gpu, sources: &[(Source, Loops)]) -> Result<Vec<wgpu::ComputePipeline>> {
    let same = |(a, a_loops): &(Source, Loops), (b, b_loops): &(Source, Loops)| {
        a.0.name == b.0.name && a.1 == b.1 && a_loops == b_loops
    };
    let mut unlike: Vec<&(Source, Loops)> = Vec::new();
    for source in sources {
        if !unlike.iter().any(|other| same(other, source)) {
            unlike.push(source);
        }
    }
    let begin = |source: &&(Source, Loops)| {
        let (gpu, ((kernel, constants), loops)) = (gpu.clone(), (*source).clone());
        aside(move || {
            trace!("fsvae.compile");
            gpu.watch(|| kernel.pipeline_with(&gpu, &constants, loops))
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

#[cfg(all(test, feature = "bundled", feature = "verify"))]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::thread::ThreadId;

    use crate::gpu::testing::{Planted, gpus};
    use crate::gpu::{Origin, Target};
    use crate::{Checkpoint, Generator, Network};

    /// Whoever awaits a generator has other things to do, and who prepared it is never held up later.
    #[test]
    fn kernels_are_compiled_on_other_threads() {
        let network =
            Network::new(&Checkpoint::bundled("mnist").expect("bundled").expect("valid")).expect("valid");
        for gpu in gpus() {
            let compiled: Arc<Mutex<Vec<(&str, ThreadId)>>> = Arc::default();
            let noted = compiled.clone();
            let mut gpu = gpu.clone();
            gpu.planted = Planted::new(move |kernel, source| {
                noted.lock().expect("a lock").push((kernel, std::thread::current().id()));
                source
            });
            let own = std::thread::current().id();
            let new = |what: &str, least: usize| {
                let compiled = std::mem::take(&mut *compiled.lock().expect("a lock"));
                assert!(compiled.len() >= least, "{what}: {compiled:?}");
                let here: Vec<&str> =
                    compiled.iter().filter(|(_, thread)| *thread == own).map(|(kernel, _)| *kernel).collect();
                assert_eq!(here, [""; 0], "{}, {what}: compiled by who awaits it", gpu.name());
                compiled.len()
            };
            let batch = 1.try_into().expect("not 0");
            let builder = Generator::builder(&network).batch(batch);
            let generator = pollster::block_on(builder.gpu(&gpu)).expect("a generator");
            // The sampler, the linear layer, one or more of the others, the readout, the proof.
            new("a generator", 5);
            pollster::block_on(generator.prepare()).expect("prepared");
            // The first layer, the others, the last, the posterior; pictures in a buffer and in a texture.
            new("prepared", 6);

            let image = generator.generate(7, 0..1).expect("an image").into_bytes();
            generator.reconstruct(&image, 7, 0).expect("an image");
            let usage =
                wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
            let buffer = gpu.buffer("test", 8 * image.len() as u64, usage);
            let texture = gpu.device.create_texture(&wgpu::TextureDescriptor {
                label: Some("test"),
                size: wgpu::Extent3d { width: 32, height: 32, depth_or_array_layers: 1 },
                mip_level_count: 1,
                sample_count: 1,
                dimension: wgpu::TextureDimension::D2,
                format: wgpu::TextureFormat::Rgba8Unorm,
                usage: wgpu::TextureUsages::STORAGE_BINDING,
                view_formats: &[],
            });
            let (offset, count) = (0, 1);
            let origin = Origin::Images { buffer: &buffer, offset, seed: 7, first: 0, count };
            let targets = [Target::Rgba { buffer: &buffer, offset: 4096 }, Target::tiles(&texture, 1)];
            generator.commands(origin, &targets).expect("recorded");
            assert_eq!(new("used", 0), 0, "{}: something was not prepared", gpu.name());
        }
    }
}
