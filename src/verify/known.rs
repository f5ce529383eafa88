//! What the oracle says of the bundled models, and the pictures that it was asked about.

use crate::architecture::Architecture;

/// MODEL LAYER SHA256, from `tests/oracle/rows.py` and from nothing else.
const ROWS: &str = include_str!("layers.rows");

/// Images of a row: indices 0 and 1.
pub(super) const IMAGES: usize = 2;
pub(super) const SEED: u64 = 7;

/// The digest of a layer's numbers, of both images.
pub(super) fn digest(model: &str, layer: &str) -> Option<&'static str> {
    ROWS.lines()
        .find_map(|line| line.strip_prefix(model)?.strip_prefix(' ')?.strip_prefix(layer)?.strip_prefix(' '))
}

/// The n-th picture to encode: noise and a ramp, which the oracle was asked about, then uniform ones, on which all
/// neurons of a channel graze their thresholds together.
pub(super) fn picture(n: usize, architecture: &Architecture) -> Vec<u8> {
    let (side, channels) = (architecture.image_side() as u32, architecture.image_channels as u32);
    let value = |x: u32, y: u32, c: u32| match n {
        0 => {
            let mixed = x
                .wrapping_mul(374_761_393)
                .wrapping_add(y.wrapping_mul(668_265_263))
                .wrapping_add(c.wrapping_mul(2_246_822_519))
                .wrapping_add(12345);
            (mixed.wrapping_mul(2_654_435_761) >> 24) as u8
        }
        1 => (7 * x + 13 * y + 29 * c) as u8,
        n => [127, 128, 0, 255, 1, 200, 64, 192, 37, 254][(n - 2) % 10],
    };
    let rows = (0..side).flat_map(|y| (0..side).map(move |x| (x, y)));
    rows.flat_map(|(x, y)| (0..channels).map(move |c| value(x, y, c))).collect()
}
