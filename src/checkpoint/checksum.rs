//! CRC-32, which zip archives have for each record.

#[cfg(not(target_arch = "wasm32"))]
pub(super) use rawzip::crc32;

/// `rawzip`'s own has 16 KB of tables, which do not compress: a twentieth of what a page loads.
#[cfg(any(test, target_arch = "wasm32"))]
pub(super) fn small_crc32(bytes: &[u8]) -> u32 {
    let table: [u32; 256] = std::array::from_fn(|byte| {
        (0..8).fold(byte as u32, |rest, _| if rest & 1 == 1 { rest >> 1 ^ 0xedb8_8320 } else { rest >> 1 })
    });
    !bytes.iter().fold(!0, |rest, &byte| rest >> 8 ^ table[usize::from(rest as u8 ^ byte)])
}

#[cfg(target_arch = "wasm32")]
pub(super) use small_crc32 as crc32;

#[cfg(test)]
mod tests {
    #[test]
    fn the_small_one_is_the_large_one() {
        for length in [0, 1, 7, 300, 4096] {
            let bytes: Vec<u8> = (0..length).map(|n: u32| (n * n % 251) as u8).collect();
            assert_eq!(super::small_crc32(&bytes), rawzip::crc32(&bytes), "{length} bytes");
        }
        assert_eq!(super::small_crc32(b"123456789"), 0xcbf4_3926);
    }
}
