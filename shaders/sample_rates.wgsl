// ESVAE's prior: latent spike trains of one image in one workgroup (integer machine, section 8):
//
//     m_j    = ones in 128 random bits - 64
//     x_c    = sum_j W[c, j] * m_j + B_c
//     rate_c = number of logits below x_c
//     z_t[c] = 1 where a random number of 16 bits is below rate_c
//
// An invocation counts the bits of a channel, then makes the spike trains of four channels; the C counts in
// between are in the workgroup's memory. All else stays in registers.
//
// Joined in front: TIME_STEPS (T), LATENT (C), philox.wgsl, run.wgsl.
// Twin: src/cpu/rates.rs.

const WORKGROUP = 64u;
const GROUPS = (LATENT + 3u) / 4u; // of four channels
const RATES = 2u;                  // the stream of the spikes' random numbers
const NORMALS = 4u;                // and of the counted bits

@group(0) @binding(1) var<storage, read> weights: array<vec4<i32>>; // [C + 1, GROUPS] of 4 channels; the last row is the bias
@group(0) @binding(2) var<storage, read> logits: array<i32>; // [65536], ascending
@group(0) @binding(3) var<storage, read_write> latents: array<vec4<u32>>; // [images, GROUPS], bit t = step t

var<workgroup> normals: array<i32, LATENT>;

// How many logits lie below a current, 0 to 65536: from the highest of 16 bits to the lowest, and one more.
fn rate(current: i32) -> u32 {
    var below = 0u;
    for (var n = 0u; n < 17u; n++) {
        let more = max(32768u >> n, 1u);
        below += select(0u, more, logits[below + more - 1u] < current);
    }
    return below;
}

@compute @workgroup_size(WORKGROUP)
fn sample_rates(@builtin(local_invocation_index) own: u32, @builtin(workgroup_id) workgroup: vec3<u32>) {
    let image = workgroup.z;
    let index = index_of(image);
    for (var j = own; j < LATENT; j += WORKGROUP) {
        let words = philox(run.seed, vec4(index, j, NORMALS));
        let ones = countOneBits(words.x) + countOneBits(words.y) + countOneBits(words.z) + countOneBits(words.w);
        normals[j] = i32(ones) - 64;
    }
    workgroupBarrier();

    for (var group = own; group < GROUPS; group += WORKGROUP) {
        var current = weights[LATENT * GROUPS + group];
        for (var j = 0u; j < LATENT; j++) {
            current += weights[j * GROUPS + group] * normals[j];
        }
        let rates = vec4(rate(current.x), rate(current.y), rate(current.z), rate(current.w));
        var spike_trains = vec4(0u);
        for (var t = 0u; t < TIME_STEPS; t++) {
            let words = philox(run.seed, vec4(index, t * GROUPS + group, RATES));
            spike_trains |= select(vec4(0u), vec4(1u << t), (words >> vec4(16u)) < rates);
        }
        latents[image * GROUPS + group] = spike_trains;
    }
}
