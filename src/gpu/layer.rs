//! A spiking layer on a device: which kernel computes it, and its numbers there.

use super::device::Gpu;
use super::kernels::{
    GroupedLayer, Kernel, LayerBuffers, LayerSizes, Pass, conv_lif, conv_transpose_lif, conv_transpose_quads,
    image_lif, layer_constants, linear_lif,
};
use super::sampler::Source;
use super::variant::Variant;
use crate::layer::{Kind, Shape, SpikingLayer};

/// The kernel of a layer. `workgroup_bytes` is the workgroup memory there is.
pub(super) fn source(shape: &Shape, time_steps: usize, variant: Variant, workgroup_bytes: u32) -> Source {
    let sizes = LayerSizes::of(shape);
    let gathers = |kernel| (kernel, layer_constants(time_steps, variant, sizes).into());
    match shape.kind {
        Kind::Image => (&image_lif::KERNEL, image_lif::constants(shape, time_steps).into()),
        Kind::Convolution => gathers(&conv_lif::KERNEL),
        Kind::Linear | Kind::Unfold => gathers(&linear_lif::KERNEL),
        Kind::Readout | Kind::Rates => unreachable!("{}: gives no spikes", shape.name),
        Kind::Transposed => {
            let fits = conv_transpose_quads::workgroup_bytes(time_steps, sizes) <= workgroup_bytes as usize;
            if variant == Variant::Quads && fits {
                (&conv_transpose_quads::KERNEL, conv_transpose_quads::constants(time_steps, sizes).into())
            } else {
                gathers(&conv_transpose_lif::KERNEL)
            }
        }
    }
}

/// The kernels of layers in the order of `layers`, as many as the device can take.
pub(super) fn sources(
    gpu: &Gpu,
    layers: &[SpikingLayer],
    time_steps: usize,
    variant: Variant,
) -> Vec<Source> {
    let workgroup_bytes = gpu.device.limits().max_compute_workgroup_storage_size;
    layers.iter().map(|layer| source(layer, time_steps, variant, workgroup_bytes)).collect()
}

/// A layer's numbers as its kernel reads them.
pub(crate) fn grouped(layer: &SpikingLayer) -> GroupedLayer {
    match layer.kind {
        Kind::Image => image_lif::grouped(layer),
        Kind::Unfold => unfolded(layer),
        _ => GroupedLayer::new(layer),
    }
}

/// The checkpoint flattens the 2x2 map channel, y, x; the kernels' maps are pixel by pixel.
fn unfolded(layer: &SpikingLayer) -> GroupedLayer {
    let channels = layer.map().channels;
    let padded = channels.next_multiple_of(4);
    let outputs: Vec<Option<usize>> = (0..4)
        .flat_map(|pixel| (0..padded).map(move |channel| (channel < channels).then_some(channel * 4 + pixel)))
        .collect();
    GroupedLayer::of_outputs(layer, &outputs)
}

type MakePass = fn(&Gpu, &wgpu::ComputePipeline, &LayerBuffers, &wgpu::Buffer, &wgpu::Buffer) -> Pass;

/// What dispatches a layer's kernel.
pub(crate) fn dispatch(kernel: &Kernel) -> MakePass {
    match kernel.name {
        name if name == image_lif::KERNEL.name => image_lif::pass,
        name if name == conv_lif::KERNEL.name => conv_lif::pass,
        name if name == conv_transpose_lif::KERNEL.name => conv_transpose_lif::pass,
        name if name == conv_transpose_quads::KERNEL.name => conv_transpose_quads::pass,
        _ => linear_lif::pass,
    }
}

/// A spiking layer in a device's memory.
#[derive(Debug)]
pub(super) struct DeviceLayer {
    buffers: LayerBuffers,
    pass: MakePass,
    pipeline: wgpu::ComputePipeline,
}

impl DeviceLayer {
    /// `pipeline` is of the kernel that [`source`] names.
    pub(super) fn new(
        gpu: &Gpu,
        layer: &SpikingLayer,
        (kernel, _): &Source,
        pipeline: wgpu::ComputePipeline,
    ) -> Self {
        let label = format!("fsvae.{}", layer.name);
        let buffers = LayerBuffers::new(gpu, &label, &grouped(layer), LayerSizes::of(layer));
        DeviceLayer { buffers, pass: dispatch(kernel), pipeline }
    }

    /// All of `layers`, in their order.
    pub(super) fn all(
        gpu: &Gpu,
        layers: &[SpikingLayer],
        sources: &[Source],
        pipelines: &[wgpu::ComputePipeline],
    ) -> Vec<Self> {
        let each = layers.iter().zip(sources).zip(pipelines);
        each.map(|((layer, source), pipeline)| DeviceLayer::new(gpu, layer, source, pipeline.clone()))
            .collect()
    }

    /// Spikes in `input`, or pixels, to spikes in `output`.
    pub(super) fn pass(&self, gpu: &Gpu, input: &wgpu::Buffer, output: &wgpu::Buffer) -> Pass {
        (self.pass)(gpu, &self.pipeline, &self.buffers, input, output)
    }
}
