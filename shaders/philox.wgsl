// Philox4x32-10 and the draw (integer machine, section 5), on 32-bit integers only.
//
// Twin: src/philox.rs.

// The high half of a 64-bit product, from products of 16-bit halves.
fn mulhi(a: u32, b: u32) -> u32 {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
    let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
    return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u);
}

fn philox(key: vec2<u32>, counter: vec4<u32>) -> vec4<u32> {
    var k = key;
    var c = counter;
    for (var round = 0u; round < 10u; round++) {
        c = vec4(
            mulhi(0xcd9e8d57u, c.z) ^ c.y ^ k.x,
            0xcd9e8d57u * c.z,
            mulhi(0xd2511f53u, c.x) ^ c.w ^ k.y,
            0xd2511f53u * c.x,
        );
        k += vec2(0x9e3779b9u, 0xbb67ae85u);
    }
    return c;
}

// The neuron, 0 to neurons - 1, that a random word picks; neurons <= 255.
fn pick(word: u32, neurons: u32) -> u32 {
    return ((word >> 8u) * neurons) >> 24u;
}
