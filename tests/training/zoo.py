"""Pictures of every kind that people have, made by Pillow or byte by byte where Pillow cannot write it."""
import io
import struct
import zlib

import numpy as np
from PIL import Image

SIDE = 32
RANDOM = np.random.default_rng(3)
Y, X = np.mgrid[0:SIDE, 0:SIDE]
SMOOTH = np.stack([X * 8, Y * 8, 255 - X * 4 - Y * 4], -1).astype(np.uint8)
NOISE = RANDOM.integers(0, 256, (SIDE, SIDE, 4), np.uint8)
DEEP = RANDOM.integers(0, 1 << 16, (SIDE, SIDE, 4), np.uint16)
TURNED = {n: Image.Exif() for n in range(1, 9)}
for n, exif in TURNED.items():
    exif[0x112] = n


def encoded(pixels, kind, **options):
    buffer = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(samples, bits, colour, *chunks):
    """Of `[height, width, channels]`; Pillow writes neither 16 bits of colour nor these transparencies."""
    height, width, channels = samples.shape
    if bits == 16:
        rows = samples.astype(">u2").view(np.uint8).reshape(height, -1)
    elif bits == 8:
        rows = samples.astype(np.uint8).reshape(height, -1)
    else:
        spread = np.unpackbits(samples.astype(np.uint8).reshape(height, -1, 1), axis=2)[..., 8 - bits:]
        rows = np.packbits(spread.reshape(height, -1), axis=1)
    step = max(1, bits * channels // 8)
    # Each row by another filter, as real encoders do.
    lines = []
    for y, row in enumerate(rows.astype(int)):
        left = np.concatenate([np.zeros(step, int), row[:-step]])
        up = rows[y - 1].astype(int) if y else np.zeros_like(row)
        lines.append(bytes([y % 3]) + ((row - [0, left, up][y % 3]) % 256).astype(np.uint8).tobytes())

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunk(*c) for c in chunks) + \
        chunk(b"IDAT", zlib.compress(b"".join(lines))) + chunk(b"IEND", b"")


def bmp(bits, rows, masks=b"", compression=0, palette=b"", header=40):
    offset = 14 + header + (len(masks) if header == 40 else 0) + len(palette)
    info = struct.pack("<IiiHHIIiiII", header, SIDE, SIDE, 1, bits, compression, len(rows), 0, 0, len(palette) // 4, 0)
    info += masks.ljust(header - 40, b"\0") if header > 40 else masks
    return struct.pack("<2sIHHI", b"BM", offset + len(rows), 0, 0, offset) + info + palette + rows


def tiff(samples, photometric, big=False, extra=None, orientation=1):
    """Uncompressed, of 8 or 16 bits, in either order of bytes."""
    order = ">" if big else "<"
    height, width, channels = samples.shape
    data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    bits = samples.dtype.itemsize * 8
    tags = [(256, 3, width), (257, 3, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 8),
            (274, 3, orientation), (277, 3, channels), (278, 3, height), (279, 4, len(data))]
    if extra is not None:
        tags.append((338, 3, extra))
    at = 8 + len(data) + 2 + 12 * len(tags) + 4
    entries = b""
    for tag, kind, value in tags:
        count = channels if tag == 258 else 1
        if count > 2:
            entries += struct.pack(order + "HHII", tag, kind, count, at)
        else:
            packed = struct.pack(order + ("H" if kind == 3 else "I") * count, *[value] * count)
            entries += struct.pack(order + "HHI", tag, kind, count) + packed.ljust(4, b"\0")
    return (b"MM\0*" if big else b"II*\0") + struct.pack(order + "I", 8 + len(data)) + data + \
        struct.pack(order + "H", len(tags)) + entries + bytes(4) + struct.pack(order + f"{channels}H", *[bits] * channels)


def ycck(pixels):
    """As Photoshop writes CMYK: inverted, and its inks as luma and chroma (Adobe's transform 2)."""
    inks = np.asarray(Image.fromarray(pixels).convert("CMYK"))
    luma = np.asarray(Image.fromarray(np.ascontiguousarray(inks[..., :3])).convert("YCbCr"))
    stored = np.dstack([luma, 255 - inks[..., 3]])
    data = bytearray(encoded(Image.frombytes("CMYK", (SIDE, SIDE), (255 - stored).astype(np.uint8).tobytes()), "jpeg", quality=100))
    data[data.index(b"Adobe") + 11] = 2
    return bytes(data)


def exact():
    """Name to bytes: what must be equal to the bit."""
    rgb, rgba, grey = NOISE[..., :3], NOISE, NOISE[..., 0]
    la = Image.fromarray(np.ascontiguousarray(NOISE[..., ::3]), "LA")
    palette = Image.fromarray(SMOOTH).quantize(64)
    bits = Image.fromarray(grey).convert("1")
    files = {f"{name}.{suffix}": encoded(image, kind) for suffix, kind in
             [("png", "png"), ("bmp", "bmp"), ("tif", "tiff"), ("tga", "tga"), ("gif", "gif"), ("ppm", "ppm"), ("qoi", "qoi")]
             for name, image in [("rgb", rgb), ("grey", grey), ("bits", bits), ("palette", palette), ("alpha", rgba), ("la", la)]
             if not (suffix == "qoi" and name not in ("rgb", "alpha") or (suffix, name) in
                     [("ppm", "palette"), ("ppm", "la"), ("bmp", "la"), ("ppm", "alpha"), ("tga", "bits")])}
    files |= {f"{name}-lossless.webp": encoded(image, "webp", lossless=True, exact=True)
              for name, image in [("rgb", rgb), ("grey", Image.fromarray(grey)), ("alpha", rgba)]}
    files |= {f"{n}-turned.{suffix}": encoded(SMOOTH, kind, exif=exif.tobytes(), **options) for n, exif in TURNED.items()
              for suffix, kind, options in [("png", "png", {}), ("webp", "webp", {"lossless": True}), ("tif", "tiff", {})]}
    files |= {f"{c}.tif": encoded(rgb, "tiff", compression=c) for c in ("tiff_lzw", "tiff_adobe_deflate", "packbits")}
    files["g4.tif"] = encoded(bits, "tiff", compression="group4")
    files["cmyk.tif"] = encoded(Image.fromarray(rgb).convert("CMYK"), "tiff")
    files["cmyk-noise.tif"] = encoded(Image.fromarray(rgba, "CMYK"), "tiff", compression="tiff_lzw")
    for big in (False, True):
        for name, photometric, channels, extra in [("grey", 1, 1, None), ("white", 0, 1, None), ("rgb", 2, 3, None), ("alpha", 2, 4, 2),
                                                   ("cmyk", 5, 4, None), ("multiplied", 2, 4, 1)]:
            for kind in ("8", "16"):
                pixels = (DEEP if kind == "16" else NOISE)[..., :channels]
                # Of white that is 0 Pillow does not know 16 bits in this order.
                if (name, kind, big) != ("white", "16", True):
                    files[f"{name}-{kind}-{'big' if big else 'little'}.tif"] = tiff(pixels, photometric, big, extra)
    files["turned-big.tif"] = tiff(DEEP[..., :3], 2, True, orientation=6)
    files["grey-16.png"] = png(DEEP[..., :1], 16, 0)
    files["rgb-16.png"] = png(DEEP[..., :3], 16, 2)
    files["la-16.png"] = png(DEEP[..., :2], 16, 4)
    files["alpha-16.png"] = png(DEEP, 16, 6)
    for depth in (1, 2, 4, 8, 16):
        few = DEEP[..., :1] >> (16 - depth)
        key = int(few[3, 3, 0])
        files[f"grey-{depth}.png"] = png(few, depth, 0)
        files[f"grey-{depth}-key.png"] = png(few, depth, 0, (b"tRNS", struct.pack(">H", key)))
        if depth >= 8:
            few = DEEP[..., :3] >> (16 - depth)
            files[f"rgb-{depth}-key.png"] = png(few, depth, 2, (b"tRNS", struct.pack(">3H", *map(int, few[5, 7]))))
        if depth <= 8:
            colours = NOISE.reshape(-1, 4)[:1 << depth]
            files[f"palette-{depth}.png"] = png(DEEP[..., :1] >> (16 - depth), depth, 3, (b"PLTE", colours[:, :3].tobytes()),
                                                (b"tRNS", colours[:-1, 3].tobytes()))
    files["key.gif"] = encoded(palette, "gif", transparency=5)
    part = bytearray(encoded(Image.fromarray(SMOOTH[:20, :24]).quantize(16), "gif"))
    part[6:10] = struct.pack("<HH", SIDE, SIDE)
    part[11] = 3 # the background's colour
    files["part.gif"] = bytes(part)
    frames = [Image.fromarray(SMOOTH).quantize(16), Image.fromarray(255 - SMOOTH).quantize(16)]
    files["moving.gif"] = encoded(frames[0], "gif", save_all=True, append_images=frames[1:])
    files["moving.png"] = encoded(SMOOTH, "png", save_all=True, append_images=[Image.fromarray(255 - SMOOTH)])
    files["moving.webp"] = encoded(SMOOTH, "webp", save_all=True, append_images=[Image.fromarray(255 - SMOOTH)], lossless=True)
    words = (NOISE[..., 0].astype("<u2") << 8 | NOISE[..., 1])
    files["555.bmp"] = bmp(16, words.tobytes())
    files["565.bmp"] = bmp(16, words.tobytes(), struct.pack("<3I", 0xf800, 0x7e0, 0x1f), 3)
    files["32.bmp"] = bmp(32, NOISE.tobytes())
    files["32-alpha.bmp"] = bmp(32, NOISE.tobytes(), struct.pack("<4I", 0xff0000, 0xff00, 0xff, 0xff000000), 3, header=108)
    runs = b"".join(bytes([20, y, 12, 255 - y, 0, 0]) for y in range(SIDE)) + b"\0\1"
    files["rle.bmp"] = bmp(8, runs, compression=1, palette=NOISE.reshape(-1, 4)[:256].tobytes())
    files["rle.tga"] = encoded(SMOOTH // 64 * 64, "tga", compression="tga_rle")
    files["555.tga"] = struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, SIDE, SIDE, 16, 0x21) + words.tobytes()
    text = " ".join(map(str, grey.ravel() % 8)).encode()
    files["plain.pgm"] = b"P2 # values to 7\n32 32\n7\n" + text + b"\n"
    files["plain.ppm"] = b"P3\n32 32\n255\n" + "\n".join(map(str, rgb.ravel())).encode()
    files["plain.pbm"] = b"P1\n32 32\n" + "\n".join("".join(map(str, row % 2)) for row in grey).encode() + b"\n"
    files["deep.pgm"] = b"P5\n32 32\n65535\n" + DEEP[..., 0].astype(">u2").tobytes()
    files["deep.ppm"] = b"P6\n32 32\n1000\n" + (DEEP[..., :3] % 1001).astype(">u2").tobytes()
    files["alpha.pam"] = b"P7\nWIDTH 32\nHEIGHT 32\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n" + rgba.tobytes()
    for width, height in [(8, 8), (31, 33), (33, 32), (32, 64), (100, 7), (200, 311), (1, 1), (3, 500)]:
        large = RANDOM.integers(0, 256, (height, width, 3), np.uint8)
        files[f"{width}x{height}.png"] = encoded(large, "png")
        files[f"{width}x{height}-grey.png"] = encoded(large[..., 0], "png")
    return files


def of_no_pixels():
    """Name to bytes: there is nothing to see in them."""
    return {
        "zero.pgm": b"P5 0 0 255\n",
        "narrow.ppm": b"P6 0 3 255\n",
        "flat.pbm": b"P4 3 0\n",
        "zero.pam": b"P7\nWIDTH 0\nHEIGHT 0\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\n",
        "flat.tga": struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, 4, 0, 24, 0) + bytes(44),
        "zero.qoi": b"qoif" + struct.pack(">IIBB", 0, 4, 3, 0) + bytes(7) + b"\1",
        "zero.gif": b"GIF89a" + struct.pack("<HHBBB", 0, 0, 0, 0, 0) + b";",
    }


def lossy():
    """Name to bytes: decoders may differ by a few levels."""
    pixels, image = SMOOTH, Image.fromarray(SMOOTH)
    files = {f"{quality}.{suffix}": encoded(pixels, kind, quality=quality) for quality in (60, 95)
             for suffix, kind in [("jpg", "jpeg"), ("webp", "webp")]}
    files |= {f"{n}-turned.jpg": encoded(pixels, "jpeg", quality=95, exif=exif.tobytes()) for n, exif in TURNED.items()}
    files["grey.jpg"] = encoded(image.convert("L"), "jpeg", quality=90)
    files["progressive.jpg"] = encoded(pixels, "jpeg", quality=90, progressive=True)
    files["restarts.jpg"] = encoded(pixels, "jpeg", quality=90, restart_marker_blocks=1)
    files["444.jpg"] = encoded(pixels, "jpeg", quality=90, subsampling=0)
    files["cmyk.jpg"] = encoded(image.convert("CMYK"), "jpeg", quality=95)
    files["ycck.jpg"] = ycck(SMOOTH // 4 + 190)
    files["alpha.webp"] = encoded(np.dstack([SMOOTH, X * 8]).astype(np.uint8), "webp", quality=95)
    files["jpeg.tif"] = encoded(pixels, "tiff", compression="jpeg", quality=95)
    return files
