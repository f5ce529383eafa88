// What arrives at four outputs by one tap of a layer, in one of three ways; all give the same sums. Which is fastest
// depends on the adapter.
//
// Joined in front: TIME_STEPS, GATHER, INPUTS, OUTPUTS (groups of four channels), lif.wgsl (Currents, receive), layer.wgsl
// (weights, spikes_in).

const DENSE = 0u;    // every input, silent or not
const BRANCHES = 1u; // an input that is silent at all time steps is jumped over
const EVENTS = 2u;   // inputs that are not silent are found by their bits in a mask of 32 inputs

// Adds the currents of the input pixel whose spikes are at `spikes`, by the weights from row `row` on.
fn gather(currents: ptr<function, Currents>, spikes: u32, row: u32, output: u32) {
    if (GATHER == EVENTS) {
        gather_events(currents, spikes, row, output);
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

fn gather_events(currents: ptr<function, Currents>, spikes: u32, row: u32, output: u32) {
    for (var i = 0u; i < INPUTS; i += 8u) {
        let groups = min(8u, INPUTS - i);
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
