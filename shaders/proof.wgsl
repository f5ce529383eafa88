// Proof that the compute passes of a batch were carried out. It is the last dispatch of each of them, so a pass that a
// watchdog ended does not count:
//
//     proof = (ticket of the batch, passes of it)
//
// One invocation. A ticket is never used again; one of 0 is that of a recording, which proves nothing. Twin: none, for it
// is part of no image; `src/gpu/slot.rs` compares.
//
// Joined in front: run.wgsl.

@group(0) @binding(1) var<storage, read_write> proved: array<u32>; // [3]: ticket, low and high half; passes

@compute @workgroup_size(1)
fn proof() {
    let begun = proved[0] == run.ticket.x && proved[1] == run.ticket.y;
    proved[0] = run.ticket.x;
    proved[1] = run.ticket.y;
    proved[2] = select(0u, proved[2], begun) + 1u;
}
