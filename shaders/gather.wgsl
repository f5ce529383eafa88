// What arrives at four outputs by one tap of a layer, in one of several ways; all give the same sums. Which is fastest
// depends on the adapter.
//
// Joined in front: ROW, TIME_STEPS, GATHER, INPUTS, OUTPUTS (groups of four channels), PARTS, lif.wgsl (Currents),
// layer.wgsl (weights, spikes_in).

const DENSE = 0u;    // every input, silent or not
const BRANCHES = 1u; // an input that is silent at all time steps is jumped over
const EVENTS = 2u;   // inputs that are not silent are found by their bits in a mask
const PRODUCTS = 5u; // as EVENTS, and weights are multiplied by spikes, which some GPUs do beside their additions
const SHARED = 6u;   // as PRODUCTS, and PARTS invocations share the inputs of an output; else PARTS is 1

const WORKGROUP = 64u;
const SLOTS = WORKGROUP / PARTS;                     // outputs of a workgroup
const CHUNK = min(8u, (INPUTS + PARTS - 1u) / PARTS); // groups of inputs in a mask of events
const SUMS = select(1u, 4u * TIME_STEPS * SLOTS, PARTS > 1u);

var<workgroup> sums: array<atomic<i32>, SUMS>; // [TIME_STEPS, 4, SLOTS], where outputs are shared

// The output of an invocation, by its place in the dispatch, and its part of that output's inputs.
fn unit_of(x: u32, row: u32) -> u32 {
    return (x + row * ROW) / WORKGROUP * SLOTS + x % SLOTS;
}

fn part_of(x: u32) -> u32 {
    return x % WORKGROUP / SLOTS;
}

// Adds the weights of one input to the currents of every step at which its spike train has a spike.
fn receive(currents: ptr<function, Currents>, spike_train: u32, weights: vec4<i32>) {
    for (var t = 0u; t < TIME_STEPS; t++) {
        if (GATHER >= PRODUCTS) {
            (*currents)[t] += weights * i32(extractBits(spike_train, t, 1u));
        } else {
            let mask = extractBits(i32(spike_train), t, 1u); // of this step's bit: all bits or none
            (*currents)[t] += weights & vec4(mask);
        }
    }
}

// Adds the currents of the input pixel whose spikes are at `spikes`, by the weights from row `row` on.
fn gather(currents: ptr<function, Currents>, spikes: u32, row: u32, output: u32, part: u32) {
    if (GATHER >= EVENTS) {
        gather_events(currents, spikes, row, output, part);
    } else {
        gather_all(currents, spikes, row, output);
    }
}

fn gather_all(currents: ptr<function, Currents>, spikes: u32, row: u32, output: u32) {
    for (var i = 0u; i < INPUTS; i++) {
        let spike_trains = spikes_in[spikes + i];
        for (var j = 0u; j < 4u; j++) {
            if (GATHER == DENSE || spike_trains[j] != 0u) {
                receive(currents, spike_trains[j], weights[(row + 4u * i + j) * OUTPUTS + output]);
            }
        }
    }
}

fn gather_events(currents: ptr<function, Currents>, spikes: u32, row: u32, output: u32, part: u32) {
    for (var i = CHUNK * part; i < INPUTS; i += CHUNK * PARTS) {
        let groups = min(CHUNK, INPUTS - i);
        var events = 0u;
        for (var g = 0u; g < groups; g++) {
            let some = select(vec4(0u), vec4(1u, 2u, 4u, 8u), spikes_in[spikes + i + g] != vec4(0u));
            events |= (some.x | some.y | some.z | some.w) << (4u * g);
        }
        while (events != 0u) {
            let input = 4u * i + countTrailingZeros(events);
            events &= events - 1u;
            let spike_train = spikes_in[spikes + input / 4u][input % 4u];
            receive(currents, spike_train, weights[(row + input) * OUTPUTS + output]);
        }
    }
}

// Adds up what the invocations of an output have received. All of a workgroup come here, whether they received or not.
fn join(currents: ptr<function, Currents>, x: u32) {
    if (PARTS > 1u) {
        for (var n = x % WORKGROUP; n < SUMS; n += WORKGROUP) {
            atomicStore(&sums[n], 0);
        }
        workgroupBarrier();
        let slot = x % SLOTS;
        for (var t = 0u; t < TIME_STEPS; t++) {
            let current = (*currents)[t];
            atomicAdd(&sums[4u * t * SLOTS + slot], current.x);
            atomicAdd(&sums[(4u * t + 1u) * SLOTS + slot], current.y);
            atomicAdd(&sums[(4u * t + 2u) * SLOTS + slot], current.z);
            atomicAdd(&sums[(4u * t + 3u) * SLOTS + slot], current.w);
        }
        workgroupBarrier();
        for (var t = 0u; t < TIME_STEPS; t++) {
            (*currents)[t] = vec4(
                atomicLoad(&sums[4u * t * SLOTS + slot]),
                atomicLoad(&sums[(4u * t + 1u) * SLOTS + slot]),
                atomicLoad(&sums[(4u * t + 2u) * SLOTS + slot]),
                atomicLoad(&sums[(4u * t + 3u) * SLOTS + slot]),
            );
        }
    }
}
