// A spiking transposed convolution, 3x3, stride 2, padding 1, output padding 1, as conv_transpose_lif.wgsl makes it, one
// time step after the other (integer machine, section 4).
//
// One invocation makes the spike trains of four output channels at the four output pixels (2a, 2b) to (2a + 1, 2b + 1),
// which four input pixels reach: (a, b) all of them, (a, b + 1) those on the right, (a + 1, b) those below,
// (a + 1, b + 1) the last. A spike that is found is added to all that it reaches, and nothing is done for silence. The
// sums of one step and the carries are all that is kept, whatever T is.
//
// The workgroup first turns the input's spike trains into masks of 32 inputs for each pixel and step. The pixels that it
// sees follow one another: those of its outputs, and a row and one more. Below the map all is silent.
//
// Joined in front: ROW, TIME_STEPS, INPUTS, OUTPUTS (groups of four channels), SIDE (of the input), layer.wgsl.
// Twin: src/cpu/conv_transpose_lif.rs.

const WORKGROUP = 64u;
const MASKS = (INPUTS + 7u) / 8u;
const PIXELS = (WORKGROUP - 1u) / OUTPUTS + 2u + SIDE + 1u;
const TAP = 4u * INPUTS * OUTPUTS; // weights of a tap

var<workgroup> masks: array<atomic<u32>, PIXELS * TIME_STEPS * MASKS>; // [pixels, steps, masks]

// A step of four channels at one output pixel.
struct Fired {
    carry: vec4<i32>,
    spikes: vec4<u32>, // this step's bit, or 0
}

fn fire(potential: vec4<i32>, threshold: vec4<i32>, bit: u32) -> Fired {
    let spike = potential > threshold;
    return Fired(select(potential >> vec4(2u), vec4(0), spike), select(vec4(0u), vec4(bit), spike));
}

// Puts the spikes of four inputs of one pixel into the masks, which begin at `pixel`.
fn spread(pixel: u32, inputs: u32, trains: vec4<u32>) {
    for (var j = 0u; j < 4u; j++) {
        var train = trains[j];
        while (train != 0u) {
            let t = countTrailingZeros(train);
            train &= train - 1u;
            atomicOr(&masks[pixel + t * MASKS + inputs / 8u], 1u << (4u * (inputs % 8u) + j));
        }
    }
}

// The mask at a place, unless the map ends in front of it and the place is in the next row.
fn mask_at(inside: bool, place: u32) -> u32 {
    if (inside) {
        return atomicLoad(&masks[place]);
    }
    return 0u;
}

@compute @workgroup_size(WORKGROUP)
fn conv_transpose_quads(@builtin(local_invocation_index) own: u32, @builtin(workgroup_id) workgroup: vec3<u32>) {
    let first = workgroup.x * WORKGROUP + workgroup.y * ROW;
    let first_pixel = first / OUTPUTS;
    let image = workgroup.z;

    for (var m = own; m < PIXELS * TIME_STEPS * MASKS; m += WORKGROUP) {
        atomicStore(&masks[m], 0u);
    }
    workgroupBarrier();
    for (var n = own; n < PIXELS * INPUTS; n += WORKGROUP) {
        let pixel = n / INPUTS;
        if (first_pixel + pixel < SIDE * SIDE) {
            let place = (image * SIDE * SIDE + first_pixel + pixel) * INPUTS + n % INPUTS;
            spread(pixel * TIME_STEPS * MASKS, n % INPUTS, spikes_in[place]);
        }
    }
    workgroupBarrier();

    let unit = first + own;
    let output = unit % OUTPUTS;
    let a = unit / OUTPUTS / SIDE;
    let b = unit / OUTPUTS % SIDE;
    if (a >= SIDE) {
        return;
    }
    let right = b + 1u < SIDE;
    let here = (a * SIDE + b - first_pixel) * TIME_STEPS * MASKS;
    let bias = neurons[2u * output];
    let threshold = neurons[2u * output + 1u];

    var carry_0 = vec4(0); // at (2a, 2b)
    var carry_1 = vec4(0); // at (2a, 2b + 1)
    var carry_2 = vec4(0); // at (2a + 1, 2b)
    var carry_3 = vec4(0); // at (2a + 1, 2b + 1)
    var trains_0 = vec4(0u);
    var trains_1 = vec4(0u);
    var trains_2 = vec4(0u);
    var trains_3 = vec4(0u);
    for (var t = 0u; t < TIME_STEPS; t++) {
        var u_0 = carry_0 + bias;
        var u_1 = carry_1 + bias;
        var u_2 = carry_2 + bias;
        var u_3 = carry_3 + bias;
        for (var m = 0u; m < MASKS; m++) {
            let place = here + t * MASKS + m;
            let row = 32u * m * OUTPUTS + output;
            var mask = atomicLoad(&masks[place]);
            while (mask != 0u) {
                let w = row + countTrailingZeros(mask) * OUTPUTS;
                mask &= mask - 1u;
                u_0 += weights[w + 4u * TAP];
                u_1 += weights[w + 5u * TAP];
                u_2 += weights[w + 7u * TAP];
                u_3 += weights[w + 8u * TAP];
            }
            mask = mask_at(right, place + TIME_STEPS * MASKS);
            while (mask != 0u) {
                let w = row + countTrailingZeros(mask) * OUTPUTS;
                mask &= mask - 1u;
                u_1 += weights[w + 3u * TAP];
                u_3 += weights[w + 6u * TAP];
            }
            mask = atomicLoad(&masks[place + SIDE * TIME_STEPS * MASKS]);
            while (mask != 0u) {
                let w = row + countTrailingZeros(mask) * OUTPUTS;
                mask &= mask - 1u;
                u_2 += weights[w + 1u * TAP];
                u_3 += weights[w + 2u * TAP];
            }
            mask = mask_at(right, place + (SIDE + 1u) * TIME_STEPS * MASKS);
            while (mask != 0u) {
                let w = row + countTrailingZeros(mask) * OUTPUTS;
                mask &= mask - 1u;
                u_3 += weights[w];
            }
        }
        let fired_0 = fire(u_0, threshold, 1u << t);
        let fired_1 = fire(u_1, threshold, 1u << t);
        let fired_2 = fire(u_2, threshold, 1u << t);
        let fired_3 = fire(u_3, threshold, 1u << t);
        carry_0 = fired_0.carry;
        carry_1 = fired_1.carry;
        carry_2 = fired_2.carry;
        carry_3 = fired_3.carry;
        trains_0 |= fired_0.spikes;
        trains_1 |= fired_1.spikes;
        trains_2 |= fired_2.spikes;
        trains_3 |= fired_3.spikes;
    }
    let place = ((image * 2u * SIDE + 2u * a) * 2u * SIDE + 2u * b) * OUTPUTS + output;
    spikes_out[place] = trains_0;
    spikes_out[place + OUTPUTS] = trains_1;
    spikes_out[place + 2u * SIDE * OUTPUTS] = trains_2;
    spikes_out[place + (2u * SIDE + 1u) * OUTPUTS] = trains_3;
}
