// Leaky integrate-and-fire neurons, four output channels at a time (integer machine, section 4).
//
// Joined in front: TIME_STEPS (T).

// Currents of four neurons at every time step.
alias Currents = array<vec4<i32>, TIME_STEPS>;

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
