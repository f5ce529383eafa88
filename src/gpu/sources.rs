//! The kernels of a network as text, for people who read, profile or reuse them.

use super::kernels::{
    Kernel, ROW, conv_lif, conv_transpose_lif, image_lif, layer_constants, linear_lif, proof, readout, rgba,
    tiles,
};
use super::layer;
use super::sampler;
use super::variant::Variant;
use crate::layer::Kind;
use crate::network::Network;

/// A kernel as it is compiled for a network.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KernelSource {
    /// Its entry point, and what tells it from others of the same entry point: `conv_lif-dense`, say.
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
    for (kind, (kernel, constants)) in
        [("prior", sampler::prior(network)), ("posterior", sampler::posterior(network))]
    {
        add(kernel, Some(kind), &constants);
    }
    for variant in Variant::GATHERS {
        for kernel in [&linear_lif::KERNEL, &conv_transpose_lif::KERNEL, &conv_lif::KERNEL] {
            add(kernel, Some(variant.name()), &layer_constants(steps, variant));
        }
    }
    // Each layer is compiled for its sizes. The rest of the variant is as `events`.
    for shape in architecture.decoder().iter().filter(|shape| shape.kind == Kind::Transposed) {
        let (kernel, constants) = layer::source(shape, steps, Variant::Quads, u32::MAX);
        add(kernel, Some(&shape.name), &constants);
    }
    add(&image_lif::KERNEL, None, &image_lif::constants(&network.encoder[0], steps));
    add(&readout::KERNEL, None, &readout::constants(&network.readout));
    add(&proof::KERNEL, None, &[]);
    let channels = [("IMAGE_CHANNELS", architecture.image_channels as u32)];
    add(&rgba::KERNEL, None, &channels);
    add(&tiles::KERNEL, None, &channels);
    kernels
}
