// A spiking convolution, 3x3, stride 2, padding 1, all time steps at once (integer machine, section 4):
//
//     x_t[y, x] = sum_i,ky,kx W[o, i, ky, kx] * s_i(t)[2y + ky - 1, 2x + kx - 1] + B[o], then lif.wgsl
//
// One invocation makes the spike trains of four output channels of one pixel of one image. Its 4 T
// sums stay in registers; each weight is read once for all steps, and inputs that never spike are
// skipped.
//
// Joined in front: ROW, TIME_STEPS, GATHER, INPUTS, OUTPUTS (groups of four channels), PARTS, SIDE (of the input), lif.wgsl,
// layer.wgsl, gather.wgsl. Twin: src/cpu/conv_lif.rs.

@compute @workgroup_size(64)
fn conv_lif(@builtin(global_invocation_id) id: vec3<u32>) {
    let half = SIDE / 2u;
    let unit = unit_of(id.x, id.y);
    let part = part_of(id.x);
    let output = unit % OUTPUTS;
    let at = unit / OUTPUTS;
    let y = at / half;
    let x = at % half;
    let image = id.z;
    var currents: Currents;
    if (y < half) {
        for (var tap = 0u; tap < 9u; tap++) {
            // Above and to the left of the map this wraps to a large number.
            let a = 2u * y + tap / 3u - 1u;
            let b = 2u * x + tap % 3u - 1u;
            if (a < SIDE && b < SIDE) {
                let pixel = (image * SIDE + a) * SIDE + b;
                gather(&currents, pixel * INPUTS, tap * INPUTS * 4u, output, part);
            }
        }
    }
    join(&currents, id.x);
    if (y < half && part == 0u) {
        spikes_out[(image * half * half + at) * OUTPUTS + output] =
            fire(&currents, neurons[2u * output], neurons[2u * output + 1u]);
    }
}
