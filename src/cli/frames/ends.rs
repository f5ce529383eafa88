//! Where a picture file ends, for files that stand one after the other. Nothing is decoded: formats say how long they
//! are, or how long each of their parts is.

use fsvae::image::{ImageFormat, guess_format};

/// What a stream begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// A picture of so many bytes.
    Picture(usize),
    /// A picture that goes on to the end of all bytes: it is cut, or its format does not tell where it ends.
    Open,
    /// Nothing that is known.
    Unknown,
}

/// What stands at the beginning of some bytes.
pub(super) fn start(bytes: &[u8]) -> Start {
    let end = match guess_format(bytes) {
        Ok(ImageFormat::Png) => png(bytes),
        Ok(ImageFormat::Jpeg) => jpeg(bytes),
        Ok(ImageFormat::Bmp) => bmp(bytes),
        Ok(ImageFormat::Pnm) => pnm(bytes),
        Ok(ImageFormat::WebP) => webp(bytes),
        Ok(ImageFormat::Gif) => gif(bytes),
        Ok(ImageFormat::Qoi) => qoi(bytes),
        Ok(ImageFormat::Tiff) => tiff(bytes),
        Ok(_) => None,
        Err(_) => return Start::Unknown,
    };
    end.filter(|&end| end <= bytes.len()).map_or(Start::Open, Start::Picture)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn little(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(array(bytes, at)?)).ok()
}

fn big(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(array(bytes, at)?)).ok()
}

/// Chunks of length, type, data and checksum, up to IEND.
fn png(bytes: &[u8]) -> Option<usize> {
    let mut at = 8_usize;
    loop {
        let kind = array(bytes, at.checked_add(4)?)?;
        at = at.checked_add(12)?.checked_add(big(bytes, at)?)?;
        if &kind == b"IEND" {
            return Some(at);
        }
    }
}

/// Segments that say how long they are, and after each start of a scan bytes up to the next marker.
fn jpeg(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        let [0xff, marker] = array(bytes, at)? else { return None };
        match marker {
            0xff => at += 1, // fill
            0xd9 => return Some(at + 2),
            0x01 | 0xd0..=0xd8 => at += 2,
            _ => {
                at += 2 + usize::from(u16::from_be_bytes(array(bytes, at + 2)?));
                if marker == 0xda {
                    // 0 makes a byte of 255 data, and markers of restarts belong to it.
                    let is_marker =
                        |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff);
                    at += bytes.get(at..)?.windows(2).position(is_marker)?;
                }
            }
        }
    }
}

/// The header has the file's length. Some writers leave it 0, or count less than the header.
fn bmp(bytes: &[u8]) -> Option<usize> {
    let (length, pixels) = (little(bytes, 2)?, little(bytes, 10)?);
    (length > pixels).then_some(length)
}

/// A RIFF container: the length of what follows the first eight bytes, which is even.
fn webp(bytes: &[u8]) -> Option<usize> {
    little(bytes, 4)?.checked_next_multiple_of(2)?.checked_add(8)
}

/// Binary maps, by their sizes. A file of the plain ones, P1 to P3, holds one picture and no more.
fn pnm(bytes: &[u8]) -> Option<usize> {
    let mut header = Header { bytes, at: 2 };
    let kind = *bytes.get(1)?;
    let row = match kind {
        b'4' => header.number()?.div_ceil(8),
        b'5' | b'6' => header.number()?,
        b'7' => return pam(bytes),
        _ => return None,
    };
    let rows = header.number()?;
    let depth = match kind {
        b'4' => 1,
        _ => (if kind == b'6' { 3 } else { 1 }) * if header.number()? > 255 { 2 } else { 1 },
    };
    // One white space, then the pixels.
    row.checked_mul(rows)?.checked_mul(depth)?.checked_add(header.at)?.checked_add(1)
}

/// Numbers between white space and comments.
struct Header<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Header<'_> {
    fn number(&mut self) -> Option<usize> {
        loop {
            match self.bytes.get(self.at)? {
                b'#' => self.at += self.bytes[self.at..].iter().position(|&byte| byte == b'\n')?,
                byte if byte.is_ascii_whitespace() => self.at += 1,
                _ => break,
            }
        }
        let rest = &self.bytes[self.at..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
    }
}

/// Lines of a name and a number, up to ENDHDR.
fn pam(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut size) = (0_usize, 1_usize);
    loop {
        let line = &bytes[at..][..bytes.get(at..)?.iter().position(|&byte| byte == b'\n')?];
        at += line.len() + 1;
        let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
        let name = words.next();
        let number = words.next().and_then(|word| word.parse::<usize>().ok());
        match name {
            Some("ENDHDR") => return size.checked_add(at),
            Some("WIDTH" | "HEIGHT" | "DEPTH") => size = size.checked_mul(number?)?,
            Some("MAXVAL") => size = size.checked_mul(if number? > 255 { 2 } else { 1 })?,
            _ => {}
        }
    }
}

/// Blocks of sub-blocks of at most 255 bytes, up to the trailer.
fn gif(bytes: &[u8]) -> Option<usize> {
    let colours = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let mut at = 13 + colours(*bytes.get(10)?);
    loop {
        match bytes.get(at)? {
            0x3b => return Some(at + 1),
            0x21 => at += 2,
            // A picture: its place, its own colours, and the width of its codes.
            0x2c => at += 11 + colours(*bytes.get(at + 9)?),
            _ => return None,
        }
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1 + length;
            if length == 0 {
                break;
            }
        }
    }
}

/// Codes of one or more pixels, then eight bytes.
fn qoi(bytes: &[u8]) -> Option<usize> {
    let mut left = big(bytes, 4)?.checked_mul(big(bytes, 8)?)?;
    let mut at = 14;
    while left > 0 {
        let code = *bytes.get(at)?;
        let (length, pixels) = match code {
            0xfe => (4, 1),
            0xff => (5, 1),
            0x80..=0xbf => (2, 1),
            0xc0..=0xfd => (1, usize::from(code & 0x3f) + 1),
            _ => (1, 1),
        };
        at += length;
        left = left.saturating_sub(pixels);
    }
    Some(at + 8)
}

/// Directories, and what they point at. A writer may leave more after that, so that only another picture ends this one.
fn tiff(bytes: &[u8]) -> Option<usize> {
    const SIZES: [usize; 14] = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4];
    const MOST_DIRECTORIES: usize = 256;
    let is_big = bytes.starts_with(b"MM");
    let short = |at: usize| {
        let pair = array(bytes, at)?;
        Some(usize::from(if is_big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }))
    };
    let long = |at: usize| if is_big { big(bytes, at) } else { little(bytes, at) };
    let (mut directory, mut end) = (long(4)?, 8);
    for _ in 0..MOST_DIRECTORIES {
        if directory == 0 {
            break;
        }
        let entries = short(directory)?;
        let (mut places, mut lengths) = (Vec::new(), Vec::new());
        for entry in (0..entries).map(|entry| directory.saturating_add(2 + 12 * entry)) {
            let (tag, kind, count) = (short(entry)?, short(entry + 2)?, long(entry + 4)?);
            let size = SIZES.get(kind)?;
            let value = if size.checked_mul(count)? <= 4 { entry + 8 } else { long(entry + 8)? };
            let value_end = value.checked_add(size.checked_mul(count)?)?;
            // Nothing is read, and no list is longer than the file.
            bytes.get(value..value_end)?;
            end = end.max(value_end);
            let list = match tag {
                273 | 324 | 513 => &mut places,
                279 | 325 | 514 => &mut lengths,
                _ => continue,
            };
            for number in 0..count {
                list.push(if kind == 3 { short(value + 2 * number)? } else { long(value + 4 * number)? });
            }
        }
        for (place, length) in places.iter().zip(&lengths) {
            end = end.max(place.checked_add(*length)?);
        }
        end = end.max(directory + 6 + 12 * entries);
        directory = long(directory + 2 + 12 * entries)?;
    }
    Some(end)
}
