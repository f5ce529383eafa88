"""Reads training images: an .npz, a folder or a zip of pictures, as uint8 `[N, channels, side, side]`; writes grids."""
import io
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}


class InputError(Exception):
    """Something the user gave is not what it should be: one line that says what."""


def from_npz(path, part):
    try:
        with np.load(path) as file:
            names = [part] if part in file else [n for n in ("images", "x", "arr_0") if n in file and part == "train"]
            if not names:
                if part == "test":
                    return None
                raise InputError(f"{path}: expected an array named train, images, x or arr_0, found {', '.join(file.files)}")
            images = file[names[0]]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a readable .npz: {error}") from None
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise InputError(f"{path}: {names[0]}: expected uint8 [N, side, side] or [N, side, side, 1 or 3], "
                         f"found {images.dtype} {list(images.shape)}")
    return images


def decode(opened, name, side, mode):
    """One picture, its middle square resized to `side`."""
    try:
        with Image.open(opened) as image:
            image = image.convert(mode)
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise InputError(f"{name}: not a readable picture: {error}") from None
    if image.size != (side, side):
        edge = min(image.size)
        left, top = (image.width - edge) // 2, (image.height - edge) // 2
        image = image.resize((side, side), Image.Resampling.LANCZOS, (left, top, left + edge, top + edge))
    return np.asarray(image)


def listed(path):
    """The pictures of a folder or zip: relative names in order, and how to open one."""
    if path.is_dir():
        names = sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
        return names, lambda name: path / name
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: expected an .npz, a folder or a zip of pictures: {error}") from None
    names = sorted(n for n in archive.namelist() if Path(n).suffix.lower() in SUFFIXES)
    return names, lambda name: io.BytesIO(archive.read(name))


def from_files(path, part, side, mode):
    names, opened = listed(path)
    parts = {name: Path(name).parts[0] for name in names}
    if "train" in parts.values():
        names = [name for name in names if parts[name] == part]
    elif part == "test":
        return None
    if not names:
        if part == "test":
            return None
        raise InputError(f"{path}: no pictures in it (looked for {', '.join(sorted(SUFFIXES))})")
    if mode is None:
        with Image.open(opened(names[0])) as first:
            mode = "L" if first.mode in ("1", "L", "I;16", "LA") else "RGB"
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.stack(list(pool.map(lambda n: decode(opened(n), f"{path}: {n}", side, mode), names)))


def read(path, part="train", side=None, grey=None):
    """Images `[N, channels, side, side]`; None where there is no such part.

    A folder or zip with a folder `train` in it is split by that and `test`; without, all is `train`. `side` is what
    pictures are resized to (32 unless told; an .npz has its own), `grey` True or False converts files to 1 or 3 channels.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.suffix == ".npz":
        images = from_npz(path, part)
        if images is not None and side not in (None, images.shape[1]):
            raise InputError(f"{path}: expected images of side {side}, found {images.shape[1]}")
    else:
        images = from_files(path, part, side or 32, None if grey is None else "L" if grey else "RGB")
    if images is None:
        return None
    size = images.shape[1]
    if images.shape[2] != size or size & (size - 1) or size < 4:
        raise InputError(f"{path}: expected square images whose side is a power of two, found {images.shape[1]} x {images.shape[2]}")
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def pixels(images):
    """Images in [-1, 1] as uint8, rounded half up as the integer machine does (contract, section 6)."""
    return np.floor((np.asarray(images, np.float64) + 1) * 127.5 + 0.5).clip(0, 255).astype(np.uint8)


def save_grid(path, images, columns):
    """Writes uint8 `[N, channels, side, side]` as one PNG, beside first, then renamed."""
    n, channels, side, _ = images.shape
    rows = -(-n // columns)
    sheet = np.zeros((rows * side, columns * side, channels), np.uint8)
    for i, image in enumerate(images):
        y, x = divmod(i, columns)
        sheet[y * side:(y + 1) * side, x * side:(x + 1) * side] = image.transpose(1, 2, 0)
    beside = f"{path}.part"
    Image.fromarray(sheet.squeeze(2) if channels == 1 else sheet).save(beside, format="png")
    os.replace(beside, path)
