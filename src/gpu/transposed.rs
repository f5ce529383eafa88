//! The decoder's transposed convolutions on a device: which kernel makes which layer.

use super::device::Gpu;
use super::kernels::{
    GroupedLayer, LayerBuffers, LayerSizes, Pass, conv_transpose_lif, conv_transpose_quads, layer_constants,
};
use super::sampler::Source;
use super::variant::Variant;
use crate::network::{Network, SpikingLayer};

/// Height and width of the input of layer `i`.
fn side(i: usize) -> usize {
    2 << i
}

/// The kernel of each layer. `workgroup_bytes` is the workgroup memory there is.
pub(super) fn sources(network: &Network, variant: Variant, workgroup_bytes: u32) -> Vec<Source> {
    let steps = network.architecture.time_steps;
    let source = |(i, layer): (usize, &SpikingLayer)| -> Source {
        let sizes = LayerSizes::of(layer, side(i));
        if variant == Variant::Quads
            && conv_transpose_quads::workgroup_bytes(steps, sizes) <= workgroup_bytes as usize
        {
            (&conv_transpose_quads::KERNEL, conv_transpose_quads::constants(steps, sizes).into())
        } else {
            (&conv_transpose_lif::KERNEL, layer_constants(steps, variant).into())
        }
    };
    network.decoder.iter().enumerate().map(source).collect()
}

/// A transposed convolution in a device's memory.
#[derive(Debug)]
pub(super) struct Transposed {
    layer: LayerBuffers,
    /// Of the kernel's module.
    pass: fn(&Gpu, &wgpu::ComputePipeline, &LayerBuffers, &wgpu::Buffer, &wgpu::Buffer) -> Pass,
    pipeline: wgpu::ComputePipeline,
}

impl Transposed {
    /// Layer `i` of the decoder. `pipeline` is of the kernel that [`sources`] names.
    pub(super) fn new(
        gpu: &Gpu,
        layer: &SpikingLayer,
        i: usize,
        (kernel, _): &Source,
        pipeline: wgpu::ComputePipeline,
    ) -> Self {
        let layer = LayerBuffers::new(gpu, "fsvae.decoder", &GroupedLayer::new(layer), side(i));
        let pass = if kernel.name == conv_transpose_quads::KERNEL.name {
            conv_transpose_quads::pass
        } else {
            conv_transpose_lif::pass
        };
        Transposed { layer, pass, pipeline }
    }

    pub(super) fn pass(&self, gpu: &Gpu, input: &wgpu::Buffer, output: &wgpu::Buffer) -> Pass {
        (self.pass)(gpu, &self.pipeline, &self.layer, input, output)
    }
}
