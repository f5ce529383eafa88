// What the two kernels that measure arithmetic share: 32 sums an invocation, in registers, each of which depends on
// another one of the round before. Such a recurrence has no closed form that a compiler could put in its place.

struct State {
    a: vec4<u32>,
    b: vec4<u32>,
    c: vec4<u32>,
    d: vec4<u32>,
    e: vec4<u32>,
    f: vec4<u32>,
    g: vec4<u32>,
    h: vec4<u32>,
}

// The work comes from memory, so that it is not known when the kernel is compiled.
@group(0) @binding(0) var<storage, read> work: array<u32>; // rounds, seed
@group(0) @binding(1) var<storage, read_write> results: array<u32>; // [invocations]

fn start(id: u32) -> State {
    let seed = vec4(work[1]) + vec4(0u, 1u, 2u, 3u) + vec4(id);
    return State(seed, seed + 1u, seed + 2u, seed + 3u, seed + 4u, seed + 5u, seed + 6u, seed + 7u);
}

// All sums have an effect on the result, so none can be left out.
fn finish(state: ptr<function, State>, id: u32) {
    let all = (*state).a ^ (*state).b ^ (*state).c ^ (*state).d ^ (*state).e ^ (*state).f ^ (*state).g ^ (*state).h;
    results[id] = all.x ^ all.y ^ all.z ^ all.w;
}
