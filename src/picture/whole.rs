//! Whether a file was cut: decoders that make do with what is there would show grey where a picture was.

use image::ImageFormat;

/// Whether the file goes on to the end that its format says it has. Decoders of the other formats ask
/// for every byte themselves.
pub(super) fn is_whole(bytes: &[u8], format: ImageFormat) -> bool {
    match format {
        ImageFormat::Jpeg => jpeg(bytes),
        ImageFormat::WebP => webp(bytes),
        _ => true,
    }
}

/// Marker by marker to the end of image. What comes after it (a film, a second picture) is not looked at,
/// and thumbnails are inside segments, which are skipped by their lengths.
fn jpeg(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|&byte| byte == 0xff) {
        rest = &rest[at + 1..];
        let Some(&marker) = rest.first() else { return false };
        match marker {
            // The end of image.
            0xd9 => return true,
            // Padding before a marker.
            0xff => {}
            // A 0xff of the scan's data, a restart, a start: nothing follows that has a length.
            0x00 | 0x01 | 0xd0..=0xd8 => rest = &rest[1..],
            _ => {
                let Some(&[high, low]) = rest.get(1..3) else { return false };
                let length = usize::from(u16::from_be_bytes([high, low]));
                let Some(after) = rest.get(1 + length..) else { return false };
                rest = after;
            }
        }
    }
    false
}

/// The container states how many bytes follow its first eight.
fn webp(bytes: &[u8]) -> bool {
    let Some(&[a, b, c, d]) = bytes.get(4..8) else { return false };
    u64::from(u32::from_le_bytes([a, b, c, d])) + 8 <= bytes.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jpeg_ends_at_its_marker_and_nowhere_else() {
        let start = [0xff, 0xd8];
        // A segment with an end of image in it, as a thumbnail has one, and a scan with all that may be in it.
        let segment = [0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9];
        let scan = [0xff, 0xda, 0, 3, 1, 7, 0xff, 0, 0xd9, 0xff, 0xd0, 9, 0xff, 0xff];
        let whole = [&start[..], &segment, &scan, &[0xff, 0xd9]].concat();
        for end in 0..whole.len() {
            assert!(!jpeg(&whole[..end]), "cut to {end} bytes");
        }
        assert!(jpeg(&whole));
        assert!(jpeg(&[&whole[..], b"a film"].concat()));
    }
}
