// The last convolution and the membrane readout, commuted (integer machine, section 6):
//
//     r[i] = sum_t K_t * s_i(t)
//     S[y, x] = sum_i,ky,kx W[i, o, ky, kx] * r[i][y - ky + 1, x - kx + 1] + B[o]
//     pixel = number of thresholds that S >> 18 has reached
//
// A workgroup makes an 8x8 tile of one image, an invocation the channels of one pixel. r of the tile
// and its border is computed once, CHUNK channels at a time, into workgroup memory. S has up to 45
// bits: with W = 2^14 * Wh + Wl it is kept as S = 2^14 * first + second. The bytes of the tile are
// gathered in workgroup memory and written as words, so that the buffer is the image.
//
// Joined in front: TIME_STEPS (T), IMAGE_CHANNELS, INPUTS (groups of four channels), SIDE (of the image). Twin: src/cpu/readout.rs.

const TILE = 8u;
const BORDERED = TILE + 2u;
const CHUNK = 4u; // groups of 4 channels
const THRESHOLDS = 255u;

// K [T], bias [IMAGE_CHANNELS, 2]: first, second; thresholds [255]
@group(0) @binding(0) var<storage, read> constants: array<i32>;
@group(0) @binding(1) var<storage, read> weights: array<vec4<i32>>; // [IMAGE_CHANNELS, 9, INPUTS, 2]: Wh, Wl
@group(0) @binding(2) var<storage, read> spikes_in: array<vec4<u32>>; // [images, SIDE, SIDE, INPUTS]
@group(0) @binding(3) var<storage, read_write> pixels: array<u32>; // [images, SIDE, SIDE, IMAGE_CHANNELS] of u8

var<workgroup> rates: array<vec4<i32>, BORDERED * BORDERED * CHUNK>;
var<workgroup> bytes: array<u32, TILE * TILE * IMAGE_CHANNELS>;

// r of four channels.
fn rate(spike_trains: vec4<u32>, coefficients: ptr<function, array<i32, TIME_STEPS>>) -> vec4<i32> {
    var sum = vec4(0);
    for (var t = 0u; t < TIME_STEPS; t++) {
        sum += vec4<i32>((spike_trains >> vec4(t)) & vec4(1u)) * (*coefficients)[t];
    }
    return sum;
}

fn sum4(v: vec4<i32>) -> i32 {
    return v.x + v.y + v.z + v.w;
}

// How many of the ascending thresholds `level` has reached.
fn count_reached(level: i32) -> u32 {
    let table = TIME_STEPS + 2u * IMAGE_CHANNELS;
    var low = 0u;
    var high = THRESHOLDS;
    while (low < high) {
        let middle = (low + high) / 2u;
        if (level >= constants[table + middle]) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    return low;
}

@compute @workgroup_size(64)
fn readout(@builtin(local_invocation_index) own: u32, @builtin(workgroup_id) workgroup: vec3<u32>) {
    let corner = workgroup.xy * TILE; // x, y
    let image = workgroup.z;
    let x = own % TILE;
    let y = own / TILE;

    var coefficients: array<i32, TIME_STEPS>;
    for (var t = 0u; t < TIME_STEPS; t++) {
        coefficients[t] = constants[t];
    }
    var first: array<i32, IMAGE_CHANNELS>;
    var second: array<i32, IMAGE_CHANNELS>;
    for (var start = 0u; start < INPUTS; start += CHUNK) {
        let groups = min(CHUNK, INPUTS - start);
        for (var n = own; n < BORDERED * BORDERED * groups; n += TILE * TILE) {
            let cell = n / groups;
            let group = n % groups;
            // One to the left and above; what lies outside wraps to a large number.
            let from_x = corner.x + cell % BORDERED - 1u;
            let from_y = corner.y + cell / BORDERED - 1u;
            var r = vec4(0);
            if (from_x < SIDE && from_y < SIDE) {
                let at = (image * SIDE + from_y) * SIDE + from_x;
                r = rate(spikes_in[at * INPUTS + start + group], &coefficients);
            }
            rates[cell * CHUNK + group] = r;
        }
        workgroupBarrier();
        for (var o = 0u; o < IMAGE_CHANNELS; o++) {
            for (var tap = 0u; tap < 9u; tap++) {
                let cell = (y + 2u - tap / 3u) * BORDERED + x + 2u - tap % 3u;
                for (var group = 0u; group < groups; group++) {
                    let r = rates[cell * CHUNK + group];
                    let at = 2u * ((o * 9u + tap) * INPUTS + start + group);
                    let low = weights[at + 1u] * r;
                    first[o] += sum4(weights[at] * r + (low >> vec4(14u)));
                    second[o] += sum4(low & vec4(0x3fff));
                }
            }
        }
        workgroupBarrier();
    }

    for (var o = 0u; o < IMAGE_CHANNELS; o++) {
        let bias = TIME_STEPS + 2u * o;
        let low = second[o] + constants[bias + 1u];
        let level = (first[o] + constants[bias] + (low >> 14u)) >> 4u;
        bytes[own * IMAGE_CHANNELS + o] = count_reached(level);
    }
    workgroupBarrier();

    // Two words a row and channel in the tile; a 4x4 image fills only part of it.
    let words = TILE / 4u * IMAGE_CHANNELS;
    let width = min(TILE, SIDE - corner.x) * IMAGE_CHANNELS / 4u;
    if (own < TILE * words) {
        let row = own / words;
        let word = own % words;
        if (word < width && corner.y + row < SIDE) {
            let at = row * TILE * IMAGE_CHANNELS + 4u * word;
            let packed = bytes[at] | (bytes[at + 1u] << 8u) | (bytes[at + 2u] << 16u) | (bytes[at + 3u] << 24u);
            let line = (image * SIDE + corner.y + row) * SIDE + corner.x;
            pixels[line * IMAGE_CHANNELS / 4u + word] = packed;
        }
    }
}
