// One triangle, of which the viewport is the middle, shows a texture.

@group(0) @binding(0) var texture: texture_2d<f32>;
@group(0) @binding(1) var nearest: sampler;

struct Point {
    @builtin(position) position: vec4<f32>,
    @location(0) at: vec2<f32>, // 0 to 1 in the viewport, from the upper left
}

@vertex
fn corner(@builtin(vertex_index) index: u32) -> Point {
    let at = vec2(f32(index & 1u), f32(index >> 1u)) * 2.0; // (0, 0), (2, 0), (0, 2)
    return Point(vec4(2.0 * at.x - 1.0, 1.0 - 2.0 * at.y, 0.0, 1.0), at);
}

@fragment
fn texel(point: Point) -> @location(0) vec4<f32> {
    return textureSample(texture, nearest, point.at);
}
