//! The naive path on wgpu: see naive.wgsl. For comparison only.

use fsvae::{LayerIntegers, Network, wgpu};
use wgpu::BufferUsages as Usage;
use wgpu::util::DeviceExt;

/// A network that makes batches of `batch` images on an adapter.
pub(crate) struct Naive {
    device: wgpu::Device,
    queue: wgpu::Queue,
    run: wgpu::Buffer,
    /// What holds a batch's state and is cleared before it: membranes, sums, the first z.
    state: Vec<wgpu::Buffer>,
    dispatches: Vec<Dispatch>,
    pixels: wgpu::Buffer,
    readback: wgpu::Buffer,
    batch: usize,
    /// Image channels, side.
    image: (usize, usize),
}

struct Dispatch {
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    invocations: usize,
}

/// The shader's `Layer`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Layer {
    inputs: u32,
    outputs: u32,
    side: u32,
    step: u32,
    coefficient: i32,
}

/// A layer in memory.
struct Buffers<'a> {
    integers: LayerIntegers<'a>,
    weights: wgpu::Buffer,
    neurons: wgpu::Buffer,
    membranes: wgpu::Buffer,
    spikes: wgpu::Buffer,
}

impl Buffers<'_> {
    /// What a layer's dispatch binds.
    fn bindings<'a>(&'a self, spikes: &'a wgpu::Buffer) -> [(u32, &'a wgpu::Buffer); 5] {
        [(1, &self.weights), (2, &self.neurons), (3, spikes), (4, &self.membranes), (5, &self.spikes)]
    }
}

impl Naive {
    pub(crate) fn new(adapter: &wgpu::Adapter, network: &Network, batch: usize) -> Self {
        let limits =
            wgpu::Limits { max_storage_buffers_per_shader_stage: 8, ..wgpu::Limits::downlevel_defaults() };
        let descriptor = wgpu::DeviceDescriptor {
            required_limits: limits.or_better_values_from(&fsvae::gpu::required_limits(network)),
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).expect("a device");
        let source = [include_str!("../../shaders/philox.wgsl"), include_str!("naive.wgsl")].concat();
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("naive"),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        let pipeline = |entry| {
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(entry),
                layout: None,
                module: &module,
                entry_point: Some(entry),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            })
        };
        let [linear, draw, deconvolution, readout, finish] =
            ["linear", "draw", "deconvolution", "readout", "finish"].map(pipeline);
        let constant = |bytes: &[u8]| {
            device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
                label: None,
                contents: bytes,
                usage: Usage::STORAGE,
            })
        };
        let empty = |words: usize, usage| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: 4 * (words * batch) as u64,
                usage: Usage::STORAGE | usage,
                mapped_at_creation: false,
            })
        };

        let architecture = network.architecture();
        let channels = architecture.latent_channels;
        let k = architecture.family.neurons_per_channel().expect("an FSVAE");
        let layer = |name: &str, pixels: usize| {
            let integers = network.spiking_layers().find(|layer| layer.name == name).expect("a layer");
            let neurons: Vec<[i32; 2]> = integers
                .bias
                .iter()
                .zip(integers.threshold)
                .map(|(bias, threshold)| [*bias, *threshold])
                .collect();
            Buffers {
                weights: constant(bytemuck::cast_slice(integers.weights)),
                neurons: constant(bytemuck::cast_slice(&neurons)),
                membranes: empty(integers.outputs * pixels, Usage::COPY_DST),
                spikes: empty(integers.outputs * pixels, Usage::empty()),
                integers,
            }
        };
        let depth = architecture.decoder_widths.len() - 1;
        let prior: Vec<_> = (0..3).map(|i| layer(&format!("prior.layers.{i}"), 1)).collect();
        let first = layer("decoder_input", 1);
        let name = |i| if i + 1 == depth { "final_layer.0".into() } else { format!("decoder.{i}") };
        let decoder: Vec<_> = (0..depth).map(|i| layer(&name(i), 16 << (2 * i))).collect();

        let z = empty(channels, Usage::COPY_DST);
        let run = device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 16,
            usage: Usage::STORAGE | Usage::COPY_DST,
            mapped_at_creation: false,
        });
        let last = network.readout_integers();
        let narrow: Vec<i32> = last.weights.iter().map(|&w| i32::try_from(w).expect("31 bits")).collect();
        let bias: Vec<[i32; 2]> = last.bias.iter().map(|b| [(b >> 14) as i32, (b & 0x3fff) as i32]).collect();
        let (weights, bias) =
            (constant(bytemuck::cast_slice(&narrow)), constant(bytemuck::cast_slice(&bias)));
        let thresholds = constant(bytemuck::cast_slice(&last.thresholds));
        let side = architecture.image_side();
        let image = last.outputs * side * side;
        let sums = empty(2 * image, Usage::COPY_DST);
        let pixels = empty(image, Usage::COPY_SRC);

        let mut dispatches = Vec::new();
        let mut dispatch = |pipeline: &wgpu::ComputePipeline,
                            sizes: Layer,
                            buffers: &[(u32, &wgpu::Buffer)],
                            invocations| {
            let sizes = constant(bytemuck::bytes_of(&sizes));
            let entry = |binding, buffer: &wgpu::Buffer| (binding, buffer.clone());
            let buffers: Vec<_> = [entry(0, &sizes)]
                .into_iter()
                .chain(buffers.iter().map(|&(at, buffer)| entry(at, buffer)))
                .collect();
            let entries: Vec<_> = buffers
                .iter()
                .map(|(binding, buffer)| wgpu::BindGroupEntry {
                    binding: *binding,
                    resource: buffer.as_entire_binding(),
                })
                .collect();
            let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &pipeline.get_bind_group_layout(0),
                entries: &entries,
            });
            dispatches.push(Dispatch { pipeline: pipeline.clone(), bindings, invocations });
        };
        for (step, &coefficient) in last.coefficients.iter().enumerate() {
            let sizes = |inputs: usize, outputs: usize, side: usize| Layer {
                inputs: inputs as u32,
                outputs: outputs as u32,
                side: side as u32,
                step: step as u32,
                coefficient,
            };
            let mut spikes = &z;
            for layer in prior.iter().chain([&first]) {
                if layer.integers.name == "decoder_input" {
                    let buffers = [(3, spikes), (5, &z), (6, &run)];
                    dispatch(&draw, sizes(k, channels, 1), &buffers, channels);
                    spikes = &z;
                }
                let LayerIntegers { inputs, outputs, .. } = layer.integers;
                dispatch(&linear, sizes(inputs, outputs, 1), &layer.bindings(spikes), outputs);
                spikes = &layer.spikes;
            }
            for (i, layer) in decoder.iter().enumerate() {
                let LayerIntegers { inputs, outputs, .. } = layer.integers;
                let invocations = outputs * (16 << (2 * i));
                dispatch(
                    &deconvolution,
                    sizes(inputs, outputs, 2 << i),
                    &layer.bindings(spikes),
                    invocations,
                );
                spikes = &layer.spikes;
            }
            dispatch(
                &readout,
                sizes(last.inputs, last.outputs, side),
                &[(1, &weights), (3, spikes), (7, &sums)],
                image,
            );
        }
        let sizes =
            Layer { inputs: 0, outputs: last.outputs as u32, side: side as u32, step: 0, coefficient: 0 };
        dispatch(&finish, sizes, &[(2, &bias), (7, &sums), (8, &thresholds), (9, &pixels)], image);

        let layers = prior.into_iter().chain([first]).chain(decoder);
        let state = layers.map(|layer| layer.membranes).chain([z, sums]).collect();
        let readback = device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: pixels.size(),
            usage: Usage::MAP_READ | Usage::COPY_DST,
            mapped_at_creation: false,
        });
        let image = (last.outputs, side);
        Naive { device, queue, run, state, dispatches, pixels, readback, batch, image }
    }

    /// u8 pixels `[batch, side, side, channels]` of the images from index `first` on.
    pub(crate) fn generate(&mut self, seed: u64, first: u64) -> Vec<u8> {
        self.queue.write_buffer(&self.run, 0, bytemuck::bytes_of(&[seed, first]));
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for buffer in &self.state {
            encoder.clear_buffer(buffer, 0, None);
        }
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for Dispatch { pipeline, bindings, invocations } in &self.dispatches {
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, bindings, &[]);
            pass.dispatch_workgroups(invocations.div_ceil(64) as u32, 1, self.batch as u32);
        }
        drop(pass);
        encoder.copy_buffer_to_buffer(&self.pixels, 0, &self.readback, 0, self.pixels.size());
        self.queue.submit([encoder.finish()]);
        self.readback.map_async(wgpu::MapMode::Read, .., |result| result.expect("mapped"));
        self.device.poll(wgpu::PollType::wait_indefinitely()).expect("finished");
        let view = self.readback.get_mapped_range(..).expect("mapped");
        let words: &[u32] = bytemuck::cast_slice(&view);
        let (channels, side) = self.image;
        let mut pixels = Vec::with_capacity(words.len());
        for image in words.chunks(channels * side * side) {
            for pixel in 0..side * side {
                pixels.extend((0..channels).map(|channel| image[channel * side * side + pixel] as u8));
            }
        }
        drop(view);
        self.readback.unmap();
        pixels
    }
}
