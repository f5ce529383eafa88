// The autoregressive prior or posterior and its draws: latent spike trains of one image in one
// workgroup (integer machine, sections 4 and 5).
//
//     z_t[c] = spike at t of neuron c * k + j, j drawn by Philox, of a three-layer spiking network
//     whose input at t is z_{t-1}, for the posterior after the encoder's spikes at t
//
// The workgroup goes through the T time steps with all state in its memory: membranes of the two hidden
// layers, the second one's spikes so far, and z. An invocation makes four hidden neurons at a time, or
// one latent channel. Only the neuron that a channel draws has an effect, so of the last layer just that
// one is computed, and not from rest: its last four steps decide nearly always, exactly, for the carry into
// them lies between two known numbers (integer machine, section 7). Where they do not, it is begun four steps
// earlier, and so on; only the currents of the last four are kept.
//
// Of a large batch many workgroups run at once. Of a small one few do, so that a workgroup is larger, and several
// invocations share the inputs of what one makes otherwise: their sums meet in `sums`.
//
// Joined in front: TIME_STEPS (T), LATENT (C), NEURONS (k), STREAM, ENCODED (1 for the posterior, 0 for
// the prior), WORKGROUP (invocations), PARTED (1 where they share inputs), AHEAD (weights that are
// asked for at once, 1 or 4), philox.wgsl, run.wgsl.
// Twin: src/cpu/sample.rs.

const FIRST = (2u * LATENT + 3u) / 4u; // groups of four neurons of the first hidden layer
const SECOND = LATENT;                 // and of the second
const LATENT_MASKS = (LATENT + 31u) / 32u;
const FIRST_MASKS = (FIRST + 7u) / 8u;
const SECOND_MASKS = (SECOND + 7u) / 8u;
const SECTIONS = ENCODED + 1u; // of the input: the encoder's spikes, z
const LATENT_WORDS = (LATENT + 3u) / 4u * 4u;
// Where in `network`:
const SECOND_WEIGHTS = SECTIONS * LATENT * FIRST;           // after [SECTIONS * C, FIRST] of 4 outputs, [2C, SECOND] of 4 outputs
const HIDDEN_NEURONS = SECOND_WEIGHTS + 2u * LATENT * SECOND; // [FIRST + SECOND, 2]: bias, threshold of 4
const LAST_NEURONS = HIDDEN_NEURONS + 2u * (FIRST + SECOND);  // [C * k]: bias, threshold, least and largest carry
const LAST_WEIGHTS = LAST_NEURONS + LATENT * NEURONS;         // [C * k, SECOND] of 4 inputs
const QUADS = (TIME_STEPS + 3u) / 4u; // of time steps
// Invocations that share four neurons of a hidden layer, or a channel, and how many inputs one takes at a time.
const FIRST_PARTS = select(1u, max(1u, WORKGROUP / FIRST), PARTED == 1u);
const SECOND_PARTS = select(1u, max(1u, WORKGROUP / SECOND), PARTED == 1u);
const LAST_PARTS = select(1u, max(1u, WORKGROUP / LATENT), PARTED == 1u);
const FIRST_SLICE = select(8u, 32u, FIRST_PARTS == 1u);
const SECOND_SLICE = select(8u, 32u, SECOND_PARTS == 1u);
const SHARED = FIRST_PARTS + SECOND_PARTS + LAST_PARTS > 3u;
const SUMS = select(1u, 4u * max(FIRST, SECOND), SHARED);

// One buffer, because OpenGL ES promises four: hidden weights, neurons, last weights.
@group(0) @binding(1) var<storage, read> network: array<vec4<i32>>;
@group(0) @binding(2) var<storage, read> encoded: array<u32>; // [images, LATENT_WORDS], bit t = step t; the prior does not look at it
@group(0) @binding(3) var<storage, read_write> latents: array<u32>; // [images, LATENT_WORDS], bit t = step t

// Spikes of this step, a bit a neuron: the network's input, the hidden layers.
var<workgroup> input_mask: array<atomic<u32>, SECTIONS * LATENT_MASKS>;
var<workgroup> first_mask: array<atomic<u32>, FIRST_MASKS>;
var<workgroup> second_mask: array<atomic<u32>, SECOND_MASKS>;
// The second hidden layer's masks so far, [SECOND_MASKS, QUADS] of 4 time steps, the last one's first.
var<workgroup> history: array<vec4<u32>, SECOND_MASKS * QUADS>;
var<workgroup> first_carry: array<vec4<i32>, FIRST>;
var<workgroup> second_carry: array<vec4<i32>, SECOND>;
var<workgroup> sums: array<atomic<i32>, SUMS>; // of four neurons or time steps each; 0 where nobody adds

// One step of four neurons.
struct Fired {
    carry: vec4<i32>,
    spikes: u32, // a bit a neuron
}

// What a neuron carries into a step is one of low..=high.
struct Carry {
    low: i32,
    high: i32,
}

fn bits(spikes: vec4<bool>) -> u32 {
    let bits = select(vec4(0u), vec4(1u, 2u, 4u, 8u), spikes);
    return bits.x | bits.y | bits.z | bits.w;
}

fn fire(carry: vec4<i32>, current: vec4<i32>, group: u32) -> Fired {
    let potential = carry + current + network[HIDDEN_NEURONS + 2u * group];
    let spikes = potential > network[HIDDEN_NEURONS + 2u * group + 1u];
    return Fired(select(potential >> vec4(2u), vec4(0), spikes), bits(spikes));
}

// The carry into a step from the one into the step before, whose current is `x`.
fn next_carry(carry: Carry, x: i32, unit: vec4<i32>) -> Carry {
    let low = carry.low + x;
    let high = carry.high + x;
    let some_spike = high > unit.y;
    let all_spike = low > unit.y;
    // What spikes leaves 0; no carry is larger than unit.w.
    let least = select(low >> 2u, min(low >> 2u, 0), some_spike);
    let largest = select(high >> 2u, unit.w, some_spike);
    return Carry(select(least, 0, all_spike), select(largest, 0, all_spike));
}

// Four steps' share of the weights of one input, whose spikes are bit `at` of the steps' masks.
fn share(masks: vec4<u32>, at: u32, weight: i32) -> vec4<i32> {
    return vec4(weight) & -vec4<i32>((masks >> vec4(at)) & vec4(1u));
}

// The weights that a mask of spikes lets through; those of its first input are at `place`, of the next `row` behind.
fn received(spikes: u32, place: u32, row: u32) -> vec4<i32> {
    var mask = spikes;
    var current = vec4(0);
    while (mask != 0u) {
        if (AHEAD == 1u) {
            current += network[place + countTrailingZeros(mask) * row];
            mask &= mask - 1u;
        } else {
            // What is not there is the first once more, and does not count.
            let a = countTrailingZeros(mask);
            mask &= mask - 1u;
            let some_b = mask != 0u;
            let b = select(a, countTrailingZeros(mask), some_b);
            mask &= mask - 1u;
            let some_c = mask != 0u;
            let c = select(a, countTrailingZeros(mask), some_c);
            mask &= mask - 1u;
            let some_d = mask != 0u;
            let d = select(a, countTrailingZeros(mask), some_d);
            mask &= mask - 1u;
            let weights_a = network[place + a * row];
            let weights_b = network[place + b * row];
            let weights_c = network[place + c * row];
            let weights_d = network[place + d * row];
            current += weights_a + select(vec4(0), weights_b, some_b)
                + select(vec4(0), weights_c, some_c) + select(vec4(0), weights_d, some_d);
        }
    }
    return current;
}

// Adds a share of four sums.
fn add(n: u32, share: vec4<i32>) {
    atomicAdd(&sums[4u * n], share.x);
    atomicAdd(&sums[4u * n + 1u], share.y);
    atomicAdd(&sums[4u * n + 2u], share.z);
    atomicAdd(&sums[4u * n + 3u], share.w);
}

// Takes four sums, and leaves 0.
fn take(n: u32) -> vec4<i32> {
    return vec4(
        atomicExchange(&sums[4u * n], 0),
        atomicExchange(&sums[4u * n + 1u], 0),
        atomicExchange(&sums[4u * n + 2u], 0),
        atomicExchange(&sums[4u * n + 3u], 0),
    );
}

fn fire_first(n: u32, current: vec4<i32>) {
    let fired = fire(first_carry[n], current, n);
    first_carry[n] = fired.carry;
    atomicOr(&first_mask[n / 8u], fired.spikes << (4u * (n % 8u)));
}

fn fire_second(n: u32, current: vec4<i32>) {
    let fired = fire(second_carry[n], current, FIRST + n);
    second_carry[n] = fired.carry;
    atomicOr(&second_mask[n / 8u], fired.spikes << (4u * (n % 8u)));
}

// Currents of a neuron of the last layer at four steps, the last one's first: those that are 4 * quad ago and more. This
// part's share of them, and no bias.
fn four_currents(neuron: u32, quad: u32, part: u32) -> vec4<i32> {
    var currents = vec4(0);
    for (var m = part; m < SECOND_MASKS; m += LAST_PARTS) {
        let masks = history[m * QUADS + quad];
        let groups = min(8u, SECOND - 8u * m);
        for (var g = 0u; g < groups; g++) {
            let weights = network[LAST_WEIGHTS + neuron * SECOND + 8u * m + g];
            currents += share(masks, 4u * g, weights.x) + share(masks, 4u * g + 1u, weights.y)
                + share(masks, 4u * g + 2u, weights.z) + share(masks, 4u * g + 3u, weights.w);
        }
    }
    return currents;
}

// Spike at `step` of neuron `neuron` of the last layer, whose currents at the last four steps are known, but for the bias.
fn drawn_spike(neuron: u32, step: u32, received: vec4<i32>) -> bool {
    let unit = network[LAST_NEURONS + neuron];
    let latest = received + unit.x;
    var low = 0;
    var high = 0;
    // Each turn looks back four steps more. The one that reaches the first step decides, for nothing is carried into it.
    for (var quads = 1u; quads <= QUADS; quads++) {
        var carry = Carry(unit.z, unit.w);
        for (var quad = quads; quad > 0u; quad--) {
            var currents = latest;
            if (quad > 1u) {
                currents = vec4(unit.x);
                for (var part = 0u; part < LAST_PARTS; part++) {
                    currents += four_currents(neuron, quad - 1u, part);
                }
            }
            for (var s = 4u; s > 0u; s--) {
                // What lies before the first step has no effect: it ends here.
                if (4u * (quad - 1u) + s - 1u == step) {
                    carry = Carry(0, 0);
                }
                low = carry.low + currents[s - 1u];
                high = carry.high + currents[s - 1u];
                carry = next_carry(carry, currents[s - 1u], unit);
            }
        }
        if (low > unit.y || high <= unit.y) {
            break;
        }
    }
    return low > unit.y;
}

// Puts the encoder's spike of channel `c` at `step` into the input.
fn receive_encoded(image: u32, c: u32, step: u32) {
    if (ENCODED == 1u && ((encoded[image * LATENT_WORDS + c] >> step) & 1u) == 1u) {
        atomicOr(&input_mask[c / 32u], 1u << (c % 32u));
    }
}

// The neuron of the last layer that a channel draws.
fn drawn(c: u32, step: u32, index: vec2<u32>) -> u32 {
    let call = step * (LATENT_WORDS / 4u) + c / 4u;
    let words = philox(run.seed, vec4(index, call, STREAM));
    return c * NEURONS + pick(words[c % 4u], NEURONS);
}

// Keeps the spike of a channel, which is the next step's input.
fn keep(image: u32, c: u32, step: u32, spike: bool) {
    if (spike) {
        atomicOr(&input_mask[ENCODED * LATENT_MASKS + c / 32u], 1u << (c % 32u));
        latents[image * LATENT_WORDS + c] |= 1u << step;
    }
    if (step + 1u < TIME_STEPS) {
        receive_encoded(image, c, step + 1u);
    }
}

@compute @workgroup_size(WORKGROUP)
fn sample(@builtin(local_invocation_index) own: u32, @builtin(workgroup_id) workgroup: vec3<u32>) {
    let image = workgroup.z;
    let index = index_of(image);

    for (var n = own; n < FIRST; n += WORKGROUP) {
        first_carry[n] = vec4(0);
    }
    for (var n = own; n < SECOND; n += WORKGROUP) {
        second_carry[n] = vec4(0);
    }
    for (var m = own; m < SECOND_MASKS * QUADS; m += WORKGROUP) {
        history[m] = vec4(0u);
    }
    for (var m = own; m < SECTIONS * LATENT_MASKS; m += WORKGROUP) {
        atomicStore(&input_mask[m], 0u);
    }
    for (var m = own; m < FIRST_MASKS; m += WORKGROUP) {
        atomicStore(&first_mask[m], 0u);
    }
    for (var m = own; m < SECOND_MASKS; m += WORKGROUP) {
        atomicStore(&second_mask[m], 0u);
    }
    for (var c = own; c < LATENT_WORDS; c += WORKGROUP) {
        latents[image * LATENT_WORDS + c] = 0u;
    }
    for (var n = own; n < SUMS; n += WORKGROUP) {
        atomicStore(&sums[n], 0);
    }
    workgroupBarrier();
    for (var c = own; c < LATENT; c += WORKGROUP) {
        receive_encoded(image, c, 0u);
    }
    workgroupBarrier();

    for (var step = 0u; step < TIME_STEPS; step++) {
        for (var u = own; u < FIRST * FIRST_PARTS; u += WORKGROUP) {
            let n = u % FIRST;
            var current = vec4(0);
            for (var s = u / FIRST; s < SECTIONS * LATENT_MASKS * (32u / FIRST_SLICE); s += FIRST_PARTS) {
                let m = s / (32u / FIRST_SLICE);
                let bit = s % (32u / FIRST_SLICE) * FIRST_SLICE;
                let input = m / LATENT_MASKS * LATENT + 32u * (m % LATENT_MASKS) + bit;
                let mask = extractBits(atomicLoad(&input_mask[m]), bit, FIRST_SLICE);
                current += received(mask, input * FIRST + n, FIRST);
            }
            if (FIRST_PARTS > 1u) {
                add(n, current);
            } else {
                fire_first(n, current);
            }
        }
        workgroupBarrier();
        if (FIRST_PARTS > 1u) {
            for (var n = own; n < FIRST; n += WORKGROUP) {
                fire_first(n, take(n));
            }
            workgroupBarrier();
        }

        for (var u = own; u < SECOND * SECOND_PARTS; u += WORKGROUP) {
            let n = u % SECOND;
            var current = vec4(0);
            for (var s = u / SECOND; s < FIRST_MASKS * (32u / SECOND_SLICE); s += SECOND_PARTS) {
                let bit = s % (32u / SECOND_SLICE) * SECOND_SLICE;
                let mask = extractBits(atomicLoad(&first_mask[s / (32u / SECOND_SLICE)]), bit, SECOND_SLICE);
                current += received(mask, SECOND_WEIGHTS + s * SECOND_SLICE * SECOND + n, SECOND);
            }
            if (SECOND_PARTS > 1u) {
                add(n, current);
            } else {
                fire_second(n, current);
            }
        }
        if (SECOND_PARTS > 1u) {
            workgroupBarrier();
            for (var n = own; n < SECOND; n += WORKGROUP) {
                fire_second(n, take(n));
            }
        }
        // This step's input has been read by all; the next one's is written after two barriers.
        for (var m = own; m < SECTIONS * LATENT_MASKS; m += WORKGROUP) {
            atomicStore(&input_mask[m], 0u);
        }
        workgroupBarrier();

        for (var m = own; m < SECOND_MASKS; m += WORKGROUP) {
            for (var q = QUADS - 1u; q > 0u; q--) {
                history[m * QUADS + q] = vec4(history[m * QUADS + q - 1u].w, history[m * QUADS + q].xyz);
            }
            let mask = atomicExchange(&second_mask[m], 0u);
            history[m * QUADS] = vec4(mask, history[m * QUADS].xyz);
        }
        for (var m = own; m < FIRST_MASKS; m += WORKGROUP) {
            atomicStore(&first_mask[m], 0u);
        }
        workgroupBarrier();

        for (var u = own; u < LATENT * LAST_PARTS; u += WORKGROUP) {
            let c = u % LATENT;
            if (LAST_PARTS > 1u) {
                add(c, four_currents(drawn(c, step, index), 0u, u / LATENT));
            } else {
                let neuron = drawn(c, step, index);
                keep(image, c, step, drawn_spike(neuron, step, four_currents(neuron, 0u, 0u)));
            }
        }
        if (LAST_PARTS > 1u) {
            workgroupBarrier();
            for (var c = own; c < LATENT; c += WORKGROUP) {
                keep(image, c, step, drawn_spike(drawn(c, step, index), step, take(c)));
            }
        }
        workgroupBarrier();
    }
}
