// Additions and nothing else: the rate that the kernels' additions of weights are held against. A round is 4 x 32
// additions an invocation.
//
// Joined in front: roofline_state.wgsl. Twin: rounds in src/roofline.rs.

fn add(state: ptr<function, State>) {
    (*state).a += (*state).b;
    (*state).b += (*state).c;
    (*state).c += (*state).d;
    (*state).d += (*state).e;
    (*state).e += (*state).f;
    (*state).f += (*state).g;
    (*state).g += (*state).h;
    (*state).h += (*state).a;
}

@compute @workgroup_size(64)
fn roofline_add(@builtin(global_invocation_id) id: vec3<u32>) {
    var state = start(id.x);
    for (var round = 0u; round < work[0]; round++) {
        add(&state);
        add(&state);
        add(&state);
        add(&state);
    }
    finish(&state, id.x);
}
