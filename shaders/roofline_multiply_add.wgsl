// Multiply-adds and nothing else: what a dense network would do instead. A round is 4 x 32 multiply-adds an invocation.
//
// Joined in front: roofline_state.wgsl. Twin: rounds in src/roofline.rs.

fn multiply_add(state: ptr<function, State>, factor: vec4<u32>) {
    (*state).a = (*state).a * factor + (*state).b;
    (*state).b = (*state).b * factor + (*state).c;
    (*state).c = (*state).c * factor + (*state).d;
    (*state).d = (*state).d * factor + (*state).e;
    (*state).e = (*state).e * factor + (*state).f;
    (*state).f = (*state).f * factor + (*state).g;
    (*state).g = (*state).g * factor + (*state).h;
    (*state).h = (*state).h * factor + (*state).a;
}

@compute @workgroup_size(64)
fn roofline_multiply_add(@builtin(global_invocation_id) id: vec3<u32>) {
    var state = start(id.x);
    let factor = vec4(work[1] | 1u);
    for (var round = 0u; round < work[0]; round++) {
        multiply_add(&state, factor);
        multiply_add(&state, factor);
        multiply_add(&state, factor);
        multiply_add(&state, factor);
    }
    finish(&state, id.x);
}
