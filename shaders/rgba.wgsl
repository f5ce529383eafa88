// Presents images in a buffer:
//
//     words[place + image, y, x] = red + 2^8 green + 2^16 blue + 2^24 * 255
//
// An invocation writes the word of one pixel; the image is the workgroup's z.
//
// Joined in front: ROW, IMAGE_CHANNELS, run.wgsl, pixel.wgsl. Twin: Image::to_rgba in src/images.rs.

@group(0) @binding(2) var<storage, read_write> words: array<u32>; // [images presented, side, side]

@compute @workgroup_size(64)
fn rgba(@builtin(global_invocation_id) id: vec3<u32>) {
    let size = run.side * run.side;
    let at = id.x + id.y * ROW;
    if (at < size) {
        words[(run.place + id.z) * size + at] = pixel(id.z * size + at);
    }
}
