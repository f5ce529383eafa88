//! Whole networks, layer by layer.

use super::compare::{Shape, Unit};
use super::fault::Layer;
use super::known;
use super::outcome::{Name, Outcome};
use crate::architecture::Architecture;
use crate::cpu::Cpu;
use crate::cpu::vectors::Processor;
use crate::error::Result;
use crate::family::Family;
use crate::gpu::kernels::sample::Run;
use crate::gpu::kernels::{Pass, grouped};
use crate::gpu::plan::{EncoderPlan, Plan};
use crate::gpu::readback::submit;
use crate::gpu::{Gpu, Model, Variant};
use crate::layer::{self, Kind};
use crate::network::Network;

/// A network with what its layers must give.
#[derive(Debug)]
pub(super) struct Trial {
    /// Its name in a report.
    model: &'static str,
    /// What it is, in one phrase.
    what: String,
    network: Network,
    /// Pictures to encode; as many images are generated.
    pictures: Vec<Vec<u8>>,
    layers: Vec<Expected>,
}

/// What one layer must give for all images, encoding first.
#[derive(Debug)]
struct Expected {
    name: String,
    kernel: &'static str,
    shape: Shape,
    words: Vec<u32>,
    digest: Option<&'static str>,
}

/// A network on a device.
#[derive(Debug)]
pub(super) struct Loaded {
    model: Model,
    variant: Variant,
    plan: Plan,
    encoder: EncoderPlan,
}

impl Trial {
    /// The layers as `processor` computes them.
    pub(super) fn new(
        model: &'static str,
        what: String,
        network: Network,
        images: usize,
        processor: Processor,
    ) -> Self {
        let architecture = network.architecture.clone();
        let pictures: Vec<Vec<u8>> = (0..images).map(|n| known::picture(n, &architecture)).collect();
        let traces = traces(&Cpu::on(processor, &network), &pictures);
        let layers = layers(&architecture)
            .into_iter()
            .zip(traces)
            .map(|((name, kernel, shape), words)| Expected {
                digest: known::digest(model, &name),
                name,
                kernel,
                shape,
                words,
            })
            .collect();
        Trial { model, what, network, pictures, layers }
    }

    pub(super) async fn load(&self, gpu: &Gpu, variant: Variant) -> Result<Loaded> {
        let model = Model::new(gpu, &self.network, variant.into()).await?;
        let plan = gpu.checked(|| Plan::new(&model, self.pictures.len())).await??;
        let weights = model.prepare_encoder().await?;
        let encoder = gpu.checked(|| plan.encoder(&model, weights)).await?;
        Ok(Loaded { model, variant, plan, encoder })
    }

    /// Encoding and generation, each from its first layer to its last.
    pub(super) async fn on_gpu(&self, loaded: &Loaded) -> Result<[Vec<Outcome>; 2]> {
        let Loaded { model: Model { gpu, .. }, variant, plan, encoder } = loaded;
        let images = self.pictures.len().min(plan.capacity);
        let variant = Some(variant.name());
        let (encoding, generation) = (plan.encoding(encoder), plan.generation(images));
        // Variants have kernels of their own.
        let kernels: Vec<&str> = encoding.iter().chain(&generation).map(|(pass, _)| pass.kernel).collect();
        let sizes: Vec<u64> =
            self.layers.iter().map(|layer| 4 * (layer.shape.words() * images) as u64).collect();
        let found = submit(gpu, sizes.iter().sum(), |commands, readback| {
            gpu.queue.write_buffer(&plan.run, 0, bytemuck::bytes_of(&Run::new(known::SEED, 0)));
            gpu.queue.write_buffer(&encoder.images, 0, &self.pictures[..images].concat());
            let mut at = 0;
            let mut run = |(pass, output): (&Pass, &wgpu::Buffer), size: u64| {
                pass.record(&mut commands.begin_compute_pass(&Default::default()), images as u32);
                commands.copy_buffer_to_buffer(output, 0, readback, at, size);
                at += size;
            };
            encoding.into_iter().chain(generation).zip(&sizes).for_each(|(stage, size)| run(stage, *size));
        })
        .await?;
        let mut at = 0;
        let found = sizes.iter().map(|&size| {
            let start = at;
            at += size as usize / 4;
            found[start..at].to_vec()
        });
        Ok(self.outcomes(variant, images, kernels.into_iter().zip(found)))
    }

    pub(super) fn on_cpu(&self, processor: Processor) -> [Vec<Outcome>; 2] {
        let found = traces(&Cpu::on(processor, &self.network), &self.pictures);
        let kernels = self.layers.iter().map(|layer| layer.kernel);
        self.outcomes(Some(processor.name()), self.pictures.len(), kernels.zip(found))
    }

    fn outcomes(
        &self,
        variant: Option<&'static str>,
        images: usize,
        found: impl Iterator<Item = (&'static str, Vec<u32>)>,
    ) -> [Vec<Outcome>; 2] {
        let outcome = |layer: &Expected, (kernel, found)| Outcome {
            name: Name {
                kernel,
                variant,
                layer: Some(Layer { model: self.model.into(), layer: layer.name.clone() }),
                input: format!("{}, seed {}, images 0 to {}", self.what, known::SEED, images - 1),
            },
            shape: layer.shape,
            expected: layer.words[..layer.shape.words() * images].to_vec(),
            found,
            digest: layer.digest.filter(|_| images >= known::IMAGES),
        };
        let mut encoding: Vec<Outcome> =
            self.layers.iter().zip(found).map(|(layer, found)| outcome(layer, found)).collect();
        let generation = encoding.split_off(self.network.architecture.depth() + 2);
        [encoding, generation]
    }

    #[cfg(test)]
    pub(super) fn tamper(&mut self, layer: &str) {
        for expected in self.layers.iter_mut().filter(|expected| expected.name == layer) {
            expected.words[0] ^= 1;
        }
    }
}

/// Name, kernel and shape of what each layer gives.
fn layers(architecture: &Architecture) -> Vec<(String, &'static str, Shape)> {
    let spiking = |layer: layer::Shape| {
        let layer::Shape { kind, ref name, .. } = layer;
        let kernel = match kind {
            Kind::Image => "image_lif",
            Kind::Convolution => "conv_lif",
            Kind::Transposed => "conv_transpose_lif",
            Kind::Linear | Kind::Unfold | Kind::Rates => "linear_lif",
            Kind::Readout => "readout",
        };
        let (map, unit) = (layer.map(), if kind == Kind::Readout { Unit::Bytes } else { Unit::Trains });
        (name.clone(), kernel, Shape { side: map.side, channels: map.channels, unit })
    };
    let [posterior, prior] = match architecture.family {
        Family::Fsvae { .. } => ["sample", "sample"],
        Family::Esvae => ["resample", "sample_rates"],
    };
    let latent = Shape { side: 1, channels: architecture.latent_channels, unit: Unit::Trains };
    let drawn = [("posterior".into(), posterior, latent), ("prior".into(), prior, latent)];
    let decoder = architecture.decoder().into_iter().chain([architecture.readout()]);
    architecture.encoder().into_iter().map(spiking).chain(drawn).chain(decoder.map(spiking)).collect()
}

/// What each layer gives, for all pictures one after the other, as the kernels lay it out.
fn traces(cpu: &Cpu, pictures: &[Vec<u8>]) -> Vec<Vec<u32>> {
    let mut all: Vec<Vec<u32>> = Vec::new();
    let shapes = layers(&cpu.network().architecture);
    for (picture, index) in pictures.iter().zip(0..) {
        let mut layers = cpu.trace_encoding(picture, known::SEED, index);
        let (decoder, image) = cpu.trace_generation(known::SEED, index);
        layers.extend(decoder);
        layers.push(bytemuck::pod_collect_to_vec(&image));
        all.resize(layers.len(), Vec::new());
        for ((all, (.., shape)), words) in all.iter_mut().zip(&shapes).zip(layers) {
            match shape.unit {
                Unit::Trains => all.extend(grouped(&words, shape.channels)),
                _ => all.extend(words),
            }
        }
    }
    all
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use super::*;
    use crate::verify::Fault;
    use crate::verify::fault::WrongDigest;

    fn trial((name, network): (&'static str, Network)) -> Trial {
        Trial::new(name, String::new(), network, known::IMAGES, Processor::get())
    }

    fn faults(trial: &Trial) -> Vec<Fault> {
        trial.on_cpu(Processor::get()).into_iter().flatten().filter_map(|outcome| outcome.fault()).collect()
    }

    /// Every layer of every model has a digest, and the CPU's numbers have it.
    #[test]
    fn the_cpu_agrees_with_the_oracle_layer_by_layer() {
        for bundled in crate::verify::bundled().expect("bundled") {
            let trial = trial(bundled);
            assert!(trial.layers.iter().all(|layer| layer.digest.is_some()), "{}", trial.model);
            assert_eq!(faults(&trial), []);
        }
    }

    /// What the CPU and a device have wrong together is seen, and it is the CPU that is named.
    #[test]
    fn a_cpu_that_the_oracle_disagrees_with_is_named() {
        let mut trial = trial(crate::verify::bundled().expect("bundled").swap_remove(0));
        trial.tamper("decoder.1");
        let faults = faults(&trial);
        let [Fault::Digest(WrongDigest { layer, expected, twin, found })] = &faults[..] else {
            panic!("{faults:?}")
        };
        assert_eq!((layer.model.as_str(), layer.layer.as_str()), ("mnist", "decoder.1"));
        assert_eq!(found, expected);
        assert_ne!(twin, expected);
        assert_eq!(faults[0].name(), "decoder.1 of mnist on the CPU");
    }

    /// A single wrong word is found where it is.
    #[test]
    fn the_first_wrong_neuron_is_named() {
        let network = crate::verify::random::Random::new(3, 0, 0).network();
        let mut trial = Trial::new("a random network", String::new(), network, 3, Processor::get());
        trial.tamper("decoder_input");
        let faults = faults(&trial);
        let [Fault::Numbers(wrong)] = &faults[..] else { panic!("{faults:?}") };
        let difference = &wrong.difference;
        assert_eq!((difference.image, difference.y, difference.x, difference.channel), (0, 0, 0, 0));
        assert_eq!((difference.step, difference.wrong), (Some(0), 1));
        assert_eq!(difference.found ^ difference.expected, 1);
    }
}
