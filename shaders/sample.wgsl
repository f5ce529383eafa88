// The autoregressive prior or posterior and its draws: latent spike trains of one image in one
// workgroup (integer machine, sections 4 and 5).
//
//     z_t[c] = spike at t of neuron c * k + j, j drawn by Philox, of a three-layer spiking network
//     whose input at t is z_{t-1}, for the posterior after the encoder's spikes at t
//
// The workgroup goes through the T time steps with all state in its memory: membranes and spikes of
// the two hidden layers, and z. An invocation owns every 128th neuron of a hidden layer and every
// 128th latent channel. Only the neuron that a channel draws has an effect, so of the last layer
// just that one is computed: from rest, over the steps up to now, four steps at a time in the lanes
// of a vector, with inputs that are silent in these four steps skipped.
//
// Joined in front: TIME_STEPS (T), LATENT (C), NEURONS (k), STREAM, ENCODED (1 for the posterior, 0 for
// the prior), and philox.wgsl.
// Twin: src/cpu/sample.rs.

const WORKGROUP = 128u;
const FIRST = 2u * LATENT;  // neurons of the first hidden layer
const SECOND = 4u * LATENT; // and of the second
const LATENT_MASKS = (LATENT + 31u) / 32u;
const FIRST_MASKS = (FIRST + 31u) / 32u;
const SECTIONS = ENCODED + 1u; // of the input: the encoder's spikes, z
const LATENT_WORDS = (LATENT + 3u) / 4u * 4u;

struct Run {
    seed: vec2<u32>,  // low, high
    first: vec2<u32>, // index of the batch's first image: low, high
}

@group(0) @binding(0) var<storage, read> run: Run;
@group(0) @binding(1) var<storage, read> hidden_weights: array<i32>; // [SECTIONS * C, 2C] then [2C, 4C], input first
@group(0) @binding(2) var<storage, read> last_weights: array<vec4<i32>>; // [C * k, C] of 4 inputs
@group(0) @binding(3) var<storage, read> neurons: array<vec2<i32>>; // [2C + 4C + C * k]: bias, threshold
@group(0) @binding(4) var<storage, read> encoded: array<u32>; // [images, LATENT_WORDS], bit t = step t; the prior does not look at it
@group(0) @binding(5) var<storage, read_write> latents: array<u32>; // [images, LATENT_WORDS], bit t = step t

// The network's input and the first hidden layer's spikes, a bit a neuron.
var<workgroup> input_mask: array<atomic<u32>, SECTIONS * LATENT_MASKS>;
var<workgroup> first_mask: array<atomic<u32>, FIRST_MASKS>;
// Spike trains of the second hidden layer up to now, a word a neuron.
var<workgroup> second_trains: array<u32, SECOND>;
var<workgroup> first_carry: array<i32, FIRST>;
var<workgroup> second_carry: array<i32, SECOND>;

// One neuron's membrane for one step: the new carry, and whether it spikes.
struct Fired {
    carry: i32,
    spike: bool,
}

fn fire(carry: i32, current: i32, neuron: vec2<i32>) -> Fired {
    let potential = carry + current + neuron.x;
    let spike = potential > neuron.y;
    return Fired(select(potential >> 2u, 0, spike), spike);
}

// Spike at `step` of neuron `neuron` of the last layer.
fn drawn_spike(neuron: u32, step: u32) -> bool {
    let unit = neurons[FIRST + SECOND + neuron];
    var carry = 0;
    var spikes = 0u;
    for (var start = 0u; start <= step; start += 4u) {
        var current = vec4(0);
        for (var i = 0u; i < LATENT; i++) {
            let n = 4u * i;
            let words = vec4(second_trains[n], second_trains[n + 1u], second_trains[n + 2u], second_trains[n + 3u]);
            let trains = (words >> vec4(start)) & vec4(15u);
            if (any(trains != vec4(0u))) {
                let weights = last_weights[neuron * LATENT + i];
                for (var j = 0u; j < 4u; j++) {
                    let spiking = (vec4(trains[j]) >> vec4(0u, 1u, 2u, 3u)) & vec4(1u);
                    current += vec4(weights[j]) & -vec4<i32>(spiking);
                }
            }
        }
        for (var s = 0u; s < 4u; s++) {
            let fired = fire(carry, current[s], unit);
            carry = fired.carry;
            spikes |= select(0u, 1u << (start + s), fired.spike);
        }
    }
    return ((spikes >> step) & 1u) == 1u;
}

// Puts the encoder's spike of channel `c` at `step` into the input.
fn receive_encoded(image: u32, c: u32, step: u32) {
    if (ENCODED == 1u && ((encoded[image * LATENT_WORDS + c] >> step) & 1u) == 1u) {
        atomicOr(&input_mask[c / 32u], 1u << (c % 32u));
    }
}

@compute @workgroup_size(WORKGROUP)
fn sample(@builtin(local_invocation_index) own: u32, @builtin(workgroup_id) workgroup: vec3<u32>) {
    let image = workgroup.z;
    let low = run.first.x + image;
    let index = vec2(low, run.first.y + select(0u, 1u, low < image));

    for (var n = own; n < FIRST; n += WORKGROUP) {
        first_carry[n] = 0;
    }
    for (var n = own; n < SECOND; n += WORKGROUP) {
        second_carry[n] = 0;
        second_trains[n] = 0u;
    }
    for (var m = own; m < SECTIONS * LATENT_MASKS; m += WORKGROUP) {
        atomicStore(&input_mask[m], 0u);
    }
    for (var m = own; m < FIRST_MASKS; m += WORKGROUP) {
        atomicStore(&first_mask[m], 0u);
    }
    for (var c = own; c < LATENT_WORDS; c += WORKGROUP) {
        latents[image * LATENT_WORDS + c] = 0u;
    }
    workgroupBarrier();
    for (var c = own; c < LATENT; c += WORKGROUP) {
        receive_encoded(image, c, 0u);
    }
    workgroupBarrier();

    for (var step = 0u; step < TIME_STEPS; step++) {
        for (var n = own; n < FIRST; n += WORKGROUP) {
            var current = 0;
            for (var m = 0u; m < SECTIONS * LATENT_MASKS; m++) {
                let start = m / LATENT_MASKS * LATENT + 32u * (m % LATENT_MASKS);
                var mask = atomicLoad(&input_mask[m]);
                while (mask != 0u) {
                    let input = start + firstTrailingBit(mask);
                    mask &= mask - 1u;
                    current += hidden_weights[input * FIRST + n];
                }
            }
            let fired = fire(first_carry[n], current, neurons[n]);
            first_carry[n] = fired.carry;
            if (fired.spike) {
                atomicOr(&first_mask[n / 32u], 1u << (n % 32u));
            }
        }
        workgroupBarrier();

        for (var n = own; n < SECOND; n += WORKGROUP) {
            var current = 0;
            for (var m = 0u; m < FIRST_MASKS; m++) {
                var mask = atomicLoad(&first_mask[m]);
                while (mask != 0u) {
                    let input = 32u * m + firstTrailingBit(mask);
                    mask &= mask - 1u;
                    current += hidden_weights[SECTIONS * LATENT * FIRST + input * SECOND + n];
                }
            }
            let fired = fire(second_carry[n], current, neurons[FIRST + n]);
            second_carry[n] = fired.carry;
            second_trains[n] |= select(0u, 1u << step, fired.spike);
        }
        // This step's input has been read by all; the next one's is written after the next barrier.
        for (var m = own; m < SECTIONS * LATENT_MASKS; m += WORKGROUP) {
            atomicStore(&input_mask[m], 0u);
        }
        workgroupBarrier();

        for (var c = own; c < LATENT; c += WORKGROUP) {
            let call = step * (LATENT_WORDS / 4u) + c / 4u;
            let words = philox(run.seed, vec4(index, call, STREAM));
            if (drawn_spike(c * NEURONS + pick(words[c % 4u], NEURONS), step)) {
                atomicOr(&input_mask[ENCODED * LATENT_MASKS + c / 32u], 1u << (c % 32u));
                latents[image * LATENT_WORDS + c] |= 1u << step;
            }
            if (step + 1u < TIME_STEPS) {
                receive_encoded(image, c, step + 1u);
            }
        }
        for (var m = own; m < FIRST_MASKS; m += WORKGROUP) {
            atomicStore(&first_mask[m], 0u);
        }
        workgroupBarrier();
    }
}
