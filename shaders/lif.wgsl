// Leaky integrate-and-fire neurons, four output channels at a time (integer machine, section 4).
//
// Joined in front: TIME_STEPS (T).

// Currents of four neurons at every time step.
alias Currents = array<vec4<i32>, TIME_STEPS>;

// Adds the weights of one input to the currents of every step at which its spike train has a spike.
fn receive(currents: ptr<function, Currents>, spike_train: u32, weights: vec4<i32>) {
    for (var t = 0u; t < TIME_STEPS; t++) {
        let mask = extractBits(i32(spike_train), t, 1u); // of this step's bit: all bits or none
        (*currents)[t] += weights & vec4(mask);
    }
}

// The spike trains of four neurons. u_t = carry + x_t; a spike where u_t > threshold; the carry is 0
// after a spike and u_t >> 2 otherwise.
fn fire(currents: ptr<function, Currents>, bias: vec4<i32>, threshold: vec4<i32>) -> vec4<u32> {
    var carry = vec4(0);
    var spike_trains = vec4(0u);
    for (var t = 0u; t < TIME_STEPS; t++) {
        let potential = carry + (*currents)[t] + bias;
        let spike = potential > threshold;
        carry = select(potential >> vec4(2u), vec4(0), spike);
        spike_trains |= select(vec4(0u), vec4(1u << t), spike);
    }
    return spike_trains;
}
