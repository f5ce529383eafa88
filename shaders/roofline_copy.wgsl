// Reads a large buffer and writes another, 16 bytes at a time, neighbours beside each other.
//
//     results[i] = source[i] ^ mask

@group(0) @binding(0) var<storage, read> work: array<u32>; // vectors to copy, mask
@group(0) @binding(1) var<storage, read> source: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> results: array<vec4<u32>>;

@compute @workgroup_size(64)
fn roofline_copy(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var i = id.x; i < work[0]; i += 64u * groups.x) {
        results[i] = source[i] ^ vec4(work[1]);
    }
}
