"""What pictures begin with, as `fsvae` knows it (src/checkpoint/signatures.rs): read or not, whatever the file's name."""

import re

HEAD = 512
# A full stop is any byte.
STARTS = (
    b"\x89PNG",
    b"\xef\xbb\xbf\x89PNG",
    b"\xef\xbf\xbdPNG",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"RIFF....WEBP",
    b"II*\0",
    b"MM\0*",
    b"qoif",
    b"....ftypavi",
    b"....ftyphei",
    b"....ftyphev",
    b"....ftypmif1",
    b"....ftypmsf1",
    b"....ftypcrx ",
    b"FUJIFILMCCD-RAW",
    b"IIU\0",
    b"IIRO",
    b"\0\0\0\x0cJXL \r\n\x87\n",
    b"\xff\x0a",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\xff\x4f\xff\x51",
    b"II+\0",
    b"MM\0+",
)
# Lengths of a bitmap's second header.
BITMAP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
FIELDS = (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL", b"TUPLTYPE", b"ENDHDR")


def is_bitmap(head):
    """Two letters would take texts for bitmaps."""
    return head[:2] == b"BM" and len(head) >= 18 and int.from_bytes(head[14:18], "little") in BITMAP_HEADERS


def is_portable_map(head):
    """`P1` to `P6` and two numbers, `P7` and the first field. A comment may be longer than what is looked at."""
    if not re.match(rb"P[1-7][ \t\n\f\r#]", head):
        return False
    words = re.findall(rb"#[^\n]*|[^ \t\n\f\r]+", head[2:])
    first, *others = [word for word in words if not word.startswith(b"#")] or [None]
    if first is None:
        return b"#" in head
    if head[1:2] == b"7":
        return first in FIELDS
    return all(word.isdigit() for word in [first, *others[:1]])


def begins_as_picture(head):
    fits = (
        len(head) >= len(start) and all(s in (ord("."), h) for s, h in zip(start, head, strict=False)) for start in STARTS
    )
    return any(fits) or is_bitmap(head) or is_portable_map(head)
