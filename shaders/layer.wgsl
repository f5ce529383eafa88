// A layer of spiking neurons between two maps of spike trains: what the kernels of layers declare alike.
//
// Joined in front: nothing.

struct Layer {
    inputs: u32,  // input channels / 4, rounded up
    outputs: u32, // output channels / 4, rounded up
    side: u32,    // height and width of the input; a fully connected layer has no map and does not look at it
    neurons: array<vec4<i32>>, // [outputs, 2]: bias, threshold
}

@group(0) @binding(0) var<storage, read> layer: Layer;
@group(0) @binding(1) var<storage, read> weights: array<vec4<i32>>; // [taps, 4 inputs, outputs] of 4 outputs
@group(0) @binding(2) var<storage, read> spikes_in: array<vec4<u32>>; // [images, pixels, inputs], bit t = step t
@group(0) @binding(3) var<storage, read_write> spikes_out: array<vec4<u32>>; // [images, pixels, outputs]

