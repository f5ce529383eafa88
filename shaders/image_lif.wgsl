// The encoder's first layer: a spiking 3x3 convolution, stride 2, padding 1, of u8 pixels
// (integer machine, section 4):
//
//     v = 2 pixel - 255, 0 outside the image
//     x[y, x] = floor(sum_c,ky,kx W[o, c, ky, kx] * v[2y + ky - 1, 2x + kx - 1] / 2^8) + B[o], then lif.wgsl
//
// The current is the same at every step. The sum has about 40 bits: with W = 2^16 * Wh + Wl and
// 0 <= Wl < 2^16 it is kept as 2^16 * high + low, so that its floor is (high << 8) + (low >> 8).
// One invocation makes the spike trains of four output channels of one pixel of one image.
//
// Joined in front: ROW, TIME_STEPS, IMAGE_CHANNELS, OUTPUTS (groups of four channels), SIDE (of the image), lif.wgsl. Twin: src/cpu/image_lif.rs.

@group(0) @binding(0) var<storage, read> neurons: array<vec4<i32>>; // [OUTPUTS, 2]: bias, threshold
@group(0) @binding(1) var<storage, read> weights: array<vec4<i32>>; // [9, IMAGE_CHANNELS, OUTPUTS, 2]: Wh, Wl of 4 outputs
@group(0) @binding(2) var<storage, read> pixels: array<u32>; // [images, SIDE, SIDE, IMAGE_CHANNELS] of u8
@group(0) @binding(3) var<storage, read_write> spikes_out: array<vec4<u32>>; // [images, SIDE / 2, SIDE / 2, OUTPUTS]

@compute @workgroup_size(64)
fn image_lif(@builtin(global_invocation_id) id: vec3<u32>) {
    let half = SIDE / 2u;
    let unit = id.x + id.y * ROW;
    let output = unit % OUTPUTS;
    let at = unit / OUTPUTS;
    let y = at / half;
    let x = at % half;
    let image = id.z;
    if (y >= half) {
        return;
    }
    var high = vec4(0);
    var low = vec4(0);
    for (var tap = 0u; tap < 9u; tap++) {
        // Above and to the left of the image this wraps to a large number.
        let a = 2u * y + tap / 3u - 1u;
        let b = 2u * x + tap % 3u - 1u;
        if (a < SIDE && b < SIDE) {
            let pixel = (image * SIDE + a) * SIDE + b;
            for (var c = 0u; c < IMAGE_CHANNELS; c++) {
                let byte = pixel * IMAGE_CHANNELS + c;
                let value = 2 * i32((pixels[byte / 4u] >> (8u * (byte % 4u))) & 0xffu) - 255;
                let row = 2u * ((tap * IMAGE_CHANNELS + c) * OUTPUTS + output);
                high += weights[row] * value;
                low += weights[row + 1u] * value;
            }
        }
    }
    var currents: Currents;
    for (var t = 0u; t < TIME_STEPS; t++) {
        currents[t] = (high << vec4(8u)) + (low >> vec4(8u));
    }
    spikes_out[(image * half * half + at) * OUTPUTS + output] =
        fire(&currents, neurons[2u * output], neurons[2u * output + 1u]);
}
