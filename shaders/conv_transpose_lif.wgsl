// A spiking transposed convolution, 3x3, stride 2, padding 1, output padding 1, all time steps at
// once (integer machine, section 4):
//
//     input (a, b) adds W[i, o, ky, kx] to output (2a + ky - 1, 2b + kx - 1), then lif.wgsl
//
// One invocation makes the spike trains of four output channels of one pixel of one image. Output
// pixels are dispatched by the parity of their row and column (id.y % 4), because it decides how many
// inputs reach them: 1, 2, 2 or 4. The 4 T sums stay in registers; each weight is read once for all
// steps, and inputs that never spike are skipped.
//
// Joined in front: ROW, TIME_STEPS, GATHER, INPUTS, OUTPUTS (groups of four channels), PARTS, SIDE (of the input), lif.wgsl,
// layer.wgsl, gather.wgsl. Twin: src/cpu/conv_transpose_lif.rs.

@compute @workgroup_size(64)
fn conv_transpose_lif(@builtin(global_invocation_id) id: vec3<u32>) {
    let unit = unit_of(id.x, id.y / 4u);
    let part = part_of(id.x);
    let output = unit % OUTPUTS;
    let at = unit / OUTPUTS;
    let a = at / SIDE;
    let b = at % SIDE;
    let odd_row = (id.y >> 1u) & 1u;
    let odd_column = id.y & 1u;
    let image = id.z;

    var currents: Currents;
    // An even output row takes input row a through ky = 1; an odd one takes a through ky = 2 and
    // a + 1 through ky = 0. Columns likewise.
    for (var dy = 0u; dy <= odd_row && a + dy < SIDE; dy++) {
        for (var dx = 0u; dx <= odd_column && b + dx < SIDE; dx++) {
            let tap = (1u + odd_row - 2u * dy) * 3u + 1u + odd_column - 2u * dx;
            let pixel = (image * SIDE + a + dy) * SIDE + b + dx;
            gather(&currents, pixel * INPUTS, tap * INPUTS * 4u, output, part);
        }
    }
    join(&currents, id.x);
    if (a < SIDE && part == 0u) {
        let side = 2u * SIDE;
        let pixel = (image * side + 2u * a + odd_row) * side + 2u * b + odd_column;
        spikes_out[pixel * OUTPUTS + output] =
            fire(&currents, neurons[2u * output], neurons[2u * output + 1u]);
    }
}
