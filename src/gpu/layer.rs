//! A spiking layer on a device: which kernel computes it, and its numbers there.

use super::device::Gpu;
use super::kernels::{
    GroupedLayer, Kernel, LayerBuffers, LayerSizes, Loops, Pass, conv_lif, conv_transpose_lif,
    conv_transpose_quads, fitting, image_lif, layer_constants, linear_lif, parts_of,
};
use super::sampler::Source;
use super::variant::Variant;
use super::variants::Size;
use crate::layer::{Kind, Shape, SpikingLayer};

/// The kernel of a layer. `workgroup_bytes` is the workgroup memory there is.
pub(super) fn source(shape: &Shape, time_steps: usize, variant: Variant, workgroup_bytes: u32) -> Source {
    let sizes = LayerSizes::of(shape);
    let gathers = |kernel| {
        let variant = fitting(variant, time_steps, sizes, workgroup_bytes);
        (kernel, layer_constants(time_steps, variant, sizes).into())
    };
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

/// The kernels of layers in the order of `layers`, each of the variant that `of` says for its number.
pub(super) fn sources(
    gpu: &Gpu,
    layers: &[SpikingLayer],
    time_steps: usize,
    of: impl Fn(usize) -> Variant,
) -> Vec<(Source, Loops)> {
    let workgroup_bytes = gpu.device.limits().max_compute_workgroup_storage_size;
    let source = |(at, layer): (usize, &SpikingLayer)| {
        let variant = of(at);
        (source(layer, time_steps, variant, workgroup_bytes), variant.loops())
    };
    layers.iter().enumerate().map(source).collect()
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

/// The number is how many invocations share an output.
type MakePass = fn(&Gpu, &wgpu::ComputePipeline, &LayerBuffers, u32, &wgpu::Buffer, &wgpu::Buffer) -> Pass;

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

/// A kernel of a layer, compiled.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pass: MakePass,
    parts: u32,
    pipeline: wgpu::ComputePipeline,
}

impl Way {
    /// `pipeline` is of the kernel that [`source`] names.
    pub(super) fn new((kernel, constants): &Source, pipeline: wgpu::ComputePipeline) -> Self {
        Way { pass: dispatch(kernel), parts: parts_of(constants), pipeline }
    }
}

/// A spiking layer in a device's memory, and how it is computed in batches of each [`Size`]. Its numbers are the same for
/// all kernels.
#[derive(Debug)]
pub(super) struct DeviceLayer {
    buffers: LayerBuffers,
    ways: [Way; 2],
}

impl DeviceLayer {
    pub(super) fn new(gpu: &Gpu, layer: &SpikingLayer, ways: [Way; 2]) -> Self {
        let label = format!("fsvae.{}", layer.name);
        let buffers = LayerBuffers::new(gpu, &label, &grouped(layer), LayerSizes::of(layer));
        DeviceLayer { buffers, ways }
    }

    /// Spikes in `input`, or pixels, to spikes in `output`.
    pub(super) fn pass(&self, gpu: &Gpu, size: Size, input: &wgpu::Buffer, output: &wgpu::Buffer) -> Pass {
        let Way { pass, parts, pipeline } = &self.ways[size as usize];
        pass(gpu, pipeline, &self.buffers, *parts, input, output)
    }
}
