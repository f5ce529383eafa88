// ESVAE's posterior: as many spikes as the encoder's channel had, on average, at random steps (integer machine,
// section 8):
//
//     z_t[c] = 1 where floor(word * T / 2^32) is below the number of spikes of channel c
//
// One invocation makes the spike trains of four channels of one image.
//
// Joined in front: TIME_STEPS (T), LATENT (C), philox.wgsl, run.wgsl.
// Twin: src/cpu/rates.rs.

const GROUPS = (LATENT + 3u) / 4u; // of four channels
const RESAMPLE = 3u;               // the stream of its random numbers

@group(0) @binding(1) var<storage, read> encoded: array<vec4<u32>>; // [images, GROUPS], bit t = step t
@group(0) @binding(2) var<storage, read_write> latents: array<vec4<u32>>; // [images, GROUPS], bit t = step t

// The step, 0 to T - 1, that each of four random words picks.
fn steps(words: vec4<u32>) -> vec4<u32> {
    return vec4(
        mulhi(words.x, TIME_STEPS),
        mulhi(words.y, TIME_STEPS),
        mulhi(words.z, TIME_STEPS),
        mulhi(words.w, TIME_STEPS),
    );
}

@compute @workgroup_size(64)
fn resample(@builtin(global_invocation_id) id: vec3<u32>) {
    let group = id.x;
    let image = id.z;
    if (group >= GROUPS) {
        return;
    }
    let index = index_of(image);
    let trains = encoded[image * GROUPS + group];
    let counts = vec4(
        countOneBits(trains.x),
        countOneBits(trains.y),
        countOneBits(trains.z),
        countOneBits(trains.w),
    );
    var spike_trains = vec4(0u);
    for (var t = 0u; t < TIME_STEPS; t++) {
        let words = philox(run.seed, vec4(index, t * GROUPS + group, RESAMPLE));
        spike_trains |= select(vec4(0u), vec4(1u << t), steps(words) < counts);
    }
    latents[image * GROUPS + group] = spike_trains;
}
