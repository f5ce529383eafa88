// ESVAE's prior: latent spike trains of one image in one workgroup (integer machine, sections 8 and 8b):
//
//     m_j    = ones in 128 random bits - 64
//     h_o    = sum_j W[o, j] * m_j + B_o, shifted and clamped to 0 to 255     in each hidden layer, if there are any
//     x_c    = sum_j W[c, j] * m_j + B_c                                      of h in place of m behind hidden layers
//     rate_c = number of logits below x_c
//     z_t[c] = 1 where a random number of 16 bits is below rate_c
//
// An invocation counts the bits of a channel, then makes four outputs of each layer; what goes from layer to layer is in
// the workgroup's memory. All else stays in registers.
//
// Joined in front: TIME_STEPS (T), LATENT (C), HIDDEN_0, HIDDEN_1 (outputs of the hidden layers, 0 where there is none),
// SHIFT_0, SHIFT_1 (of their currents), NUMBERS (in the widest of them and the input, whole groups), philox.wgsl, run.wgsl.
// Twin: src/cpu/rates.rs.

const WORKGROUP = 64u;
const GROUPS = (LATENT + 3u) / 4u; // of four channels
const RATES = 2u;                  // the stream of the spikes' random numbers
const NORMALS = 4u;                // and of the counted bits
const MOST = 255;                  // spikes of a hidden unit
const GROUPS_0 = (HIDDEN_0 + 3u) / 4u;
const GROUPS_1 = (HIDDEN_1 + 3u) / 4u;
// Where a layer's weights begin, for one that is not there has no groups; and what the last one sees.
const WEIGHTS_1 = (LATENT + 1u) * GROUPS_0;
const WEIGHTS_2 = WEIGHTS_1 + (HIDDEN_0 + 1u) * GROUPS_1;
const SEEN = select(select(LATENT, HIDDEN_0, HIDDEN_0 > 0u), HIDDEN_1, HIDDEN_1 > 0u);
// Layers read and write the halves of the numbers by turns.
const SEEN_AT = select(0u, NUMBERS, HIDDEN_0 > 0u && HIDDEN_1 == 0u);

// Each layer's [inputs + 1, groups] of 4 outputs; the last row is the bias.
@group(0) @binding(1) var<storage, read> weights: array<vec4<i32>>;
@group(0) @binding(2) var<storage, read> logits: array<i32>; // [65536], ascending
@group(0) @binding(3) var<storage, read_write> latents: array<vec4<u32>>; // [images, GROUPS], bit t = step t

var<workgroup> numbers: array<i32, select(NUMBERS, 2u * NUMBERS, HIDDEN_0 > 0u)>;

// Four currents of a layer whose inputs are the `inputs` numbers from `seen` on.
fn currents(start: u32, inputs: u32, groups: u32, group: u32, seen: u32) -> vec4<i32> {
    var sum = weights[start + inputs * groups + group];
    for (var j = 0u; j < inputs; j++) {
        sum += weights[start + j * groups + group] * numbers[seen + j];
    }
    return sum;
}

// What four hidden units give, from `place` on.
fn keep(currents: vec4<i32>, shift: u32, place: u32) {
    let units = clamp(currents >> vec4(shift), vec4(0), vec4(MOST));
    numbers[place] = units.x;
    numbers[place + 1u] = units.y;
    numbers[place + 2u] = units.z;
    numbers[place + 3u] = units.w;
}

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
        numbers[j] = i32(ones) - 64;
    }
    workgroupBarrier();

    if HIDDEN_0 > 0u {
        for (var group = own; group < GROUPS_0; group += WORKGROUP) {
            keep(currents(0u, LATENT, GROUPS_0, group, 0u), SHIFT_0, NUMBERS + 4u * group);
        }
        workgroupBarrier();
    }
    if HIDDEN_1 > 0u {
        for (var group = own; group < GROUPS_1; group += WORKGROUP) {
            keep(currents(WEIGHTS_1, HIDDEN_0, GROUPS_1, group, NUMBERS), SHIFT_1, 4u * group);
        }
        workgroupBarrier();
    }

    for (var group = own; group < GROUPS; group += WORKGROUP) {
        let current = currents(WEIGHTS_2, SEEN, GROUPS, group, SEEN_AT);
        let rates = vec4(rate(current.x), rate(current.y), rate(current.z), rate(current.w));
        var spike_trains = vec4(0u);
        for (var t = 0u; t < TIME_STEPS; t++) {
            let words = philox(run.seed, vec4(index, t * GROUPS + group, RATES));
            spike_trains |= select(vec4(0u), vec4(1u << t), (words >> vec4(16u)) < rates);
        }
        latents[image * GROUPS + group] = spike_trains;
    }
}
