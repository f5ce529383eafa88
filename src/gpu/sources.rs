//! The kernels of a network as text, for people who read, profile or reuse them.

use super::kernels::{Kernel, ROW, proof, readout, rgba, tiles};
use super::layer;
use super::sampler;
use super::variant::Variant;
use crate::layer::Kind;
use crate::network::Network;

/// A kernel as it is compiled for a network.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KernelSource {
    /// Its entry point, and what tells it from others of the same entry point: `conv_lif-encoder.1-dense`, say.
    pub name: String,
    /// All of it, in WGSL. The entry point has the bindings that the text declares, all in group 0.
    pub wgsl: String,
}

/// Every kernel that a network runs, the layers' in all [variants](Variant).
pub fn kernels(network: &Network) -> Vec<KernelSource> {
    let architecture = network.architecture();
    let steps = architecture.time_steps;
    let mut kernels = Vec::new();
    let mut add = |kernel: &Kernel, kind: Option<&str>, constants: &[(&str, u32)]| {
        let name = kind.map_or_else(|| kernel.name.into(), |kind| format!("{}-{kind}", kernel.name));
        kernels.push(KernelSource { name, wgsl: kernel.source(ROW, constants) });
    };
    let limits = wgpu::Limits::default();
    for (kind, source) in [("prior", sampler::prior as fn(_, _, _) -> _), ("posterior", sampler::posterior)] {
        let mut known: Vec<sampler::Source> = Vec::new();
        for variant in Variant::SAMPLERS {
            let found = source(network, variant, &limits);
            // An ESVAE's has no variants.
            if !known.iter().any(|(_, constants)| *constants == found.1) {
                let tells = if known.is_empty() { kind.into() } else { format!("{kind}-{variant}") };
                add(found.0, Some(&tells), &found.1);
                known.push(found);
            }
        }
    }
    for shape in architecture.decoder().iter().chain(&architecture.encoder()) {
        let mut of = |variant: Variant, tells: &str| {
            let (kernel, constants) = layer::source(shape, steps, variant, u32::MAX);
            add(kernel, Some(&format!("{}{tells}", shape.name)), &constants);
        };
        match shape.kind {
            Kind::Image => of(Variant::default(), ""),
            kind => {
                for variant in Variant::GATHERS {
                    of(variant, &format!("-{variant}"));
                }
                // The other layers are as with `events`.
                if kind == Kind::Transposed {
                    of(Variant::Quads, "");
                }
            }
        }
    }
    add(&readout::KERNEL, None, &readout::constants(&network.readout, architecture.image_side()));
    add(&proof::KERNEL, None, &[]);
    let channels = [("IMAGE_CHANNELS", architecture.image_channels as u32)];
    add(&rgba::KERNEL, None, &channels);
    add(&tiles::KERNEL, None, &channels);
    kernels
}
