// Philox words as they are, to hold the generator of philox.wgsl against its twin.
//
// One invocation makes the four words of one counter. Joined in front: philox.wgsl.
// Twin: src/philox.rs.

struct Run {
    key: vec2<u32>,
    first: vec4<u32>, // counter of invocation 0; its first word counts up and wraps
}

@group(0) @binding(0) var<storage, read> run: Run;
@group(0) @binding(1) var<storage, read_write> words: array<vec4<u32>>; // [invocations]

@compute @workgroup_size(64)
fn philox_words(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < arrayLength(&words)) {
        words[id.x] = philox(run.key, run.first + vec4(id.x, 0u, 0u, 0u));
    }
}
