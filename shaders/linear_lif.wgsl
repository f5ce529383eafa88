// A fully connected spiking layer, all time steps at once (integer machine, section 4):
//
//     x_t[o] = sum_i W[o, i] * s_i(t) + B[o], then lif.wgsl
//
// One invocation makes the spike trains of four outputs of one image. Its 4 T sums stay in
// registers; each weight is read once for all steps, and inputs that never spike are skipped.
//
// Joined in front: ROW, TIME_STEPS, GATHER, INPUTS, OUTPUTS (groups of four channels), PARTS, lif.wgsl, layer.wgsl, gather.wgsl. Twin: src/cpu/linear_lif.rs.

@compute @workgroup_size(64)
fn linear_lif(@builtin(global_invocation_id) id: vec3<u32>) {
    let output = unit_of(id.x, id.y);
    let part = part_of(id.x);
    let image = id.z;
    var currents: Currents;
    if (output < OUTPUTS) {
        gather(&currents, image * INPUTS, 0u, output, part);
    }
    join(&currents, id.x);
    if (output < OUTPUTS && part == 0u) {
        spikes_out[image * OUTPUTS + output] =
            fire(&currents, neurons[2u * output], neurons[2u * output + 1u]);
    }
}
