//! The kernels: each file here is one shader of `shaders/`, how the host lays out its buffers, and
//! the test that holds it against its CPU twin.

pub(crate) mod conv_lif;
pub(crate) mod conv_transpose_lif;
pub(crate) mod conv_transpose_quads;
pub(crate) mod image_lif;
pub(crate) mod linear_lif;
#[cfg(test)]
mod loops;
#[cfg(any(test, feature = "verify"))]
pub(crate) mod philox_words;
pub(crate) mod proof;
pub(crate) mod readout;
#[cfg(test)]
pub(crate) mod reflection;
pub(crate) mod resample;
pub(crate) mod rgba;
pub(crate) mod sample;
pub(crate) mod sample_rates;
#[cfg(test)]
mod stores;
pub(crate) mod text;
pub(crate) mod tiles;

pub(crate) use text::shader;

use super::device::Gpu;
use super::variant::Variant;
use crate::layer::{Kind, Shape, SpikingLayer};

/// One binding of a kernel, in the order of the shader's `@binding` numbers.
///
/// What changes from run to run comes in read-only storage buffers, not in uniforms: lavapipe (seen with Mesa 22.3) compiles a shader anew
/// at every dispatch with the uniforms that its loops depend on put in, and keeps it for as long as the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    /// A storage buffer that is read.
    Read,
    /// A storage buffer that is written.
    Write,
    /// A 2-d rgba8unorm texture that is written.
    Texture,
}

/// Devices take 65,535 workgroups in a dimension at most. What has more goes on in the next row, after so many: x is the
/// place in the row, y the row (times what else y says).
pub(crate) const ROW: u32 = 1 << 15;

/// Workgroups for so many invocations of each of `kinds` kinds, which y tells apart.
pub(crate) fn folded(gpu: &Gpu, kernel: &Kernel, invocations: u32, kinds: u32) -> [u32; 2] {
    let workgroups = invocations.div_ceil(kernel.workgroup_size);
    [workgroups.min(gpu.row), kinds * workgroups.div_ceil(gpu.row)]
}

/// What the layers' kernels have in common.
const LIF: &str = shader!("../../../shaders/lif.wgsl");
/// Of the kernels that draw or present.
const RUN: &str = shader!("../../../shaders/run.wgsl");
const LAYER: &str = shader!("../../../shaders/layer.wgsl");
pub(crate) const GATHER: &str = shader!("../../../shaders/gather.wgsl");

/// The constants in front of a layer's kernel.
pub(crate) fn layer_constants(
    time_steps: usize,
    variant: Variant,
    sizes: LayerSizes,
) -> [(&'static str, u32); 6] {
    let [inputs, outputs, side] = sizes.constants();
    let parts = (PARTS, parts(variant, sizes));
    [("TIME_STEPS", time_steps as u32), ("GATHER", variant.gather()), inputs, outputs, side, parts]
}

/// Invocations of a workgroup, of the kernel that lets its variant say.
pub(crate) const WORKGROUP: &str = "WORKGROUP";

/// How many invocations share the inputs of an output; it divides their number in a workgroup.
const PARTS: &str = "PARTS";
const MOST_PARTS: u32 = 16;

/// Each has two groups of inputs at least.
pub(crate) fn parts(variant: Variant, sizes: LayerSizes) -> u32 {
    match variant {
        Variant::Shared => 1 << (sizes.inputs / 2).clamp(1, MOST_PARTS).ilog2(),
        _ => 1,
    }
}

/// Invocations that share an output, of a kernel with these constants.
pub(crate) fn parts_of(constants: &[(&str, u32)]) -> u32 {
    constants.iter().find(|(name, _)| *name == PARTS).map_or(1, |&(_, parts)| parts)
}

/// The variant, or the next best where the sums of shared outputs do not fit so many bytes of workgroup memory.
pub(crate) fn fitting(variant: Variant, time_steps: usize, sizes: LayerSizes, bytes: u32) -> Variant {
    let fits = shared_bytes(time_steps, parts(variant, sizes)) <= bytes as usize;
    if fits { variant } else { Variant::Products }
}

/// Bytes of workgroup memory of a layer's kernel where so many invocations share an output.
pub(crate) fn shared_bytes(time_steps: usize, parts: u32) -> usize {
    if parts > 1 { 16 * time_steps * (64 / parts) as usize } else { 4 }
}

/// What the host knows of a shader. Tests reflect the shader and compare.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// Entry point; the file is `shaders/<name>.wgsl`.
    pub(crate) name: &'static str,
    /// Shader files, joined in this order.
    pub(crate) parts: &'static [&'static str],
    pub(crate) bindings: &'static [Binding],
    pub(crate) workgroup_size: u32,
}

impl Kernel {
    /// The whole shader, with the constants that size its arrays in front. `row`: workgroups of a row; see [`ROW`].
    pub(crate) fn source(&self, row: u32, constants: &[(&str, u32)]) -> String {
        self.joined(row, constants, self.parts.len())
    }

    /// The first so many parts of it.
    fn joined(&self, row: u32, constants: &[(&str, u32)], parts: usize) -> String {
        let mut source = format!("const ROW: u32 = {}u;\n", row * self.workgroup_size);
        for (name, value) in constants {
            source += &format!("const {name}: u32 = {value}u;\n");
        }
        self.parts[..parts].iter().for_each(|part| source += part);
        source
    }

    /// Compiles the kernel.
    #[cfg(any(test, feature = "verify", not(target_arch = "wasm32")))]
    pub(crate) fn pipeline(&self, gpu: &Gpu, constants: &[(&str, u32)]) -> wgpu::ComputePipeline {
        self.pipeline_with(gpu, constants, Loops::Audited)
    }

    pub(crate) fn pipeline_with(
        &self,
        gpu: &Gpu,
        constants: &[(&str, u32)],
        loops: Loops,
    ) -> wgpu::ComputePipeline {
        self.compile(gpu, gpu.kernel_text(self.name, self.source(gpu.row, constants)), loops)
    }

    /// Compiles a text of ours with the kernel's entry point and bindings.
    pub(crate) fn compile(&self, gpu: &Gpu, source: String, loops: Loops) -> wgpu::ComputePipeline {
        let label = self.label();
        let module = loops.module(gpu, &label, source);
        let entries: Vec<_> =
            self.bindings.iter().zip(0..).map(|(binding, at)| layout_entry(*binding, at)).collect();
        let bindings = gpu.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(&label),
            entries: &entries,
        });
        let layout = gpu.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(&label),
            bind_group_layouts: &[Some(&bindings)],
            immediate_size: 0,
        });
        gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label),
            layout: Some(&layout),
            module: &module,
            entry_point: Some(self.name),
            compilation_options: wgpu::PipelineCompilationOptions {
                // Every kernel writes its workgroup memory before it reads it.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: gpu.pipeline_cache.as_ref(),
        })
    }

    /// Binds buffers, in the order of [`Kernel::bindings`], to a pipeline of this kernel.
    pub(crate) fn pass(
        &self,
        gpu: &Gpu,
        pipeline: &wgpu::ComputePipeline,
        buffers: &[&wgpu::Buffer],
        workgroups: [u32; 2],
    ) -> Pass {
        let resources: Vec<_> = buffers.iter().map(|buffer| buffer.as_entire_binding()).collect();
        self.bind(gpu, pipeline, &resources, workgroups)
    }

    /// [`Kernel::pass`] for resources that are not whole buffers.
    pub(crate) fn bind(
        &self,
        gpu: &Gpu,
        pipeline: &wgpu::ComputePipeline,
        resources: &[wgpu::BindingResource<'_>],
        workgroups: [u32; 2],
    ) -> Pass {
        let entries: Vec<_> = resources
            .iter()
            .zip(0..)
            .map(|(resource, binding)| wgpu::BindGroupEntry { binding, resource: resource.clone() })
            .collect();
        let bind_group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&self.label()),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        Pass { kernel: self.name, pipeline: pipeline.clone(), bind_group, workgroups }
    }

    fn label(&self) -> String {
        format!("fsvae.{}", self.name)
    }
}

/// Who sees to it that a kernel's loops end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loops {
    /// We do: see [`Loops::module`].
    Audited,
    /// The kernel itself, which counts their turns in 64 bits, as wgpu has it for shaders of strangers: five instructions of
    /// every turn on AMD's GPUs.
    Counted,
}

impl Loops {
    fn module(self, gpu: &Gpu, label: &str, source: String) -> wgpu::ShaderModule {
        let described = wgpu::ShaderModuleDescriptor {
            label: Some(label),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        };
        if self == Loops::Counted {
            return gpu.device.create_shader_module(described);
        }
        let mut checks = wgpu::ShaderRuntimeChecks::checked();
        checks.force_loop_bounding = false;
        #[expect(unsafe_code, reason = "all our loops end, and all other checks are on")]
        // Sound: what is trusted is that loops end. The text is ours, not a user's. A test (kernels/loops.rs) reads every
        // loop of shaders/: it steps a counter to a bound, takes the lowest bit off a word until none is left, or halves an
        // interval.
        unsafe {
            gpu.device.create_shader_module_trusted(described, checks)
        }
    }
}

/// One dispatch, ready to be recorded.
#[derive(Debug)]
pub(crate) struct Pass {
    /// The kernel's name.
    pub(crate) kernel: &'static str,
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    /// Workgroups of one image, x and y; z is the image.
    workgroups: [u32; 2],
}

impl Pass {
    pub(crate) fn record(&self, pass: &mut wgpu::ComputePass<'_>, images: u32) {
        pass.insert_debug_marker(self.kernel);
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        pass.dispatch_workgroups(self.workgroups[0], self.workgroups[1], images);
    }
}

fn layout_entry(binding: Binding, at: u32) -> wgpu::BindGroupLayoutEntry {
    let storage = |read_only| wgpu::BindingType::Buffer {
        ty: wgpu::BufferBindingType::Storage { read_only },
        has_dynamic_offset: false,
        min_binding_size: None,
    };
    let ty = match binding {
        Binding::Read => storage(true),
        Binding::Write => storage(false),
        Binding::Texture => wgpu::BindingType::StorageTexture {
            access: wgpu::StorageTextureAccess::WriteOnly,
            format: wgpu::TextureFormat::Rgba8Unorm,
            view_dimension: wgpu::TextureViewDimension::D2,
        },
    };
    wgpu::BindGroupLayoutEntry { binding: at, visibility: wgpu::ShaderStages::COMPUTE, ty, count: None }
}

/// Words of `channels` channels each, with channels filled up to groups of four.
#[cfg(any(test, feature = "verify"))]
pub(crate) fn grouped(words: &[u32], channels: usize) -> Vec<u32> {
    let fill = vec![0; channels.next_multiple_of(4) - channels];
    words.chunks(channels).flat_map(|words| [words, &fill].concat()).collect()
}

/// A buffer with contents that never change. (wgpu's own `create_buffer_init` panics where the device is lost or out of
/// memory; here that is heard in the scope around it.)
pub(crate) fn constant_buffer<T: bytemuck::NoUninit>(
    gpu: &Gpu,
    label: &str,
    contents: &[T],
    usage: wgpu::BufferUsages,
) -> wgpu::Buffer {
    let bytes: &[u8] = bytemuck::cast_slice(contents);
    let size = bytes.len().max(1).next_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT as usize) as u64;
    let buffer = gpu.mapped_buffer(label, size, usage);
    if let Ok(mut view) = buffer.get_mapped_range_mut(..) {
        view.slice(..bytes.len()).copy_from_slice(bytes);
    }
    buffer.unmap();
    buffer
}

/// Sizes of a spiking layer in groups of four channels, and the input's side, which `linear_lif` does
/// not look at: its inputs are the channels of all taps. They are constants of the layer's pipeline, so that compilers
/// make shifts of products and quotients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerSizes {
    pub(crate) inputs: u32,
    pub(crate) outputs: u32,
    pub(crate) side: u32,
}

/// A spiking layer in GPU memory.
#[derive(Debug)]
pub(crate) struct LayerBuffers {
    pub(crate) sizes: LayerSizes,
    neurons: wgpu::Buffer,
    weights: wgpu::Buffer,
}

impl LayerSizes {
    pub(crate) fn of(shape: &Shape) -> Self {
        let inputs = shape.inputs.div_ceil(4);
        let map = shape.map();
        let (inputs, outputs) = match shape.kind {
            Kind::Linear | Kind::Unfold | Kind::Rates => {
                (shape.taps * inputs, map.side * map.side * map.channels.div_ceil(4))
            }
            _ => (inputs, map.channels.div_ceil(4)),
        };
        LayerSizes { inputs: inputs as u32, outputs: outputs as u32, side: shape.side as u32 }
    }

    /// As shaders call them.
    pub(crate) fn constants(self) -> [(&'static str, u32); 3] {
        [("INPUTS", self.inputs), ("OUTPUTS", self.outputs), ("SIDE", self.side)]
    }
}

impl LayerBuffers {
    pub(crate) fn new(gpu: &Gpu, label: &str, layer: &GroupedLayer, sizes: LayerSizes) -> Self {
        let storage = wgpu::BufferUsages::STORAGE;
        LayerBuffers {
            sizes,
            neurons: constant_buffer(gpu, label, &layer.neurons, storage),
            weights: constant_buffer(gpu, label, &layer.weights, storage),
        }
    }

    /// The buffers of a layer's kernel between `input` and `output`.
    pub(crate) fn bind<'a>(
        &'a self,
        input: &'a wgpu::Buffer,
        output: &'a wgpu::Buffer,
    ) -> [&'a wgpu::Buffer; 4] {
        [&self.neurons, &self.weights, input, output]
    }
}

/// A spiking layer's numbers with channels in groups of four. Channels past the last have weights of
/// zero and never spike.
#[derive(Debug)]
pub(crate) struct GroupedLayer {
    /// Groups of input channels.
    pub(crate) inputs: usize,
    /// Groups of output channels.
    pub(crate) outputs: usize,
    /// `[taps, 4 inputs, outputs]` of 4 outputs
    pub(crate) weights: Vec<[i32; 4]>,
    /// `[outputs, 2]`: bias, threshold
    pub(crate) neurons: Vec<[i32; 4]>,
}

impl GroupedLayer {
    pub(crate) fn new(layer: &SpikingLayer) -> Self {
        GroupedLayer::of_outputs(layer, &(0..layer.outputs).map(Some).collect::<Vec<_>>())
    }

    /// A layer of some outputs in the order of the list; `None` is an output that never spikes.
    pub(crate) fn of_outputs(layer: &SpikingLayer, list: &[Option<usize>]) -> Self {
        let inputs = layer.inputs.div_ceil(4);
        let groups: Vec<[Option<usize>; 4]> = list
            .chunks(4)
            .map(|chunk| std::array::from_fn(|lane| chunk.get(lane).copied().flatten()))
            .collect();
        let mut weights = Vec::with_capacity(layer.taps * 4 * inputs * groups.len());
        for tap in 0..layer.taps {
            for input in 0..4 * inputs {
                weights.extend(groups.iter().map(|group| {
                    group.map(|output| match output {
                        Some(output) if input < layer.inputs => layer.weight(output, input, tap),
                        _ => 0,
                    })
                }));
            }
        }
        let neurons = groups
            .iter()
            .flat_map(|group| {
                [
                    group.map(|output| output.map_or(0, |output| layer.bias[output])),
                    group.map(|output| output.map_or(i32::MAX, |output| layer.threshold[output])),
                ]
            })
            .collect();
        GroupedLayer { inputs, outputs: groups.len(), weights, neurons }
    }
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use std::num::NonZeroUsize;

    use super::{LayerSizes, fitting, parts};
    use crate::gpu::testing::gpus;
    use crate::gpu::variant::Variant;
    use crate::{Checkpoint, Generator, Network};

    /// The largest sums are those of two invocations an output: 16 KiB, where some devices have 16,352 bytes.
    #[test]
    fn outputs_are_shared_where_their_sums_fit() {
        let sizes = LayerSizes { inputs: 4, outputs: 1, side: 1 };
        assert_eq!(parts(Variant::Shared, sizes), 2);
        let of = |bytes| fitting(Variant::Shared, 32, sizes, bytes);
        assert_eq!([of(16_384), of(16_352)], [Variant::Shared, Variant::Products]);
        assert_eq!(fitting(Variant::Events, 32, sizes, 16), Variant::Events);
    }

    /// Rows so short that every kernel needs several.
    #[test]
    fn a_dispatch_goes_on_in_the_next_row() {
        let network =
            Network::new(&Checkpoint::bundled("faces").expect("bundled").expect("valid")).expect("valid");
        let cpu = Generator::builder(&network).cpu();
        let images = cpu.generate(7, 0..3).expect("images");
        let again = cpu.reconstruct(images.as_bytes(), 7, 0).expect("images");
        for gpu in gpus() {
            for row in [1, 3] {
                let mut gpu = gpu.clone();
                gpu.row = row;
                let builder = Generator::builder(&network).batch(NonZeroUsize::MIN.saturating_add(1));
                let generator = pollster::block_on(builder.gpu(&gpu)).expect("a generator");
                assert_eq!(generator.generate(7, 0..3).expect("images"), images, "{}, {row}", gpu.name());
                let found = generator.reconstruct(images.as_bytes(), 7, 0).expect("images");
                assert_eq!(found, again, "{}, {row}", gpu.name());
            }
        }
    }
}
