"""A picture's bytes as `fsvae` sees them: the same uint8 values as `Architecture::fit` (src/picture.rs) makes of them.

Pillow decodes; what it does its own way (16 bits, transparency, colours to grey, resizing) is done here as there. Lossy
formats (JPEG, lossy WebP) may differ by a few levels, as decoders do; all else is equal to the bit.
"""

import io
import sys
from functools import lru_cache

import numpy as np
from PIL import ExifTags, Image

FORMATS = ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "TGA", "QOI"]
LARGEST_SIDE = 8192
LOW_BYTES = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}

# Sizes are checked here, before anything is decoded, with one line instead of Pillow's warning.
Image.MAX_IMAGE_PIXELS = None


def check_size(width, height):
    if max(width, height) > LARGEST_SIDE:
        raise ValueError(f"{width} x {height} pixels, expected at most {LARGEST_SIDE} a side")
    if not min(width, height):
        raise ValueError(f"{width} x {height} pixels")


def to_8_bits(deep):
    return ((deep.astype(np.uint32) + 128) // 257).astype(np.uint8)


def load(data):
    """uint8 `[height, width, 1 or 3]`, turned, alpha over black; ValueError, OSError or whatever Pillow raises."""
    if data[:1] == b"P" and data[1:2] in [b"1", b"2", b"3", b"4", b"5", b"6", b"7"]:
        return over_black(portable_map(data))
    if data.startswith(b"\x89PNG") and not has_end(data):
        raise ValueError("the file was cut, its end is missing")
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        check_size(*image.size)
        turn = orientation(image)
        samples = over_black(channels(image, data))
    return turned(samples, turn)


def has_end(png):
    """Chunk by chunk to the last; Pillow is content with less."""
    at = 8
    while len(png) >= at + 8:
        if png[at + 4 : at + 8] == b"IEND":
            return True
        at += 12 + int.from_bytes(png[at : at + 4], "big")
    return False


def orientation(image):
    """EXIF's, as `image` reads it: XMP is not asked. Pillow turns a TIFF itself."""
    exif = Image.Exif()
    if image.format != "TIFF" and image.info.get("exif"):
        exif.load(image.info["exif"])
    return exif.get(ExifTags.Base.Orientation, 1)


def turned(samples, orientation):
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    return samples


def over_black(samples):
    if samples.shape[2] in (1, 3):
        return samples
    return ((samples[..., :-1].astype(np.uint16) * samples[..., -1:] + 127) // 255).astype(np.uint8)


def raw_mode(image):
    """How the file's bytes are laid out, in Pillow's words."""
    arguments = image.tile[0].args if image.tile else ""
    return arguments if isinstance(arguments, str) else str(arguments[0]) if arguments else ""


def channels(image, data):
    """uint8 `[height, width, 1 to 4]`: grey or RGB, with alpha where the file has it."""
    mode, raw = image.mode, raw_mode(image)
    extents = image.tile[0].extents if image.format == "GIF" and image.tile else None
    if raw.startswith("RGBa"):
        # A TIFF's colours that are multiplied by their alpha are, over black, what they are.
        whole = sixteen_bits(image, raw.replace("a", "A"), data) if ";16" in raw else reread(image, data, "RGBA")
        return whole[..., :3] if whole.dtype == np.uint8 else to_8_bits(whole[..., :3])
    deep = raw.endswith((";16B", ";16L", ";16N")) and mode in ("RGB", "RGBA", "CMYK")
    samples = sixteen_bits(image, raw, data) if deep else np.asarray(palette_colours(image))
    if mode == "CMYK":
        return from_cmyk(samples, image.format == "JPEG")
    if samples.ndim == 2:
        samples = samples[..., None]
    if mode in ("P", "PA") and (samples[..., :3] == samples[..., :1]).all():
        # A palette of greys: the picture is grey.
        samples = np.delete(samples, [1, 2], 2)
    if image.format == "TIFF" and mode.startswith("I;16") and image.tag_v2.get(262) == 0:
        # Of 16 bits Pillow does not know that 0 may be white.
        samples = 65535 - samples
    samples = with_transparency(samples, image, raw)
    if samples.dtype == bool:
        samples = samples * np.uint8(255)
    elif samples.dtype.kind == "u" and samples.dtype.itemsize == 2:
        samples = to_8_bits(samples)
    if samples.dtype != np.uint8:
        raise ValueError(f"pixels of Pillow's mode {mode} are not read")
    if raw in ("BGR;15", "BGR;16", "BGRA;15Z"):
        samples = rounded(samples[..., :3], np.array([31, 63 if raw == "BGR;16" else 31, 31]))
    if extents is not None:
        # What a GIF's first frame leaves open is transparent, not of the background's colour.
        left, top, right, bottom = extents
        open_ = np.ones(samples.shape[:2], bool)
        open_[top:bottom, left:right] = False
        samples = np.where(open_[..., None], np.uint8(0), samples)
    return samples


def palette_colours(image):
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image.convert("RGB") if image.mode == "YCbCr" else image


def with_transparency(samples, image, raw):
    """The one colour of a PNG or GIF without a palette that is transparent."""
    key = image.info.get("transparency")
    if key is None or image.mode not in ("1", "L", "I;16", "RGB"):
        return samples
    # Pillow spreads samples of 2 and 4 bits over a byte, but not this.
    key = np.array(key) * {"L;2": 85, "L;4": 17}.get(raw, 1)
    if samples.dtype == bool:
        samples = samples * np.uint8(255)
    top = np.iinfo(samples.dtype).max
    shown = (samples != key.astype(samples.dtype)).any(2, keepdims=True)
    return np.concatenate([samples, np.where(shown, top, 0).astype(samples.dtype)], 2)


def sixteen_bits(image, raw, data):
    """Pillow keeps the upper byte of each colour. It is asked again for the lower one, as if that were the upper."""
    if raw == "LA;16B":
        halves = reread(image, data, "RGBA").astype(np.uint16)
        return halves[..., 0::2] * 256 + halves[..., 1::2]
    high, low = reread(image, data, raw), reread(image, data, raw[:-1] + LOW_BYTES[raw[-1]])
    return high.astype(np.uint16) * 256 + low


def reread(image, data, raw):
    with Image.open(io.BytesIO(data), formats=[image.format]) as again:

        def changed(tile):
            return tile._replace(args=raw if isinstance(tile.args, str) else (raw, *tile.args[1:]))

        again.tile = [changed(tile) for tile in again.tile]
        return np.asarray(again)


def from_cmyk(samples, jpeg):
    top = np.iinfo(samples.dtype).max
    if jpeg:
        light = (255 - samples).astype(np.uint32)
        product = light[..., :3] * light[..., 3:] + 128
        return ((product + (product >> 8)) >> 8).astype(np.uint8)
    ink = samples.astype(np.float32)
    light = ((np.float32(top) - ink[..., :3]) * (1 - ink[..., 3:] / np.float32(top))).astype(samples.dtype)
    return light if top == 255 else to_8_bits(light)


def rounded(samples, tops):
    """Pillow rounds 5 and 6 bits down when it spreads them over 8."""
    few = (samples.astype(np.int64) * tops + 254) // 255
    return ((few * 510 + tops) // (2 * tops)).astype(np.uint8)


def portable_map(data):
    """PBM, PGM, PPM and PAM, plain and binary. Pillow knows not all of them, and scales them its own way."""
    kind, at = int(data[1:2]), 2

    def token():
        nonlocal at
        while at < len(data) and (data[at : at + 1].isspace() or data[at : at + 1] == b"#"):
            at = (data.find(b"\n", at) if data[at : at + 1] == b"#" else at) + 1 or len(data)
        start = at
        while at < len(data) and not data[at : at + 1].isspace():
            at += 1
        return data[start:at]

    depth, top = 3 if kind in (3, 6) else 1, 1
    if kind == 7:
        fields = {}
        while (name := token()) != b"ENDHDR":
            if not name:
                raise ValueError("its header has no end")
            fields[name] = token()
        width, height, depth, top = (int(fields.get(name, 0)) for name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL"))
    else:
        width, height = int(token()), int(token())
        if kind not in (1, 4):
            top = int(token())
    check_size(width, height)
    if not (0 < top < 65536 and 0 < depth <= 4):
        raise ValueError(f"{depth} channels with values up to {top} are not read")
    count = width * height * depth
    if kind in (2, 3):
        samples = np.array(data[at:].split()[:count], np.uint32)
    elif kind == 1:
        digits = np.frombuffer(b"".join(data[at:].split())[:count], np.uint8)
        samples = (digits == ord("0")).astype(np.uint32)
    elif kind == 4:
        row = (width + 7) // 8
        bits = np.unpackbits(np.frombuffer(data[at + 1 : at + 1 + row * height], np.uint8))
        samples = 1 - bits[: bits.size // (row * 8) * row * 8].reshape(-1, row * 8)[:, :width].ravel().astype(np.uint32)
    else:
        dtype = np.dtype(">u2" if top > 255 else "u1")
        raw = data[at + 1 : at + 1 + count * dtype.itemsize]
        samples = np.frombuffer(raw[: len(raw) // dtype.itemsize * dtype.itemsize], dtype).astype(np.uint32)
    if samples.size < count:
        raise ValueError("the file was cut, pixels are missing")
    full = 65535 if top > 255 else 255
    if top != full:
        scaled = samples.astype(np.float32) * (np.float32(full) / np.float32(top))
        samples = np.floor(scaled.astype(np.float64) + 0.5).clip(0, full)
    samples = samples.reshape(height, width, depth)
    return samples.astype(np.uint8) if full == 255 else to_8_bits(samples)


def to_grey(pixels):
    """Luma (Rec. 709) of `[.., 3]`; grey stays as it is."""
    if pixels.shape[-1] == 1:
        return pixels
    luma = (pixels.astype(np.uint32) * np.array([2126, 7152, 722], np.uint32)).sum(2, keepdims=True)
    return ((luma + 5000) // 10000).astype(np.uint8)


@lru_cache(4096)
def taps(size, side):
    """Of each of `side` outputs the first input and the weights: `image`'s Triangle filter, in single precision."""
    ratio = np.float32(size) / np.float32(side)
    support = max(ratio, np.float32(1))
    result = []
    for out in range(side):
        centre = (np.float32(out) + np.float32(0.5)) * ratio
        first = int(min(max(np.floor(centre - support), 0), size - 1))
        past = int(min(max(np.ceil(centre + support), first + 1), size))
        away = np.abs((np.arange(first, past).astype(np.float32) - (centre - np.float32(0.5))) / support)
        weights = np.where(away < 1, np.float32(1) - away, np.float32(0))
        # One after the other: NumPy's sum adds in another order.
        result.append((first, weights / np.add.accumulate(weights)[-1]))
    return result


def resampled(rows, side):
    result = np.zeros((side, *rows.shape[1:]), np.float32)
    for out, (first, weights) in zip(result, taps(len(rows), side), strict=True):
        for row, weight in zip(rows[first:], weights, strict=False):
            out += row * weight
    return result


def resize(pixels, side):
    """`[side, side, channels]`, without keeping proportions: rows first, as `image` does it."""
    if pixels.shape[:2] == (side, side):
        return pixels
    rows = resampled(pixels.astype(np.float32), side)
    both = resampled(np.ascontiguousarray(rows.swapaxes(0, 1)), side).swapaxes(0, 1)
    return np.floor(both.astype(np.float64).clip(0, 255) + 0.5).astype(np.uint8)
