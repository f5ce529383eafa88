// Pixels of a batch as RGBA words, for the kernels that present images: rgba.wgsl and tiles.wgsl.
//
// Joined in front: IMAGE_CHANNELS, run.wgsl.

@group(0) @binding(1) var<storage, read> pixels: array<u32>; // [images, side, side, IMAGE_CHANNELS] of u8

fn byte(at: u32) -> u32 {
    return (pixels[at / 4u] >> (8u * (at % 4u))) & 0xffu;
}

// Red in the lowest byte, alpha 255 in the highest; grey in all three.
fn pixel(at: u32) -> u32 {
    let red = byte(at * IMAGE_CHANNELS);
    if (IMAGE_CHANNELS == 1u) {
        return (red * 0x010101u) | 0xff000000u;
    }
    let green = byte(at * IMAGE_CHANNELS + 1u);
    return red | (green << 8u) | (byte(at * IMAGE_CHANNELS + 2u) << 16u) | 0xff000000u;
}
