//! What a file really is, by its first bytes: one table for all that read models, latents, pictures and folders of them.

/// What kinds of files there are, for those who wanted another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "others meet no pictures but three"))]
pub(super) enum Kind {
    /// A picture that is read.
    Picture,
    /// A photo that is not.
    Photo,
    /// A picture of another kind, which is no photo either.
    Drawing,
    /// A picture that was changed on its way.
    Spoilt,
    Film,
    Archive,
    /// A model or numbers of another program.
    Numbers,
    /// One array of numbers.
    Array,
    /// PyTorch's files before version 1.6.
    OldTorch,
    Document,
}

use Kind::{Archive, Array, Document, Numbers, OldTorch, Picture};
#[cfg(feature = "cli")]
use Kind::{Drawing, Film, Photo, Spoilt};

type Signature = (&'static [u8], &'static str, Kind);

/// First bytes, where a full stop is any byte, what has them and of which kind that is. The first that fits counts.
const SIGNATURES: &[Signature] = &[
    (b"\x93NUMPY", "a NumPy array (.npy)", Array),
    (b"GGUF", "a GGUF model of llama.cpp", Numbers),
    (b"ggml", "a GGML model of llama.cpp", Numbers),
    (b"lmgg", "a GGML model of llama.cpp", Numbers),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras' .h5)", Numbers),
    (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19", "a PyTorch file of the old format, before 1.6", OldTorch),
    (b"\x1f\x8b", "a gzip archive", Archive),
    (b"BZh", "a bzip2 archive", Archive),
    (b"\xfd7zXZ\0", "an xz archive", Archive),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", Archive),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", Archive),
    (b"Rar!\x1a\x07", "a RAR archive", Archive),
    (b"SQLite format 3\0", "an SQLite database", Numbers),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture", Picture),
    (b"\xff\xd8\xff", "a JPEG picture", Picture),
    (b"GIF87a", "a GIF picture", Picture),
    (b"GIF89a", "a GIF picture", Picture),
    (b"%PDF-", "a PDF document", Document),
    (b"\x7fELF", "a program (ELF)", Document),
    (b"PAR1", "a Parquet table", Numbers),
    (b"\x08\x01\x12", "a TensorFlow model (saved_model.pb)", Numbers),
    (b"....TFL3", "a TensorFlow Lite model", Numbers),
];

/// What only those meet who read pictures of all kinds: browsers need not load it.
#[cfg(feature = "cli")]
const PICTURES: &[Signature] = &[
    (b"RIFF....WEBP", "a WebP picture", Picture),
    (b"II*\0", "a TIFF picture", Picture),
    (b"MM\0*", "a TIFF picture", Picture),
    (b"qoif", "a QOI picture", Picture),
    (b"....ftypavi", "an AVIF photo", Photo),
    (b"....ftyphei", "a HEIC photo", Photo),
    (b"....ftyphev", "a HEIC photo", Photo),
    (b"....ftypmif1", "a HEIF photo", Photo),
    (b"....ftypmsf1", "a HEIF photo", Photo),
    (b"....ftypcrx ", "a camera's raw photo (CR3)", Photo),
    (b"FUJIFILMCCD-RAW", "a camera's raw photo (RAF)", Photo),
    (b"IIU\0", "a camera's raw photo (RW2)", Photo),
    (b"IIRO", "a camera's raw photo (ORF)", Photo),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL photo", Photo),
    (b"\xff\x0a", "a JPEG XL photo", Photo),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 photo", Photo),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 photo", Photo),
    (b"II+\0", "a big TIFF picture", Photo),
    (b"MM\0+", "a big TIFF picture", Photo),
    (b"8BPS", "a Photoshop picture (PSD)", Drawing),
    (b"gimp xcf ", "a GIMP picture (XCF)", Drawing),
    (b"\0\0\x01\0", "a Windows icon (ICO)", Drawing),
    (b"\x76\x2f\x31\x01", "an OpenEXR picture", Drawing),
    (b"DDS ", "a DDS texture", Drawing),
    (b"#?RADIANCE", "a Radiance HDR picture", Drawing),
    (b"farbfeld", "a farbfeld picture", Drawing),
    (b"\x0a\x05\x01", "a PCX picture", Drawing),
    (b"%!PS", "a PostScript document", Document),
    (b"\x89PNG", "a PNG picture that was changed as if it were a text (its line ends)", Spoilt),
    (b"\xef\xbb\xbf\x89PNG", "a PNG picture with the mark of a text (BOM) before it", Spoilt),
    (b"\xef\xbf\xbdPNG", "a PNG picture that was changed as if it were a text (its bytes)", Spoilt),
    (b"....ftyp", "a film (MP4 or MOV)", Film),
    (b"\x1a\x45\xdf\xa3", "a film (WebM or Matroska)", Film),
    (b"RIFF....AVI ", "a film (AVI)", Film),
];
#[cfg(not(feature = "cli"))]
const PICTURES: &[Signature] = &[];

/// What begins so, and of which kind that is.
pub(super) fn signature(head: &[u8]) -> Option<(&'static str, Kind)> {
    let begins = |start: &[u8]| {
        let pairs = start.iter().zip(head);
        head.len() >= start.len()
            && pairs.into_iter().all(|(&wanted, &found)| wanted == b'.' || wanted == found)
    };
    let mut all = SIGNATURES.iter().chain(PICTURES);
    if let Some(&(_, what, kind)) = all.find(|(start, ..)| begins(start)) {
        return Some((what, kind));
    }
    if head.get(257..262) == Some(b"ustar") {
        return Some(("a tar archive", Archive));
    }
    // Protocol buffers: the version of the format (3 on), then the name or version of the producer or the graph.
    if let [0x08, 3..=20, 0x12 | 0x1a | 0x22 | 0x3a | 0x42, ..] = head {
        return Some(("an ONNX model", Numbers));
    }
    #[cfg(feature = "cli")]
    if is_bitmap(head) {
        return Some(("a BMP picture", Picture));
    }
    #[cfg(feature = "cli")]
    if is_portable_map(head) {
        return Some(("a PNM picture", Picture));
    }
    None
}

/// So many bytes tell of every picture whether it is one.
#[cfg(feature = "cli")]
pub const PICTURE_HEAD: usize = 512;

/// Whether a file begins as a picture does, one that is not read among them: whatever it is called, whoever wants
/// pictures would miss it.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub fn begins_as_picture(head: &[u8]) -> bool {
    signature(head).is_some_and(|(_, kind)| matches!(kind, Picture | Photo | Spoilt))
}

/// Two letters would take texts for bitmaps: the length of the second header is one of those that there are.
#[cfg(feature = "cli")]
fn is_bitmap(head: &[u8]) -> bool {
    let length =
        head.get(14..18).and_then(|length| length.first_chunk()).map(|length| u32::from_le_bytes(*length));
    head.starts_with(b"BM")
        && length.is_some_and(|length| matches!(length, 12 | 16 | 40 | 52 | 56 | 64 | 108 | 124))
}

/// `P1` to `P6` and two numbers, `P7` and the first field. A comment may be longer than what is looked at.
#[cfg(feature = "cli")]
fn is_portable_map(head: &[u8]) -> bool {
    let [b'P', kind @ b'1'..=b'7', rest @ ..] = head else { return false };
    if !rest.first().is_some_and(|&byte| byte.is_ascii_whitespace() || byte == b'#') {
        return false;
    }
    let mut at = rest;
    let mut word = || {
        at = at.trim_ascii_start();
        while at.first() == Some(&b'#') {
            let end = at.iter().position(|&byte| byte == b'\n').unwrap_or(at.len());
            at = at[end..].trim_ascii_start();
        }
        let end = at.iter().position(u8::is_ascii_whitespace).unwrap_or(at.len());
        let (word, rest) = at.split_at(end);
        at = rest;
        Some(word).filter(|word| !word.is_empty())
    };
    let Some(first) = word() else { return rest.contains(&b'#') };
    if *kind == b'7' {
        let fields: [&[u8]; 6] = [b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL", b"TUPLTYPE", b"ENDHDR"];
        return fields.contains(&first);
    }
    let is_number = |word: &[u8]| word.iter().all(u8::is_ascii_digit);
    is_number(first) && word().is_none_or(is_number)
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use super::*;

    #[test]
    fn texts_are_no_pictures() {
        let bmp = |length: u8| [b"BM\x36\x0c\0\0\0\0\0\0\x36\0\0\0", &[length, 0, 0, 0][..]].concat();
        for (head, expected) in [
            (&b"P6 is a car"[..], false),
            (b"P6", false),
            (b"P6 ", false),
            (b"P62 2", false),
            (b"P5\n# wide\n9 2\n255\n", true),
            (b"P5#a comment without an end", true),
            (b"P5 4", true),
            (b"P1 4 by 4", false),
            (b"P7\nWIDTH 2\n", true),
            (b"P7 332", false),
            (b"P8 2 2", false),
            (b"BMW is a car that is not seen", false),
            (&bmp(40), true),
            (&bmp(41), false),
            (&bmp(40)[..17], false),
            (b"\0\0\0\x18ftypheic", true),
            (b"\0\0\0\x18ftypisom", false),
            (b"RIFF\x10\0\0\0WEBPVP8 ", true),
            (b"RIFF\x10\0\0\0WAVEfmt ", false),
            (b"8BPS\0\x01", false),
            (b"", false),
        ] {
            assert_eq!(begins_as_picture(head), expected, "{}", head.escape_ascii());
        }
    }
}
