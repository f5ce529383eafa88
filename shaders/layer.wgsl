// A layer of spiking neurons between two maps of spike trains: what the kernels of layers declare alike. A pipeline is one
// layer's, so that its sizes are known when it is compiled.
//
// Joined in front: INPUTS, OUTPUTS (groups of four channels).

@group(0) @binding(0) var<storage, read> neurons: array<vec4<i32>>; // [OUTPUTS, 2]: bias, threshold
@group(0) @binding(1) var<storage, read> weights: array<vec4<i32>>; // [taps, 4 INPUTS, OUTPUTS] of 4 outputs
@group(0) @binding(2) var<storage, read> spikes_in: array<vec4<u32>>; // [images, pixels, INPUTS], bit t = step t
@group(0) @binding(3) var<storage, read_write> spikes_out: array<vec4<u32>>; // [images, pixels, OUTPUTS]

