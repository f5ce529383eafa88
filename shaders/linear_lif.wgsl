// A fully connected spiking layer, all time steps at once (integer machine, section 4):
//
//     x_t[o] = sum_i W[o, i] * s_i(t) + B[o], then lif.wgsl
//
// One invocation makes the spike trains of four outputs of one image. Its 4 T sums stay in
// registers; each weight is read once for all steps, and inputs that never spike are skipped.
//
// Joined in front: ROW, TIME_STEPS, GATHER, lif.wgsl and gather.wgsl. Twin: src/cpu/linear_lif.rs.

struct Layer {
    inputs: u32,  // input channels / 4, rounded up
    outputs: u32, // output channels / 4, rounded up
    side: u32,    // unused: there is no map
    neurons: array<vec4<i32>>, // [outputs, 2]: bias, threshold
}

@group(0) @binding(0) var<storage, read> layer: Layer;
@group(0) @binding(1) var<storage, read> weights: array<vec4<i32>>; // [4 inputs, outputs] of 4 outputs
@group(0) @binding(2) var<storage, read> spikes_in: array<vec4<u32>>; // [images, inputs], bit t = step t
@group(0) @binding(3) var<storage, read_write> spikes_out: array<vec4<u32>>; // [images, outputs]

@compute @workgroup_size(64)
fn linear_lif(@builtin(global_invocation_id) id: vec3<u32>) {
    let output = id.x + id.y * ROW;
    let image = id.z;
    if (output >= layer.outputs) {
        return;
    }
    var currents: Currents;
    gather(&currents, image * layer.inputs, 0u, output);
    spikes_out[image * layer.outputs + output] =
        fire(&currents, layer.neurons[2u * output], layer.neurons[2u * output + 1u]);
}
