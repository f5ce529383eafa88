// The first rung: the network as a framework would run it, a dispatch a layer and time step, spikes as f32, membranes in
// memory, nothing fused. On the contract's integers, so its images are the crate's, bit for bit.
//
// Maps are [images, channels, height, width]. Joined in front: shaders/philox.wgsl.

struct Layer {
    inputs: u32,
    outputs: u32,
    side: u32, // height and width of the input map; 1 for a linear layer
    step: u32,
    coefficient: i32, // K_t, of the readout
}

struct Run {
    seed: vec2<u32>,
    first: vec2<u32>,
}

@group(0) @binding(0) var<storage, read> layer: Layer;
@group(0) @binding(1) var<storage, read> weights: array<i32>; // [outputs, inputs, taps]
@group(0) @binding(2) var<storage, read> neurons: array<vec2<i32>>; // [outputs]: bias, threshold
@group(0) @binding(3) var<storage, read> spikes_in: array<f32>;
@group(0) @binding(4) var<storage, read_write> membranes: array<i32>;
@group(0) @binding(5) var<storage, read_write> spikes_out: array<f32>;
@group(0) @binding(6) var<storage, read> run: Run;
@group(0) @binding(7) var<storage, read_write> sums: array<vec2<i32>>; // [images, outputs, side, side]: S = 2^14 x + y
@group(0) @binding(8) var<storage, read> thresholds: array<i32>;
@group(0) @binding(9) var<storage, read_write> pixels: array<u32>; // [images, outputs, side, side]

fn fire(at: u32, current: i32, output: u32) {
    let potential = (membranes[at] >> 2u) + current + neurons[output].x;
    let spike = potential > neurons[output].y;
    membranes[at] = select(potential, 0, spike);
    spikes_out[at] = select(0.0, 1.0, spike);
}

@compute @workgroup_size(64)
fn linear(@builtin(global_invocation_id) id: vec3<u32>) {
    let output = id.x;
    if (output >= layer.outputs) {
        return;
    }
    var current = 0;
    for (var i = 0u; i < layer.inputs; i++) {
        current += weights[output * layer.inputs + i] * i32(spikes_in[id.z * layer.inputs + i]);
    }
    fire(id.z * layer.outputs + output, current, output);
}

// z of this step: the spike of the neuron that each latent channel draws. outputs = C, inputs = k.
@compute @workgroup_size(64)
fn draw(@builtin(global_invocation_id) id: vec3<u32>) {
    let channel = id.x;
    if (channel >= layer.outputs) {
        return;
    }
    let low = run.first.x + id.z;
    let index = vec2(low, run.first.y + select(0u, 1u, low < id.z));
    let call = layer.step * ((layer.outputs + 3u) / 4u) + channel / 4u;
    let words = philox(run.seed, vec4(index, call, 0u));
    let neuron = channel * layer.inputs + pick(words[channel % 4u], layer.inputs);
    spikes_out[id.z * layer.outputs + channel] = spikes_in[id.z * layer.outputs * layer.inputs + neuron];
}

@compute @workgroup_size(64)
fn deconvolution(@builtin(global_invocation_id) id: vec3<u32>) {
    let side = 2u * layer.side;
    if (id.x >= layer.outputs * side * side) {
        return;
    }
    let output = id.x / (side * side);
    let y = id.x / side % side;
    let x = id.x % side;
    var current = 0;
    for (var i = 0u; i < layer.inputs; i++) {
        for (var ky = 0u; ky < 3u; ky++) {
            for (var kx = 0u; kx < 3u; kx++) {
                // output = 2 input + k - 1
                let twice_a = y + 1u - ky;
                let twice_b = x + 1u - kx;
                if (twice_a % 2u == 0u && twice_b % 2u == 0u && twice_a < side && twice_b < side) {
                    let source = ((id.z * layer.inputs + i) * layer.side + twice_a / 2u) * layer.side + twice_b / 2u;
                    current += weights[(output * layer.inputs + i) * 9u + ky * 3u + kx] * i32(spikes_in[source]);
                }
            }
        }
    }
    fire(id.z * layer.outputs * side * side + id.x, current, output);
}

// The last convolution and the readout's membrane, one step.
@compute @workgroup_size(64)
fn readout(@builtin(global_invocation_id) id: vec3<u32>) {
    let side = layer.side;
    if (id.x >= layer.outputs * side * side) {
        return;
    }
    let output = id.x / (side * side);
    let y = id.x / side % side;
    let x = id.x % side;
    var current = 0;
    for (var i = 0u; i < layer.inputs; i++) {
        for (var ky = 0u; ky < 3u; ky++) {
            for (var kx = 0u; kx < 3u; kx++) {
                let a = y + 1u - ky;
                let b = x + 1u - kx;
                if (a < side && b < side) {
                    let source = ((id.z * layer.inputs + i) * side + a) * side + b;
                    current += weights[(output * layer.inputs + i) * 9u + ky * 3u + kx] * i32(spikes_in[source]);
                }
            }
        }
    }
    let at = id.z * layer.outputs * side * side + id.x;
    sums[at] += vec2(current >> 14u, current & 0x3fff) * layer.coefficient;
}

// Neurons hold the bias in the same two parts.
@compute @workgroup_size(64)
fn finish(@builtin(global_invocation_id) id: vec3<u32>) {
    let image = layer.outputs * layer.side * layer.side;
    if (id.x >= image) {
        return;
    }
    let at = id.z * image + id.x;
    let sum = sums[at] + neurons[id.x / (layer.side * layer.side)];
    let level = (sum.x + (sum.y >> 14u)) >> 4u;
    var pixel = 0u;
    while (pixel < 255u && level >= thresholds[pixel]) {
        pixel++;
    }
    pixels[at] = pixel;
}
