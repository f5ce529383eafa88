// Presents images as the tiles of a texture, row by row:
//
//     texture[row * side + y, column * side + x] = pixel[y, x] / 255,
//     (first + place + image) mod wrap = row * columns + column
//
// An invocation writes one texel; the image is the workgroup's z. A byte divided by 255 comes back as the same byte
// when it is stored as rgba8unorm, so nothing is lost by the float.
//
// Joined in front: ROW, IMAGE_CHANNELS, run.wgsl, pixel.wgsl. Twin: Image::to_rgba in src/images.rs.

struct Grid {
    columns: u32, // tiles of a row
    first: u32,   // tile of the first image
    wrap: u32,    // the tile after which it goes on with tile 0
}

@group(0) @binding(2) var<storage, read> grid: Grid;
@group(0) @binding(3) var texture: texture_storage_2d<rgba8unorm, write>; // [rows * side, columns * side]

@compute @workgroup_size(64)
fn tiles(@builtin(global_invocation_id) id: vec3<u32>) {
    let at = id.x + id.y * ROW;
    if (at < run.side * run.side) {
        let tile = (grid.first + run.place + id.z) % grid.wrap;
        let corner = vec2(tile % grid.columns, tile / grid.columns) * run.side; // x, y
        let within = vec2(at % run.side, at / run.side);
        let color = unpack4x8unorm(pixel(id.z * run.side * run.side + at));
        textureStore(texture, corner + within, color);
    }
}
