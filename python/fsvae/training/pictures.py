"""Reads training images: an .npz, a folder or a zip of pictures, as uint8 `[N, channels, side, side]`."""

import os
import sys
import warnings
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

if __package__:
    from . import pixels as of_one
    from .errors import InputError, one_line
    from .picture_starts import HEAD, begins_as_picture
else:  # Imported from its folder, by who wants to read pictures and has not installed the package.
    import pixels as of_one  # type: ignore[import-not-found, no-redef]
    from errors import InputError, one_line  # type: ignore[import-not-found, no-redef]
    from picture_starts import HEAD, begins_as_picture  # type: ignore[import-not-found, no-redef]

SUFFIXES = {
    ".png",
    ".apng",
    ".jpg",
    ".jpeg",
    ".jfif",
    ".webp",
    ".bmp",
    ".gif",
    ".tif",
    ".tiff",
    ".tga",
    ".qoi",
    ".pbm",
    ".pgm",
    ".ppm",
    ".pnm",
    ".pam",
}
# Photos in formats that are not read: missed, where other files are chaff.
UNREAD = {".avif", ".heic", ".heif", ".jp2", ".jxl"}
LARGEST_FILE = 1 << 30
MOST_LINKS = 10_000

# Each would be lines of their own in the midst of the training's; what matters of them is an error.
warnings.filterwarnings("ignore", module="PIL")


def from_npz(path, part):
    try:
        with np.load(path) as file:
            names = [part] if part in file else [n for n in ("images", "x", "arr_0") if n in file and part == "train"]
            if not names:
                if part == "test":
                    return None
                raise InputError(
                    f"{path}: expected an array named train, images, x or arr_0, found {', '.join(file.files)}"
                )
            images = file[names[0]]
    except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a readable .npz: {error}") from None
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise InputError(
            f"{path}: {names[0]}: expected uint8 [N, side, side] or [N, side, side, 1 or 3], "
            f"found {images.dtype} {list(images.shape)}"
        )
    return images


def decode(opened, name, side, grey):
    """One picture as `fsvae` fits it to a model: `[side, side, 1 or 3]`, by itself where `grey` is None."""
    try:
        data = opened()
        if len(data) > LARGEST_FILE:
            raise ValueError(f"more than {LARGEST_FILE} bytes")
        image = of_one.resize(of_one.load(data), side)
        if grey:
            return of_one.to_grey(image)
        return image.repeat(3, 2) if grey is False and image.shape[2] == 1 else image
    # Pillow and zipfile raise nearly everything, down to struct.error and SyntaxError.
    except Exception as error:
        found = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{name}: not a readable picture: {found}") from None


def hidden(name):
    """Also what macOS adds to archives."""
    return name.startswith(".") or name == "__MACOSX"


def is_picture(name, start):
    """By the name, or whatever that is by the first bytes, as `fsvae` does (src/cli/folder.rs)."""
    return Path(name).suffix.lower() in SUFFIXES | UNREAD or begins_as_picture(start())


def first_bytes(path):
    try:
        with open(path, "rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""


def walked(folder, inside, count):
    """The files of a folder and of those in it, in the order of the names, as paths; of links, what they lead to."""
    count[0] += folder.is_symlink()
    if count[0] > MOST_LINKS:
        raise InputError(f"{folder}: more than {MOST_LINKS} links to folders")
    place = folder.resolve()
    if place in inside:
        raise InputError(f"{folder}: a loop of folders: this link leads back to {inside[place]}")
    try:
        names = sorted(filter(lambda name: not hidden(name), os.listdir(folder)), key=os.fsencode)
    except OSError as error:
        raise InputError(f"{folder}: cannot read the folder: {error.strerror}") from None
    for name in names:
        path = folder / name
        if path.is_dir():
            yield from walked(path, {**inside, place: folder}, count)
        else:
            yield path


def listed(path):
    """What a folder or zip holds: the parts of the pictures' names, how to get their bytes, the other files' names."""
    if path.is_dir():
        pictures, others = [], []
        for file in walked(path, {}, [0]):
            special = file.exists() and not file.is_file()
            if not special and is_picture(file.name, partial(first_bytes, file)):
                pictures.append((file.relative_to(path).parts, file.read_bytes))
            else:
                others.append(str(file.relative_to(path)))
        return pictures, others
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: expected an .npz, a folder or a zip of pictures: {error}") from None

    def contents(entry):
        if entry.file_size > LARGEST_FILE:
            raise ValueError(f"more than {LARGEST_FILE} bytes")
        return archive.read(entry)

    def start(entry):
        try:
            with archive.open(entry) as file:
                return file.read(HEAD)
        except (OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error):
            return b""

    pictures, others = [], []
    entries = [(tuple(entry.filename.split("/")), entry) for entry in archive.infolist() if not entry.is_dir()]
    for parts, entry in sorted(entries, key=lambda item: [os.fsencode(part) for part in item[0]]):
        if any(map(hidden, parts)):
            continue
        if is_picture(parts[-1], partial(start, entry)):
            pictures.append((parts, partial(contents, entry)))
        else:
            others.append(entry.filename)
    return pictures, others


def passed_over(others):
    """How many files are no pictures, and the first few names."""
    kind = "file that is no picture" if len(others) == 1 else "files that are no pictures"
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    return f"passed over {len(others)} {kind}: {', '.join(others[:3])}{more}"


def part_of(pictures, part):
    """Those of the folder `train` or `test`, where there is a `train`, be it in the one folder that holds all."""
    at = 0
    while (
        pictures and len({parts[at] for parts, _ in pictures}) == 1 and all(len(parts) > at + 1 for parts, _ in pictures)
    ):
        if pictures[0][0][at] == "train":
            break
        at += 1
    if any(parts[at] == "train" and len(parts) > at + 1 for parts, _ in pictures):
        return [picture for picture in pictures if picture[0][at] == part]
    return pictures if part == "train" else []


def from_files(path, part, side, grey):
    pictures, others = listed(path)
    if others and part == "train":
        print(one_line(f"{path}: {passed_over(others)}"), file=sys.stderr)
    pictures = part_of(pictures, part)
    if not pictures:
        if part == "test":
            return None
        raise InputError(f"{path}: no pictures in it (looked for {', '.join(sorted(SUFFIXES))})")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        images = list(pool.map(lambda item: decode(item[1], f"{path}: {'/'.join(item[0])}", side, grey), pictures))
    if len({image.shape[2] for image in images}) > 1:
        images = [image if image.shape[2] == 3 else image.repeat(3, 2) for image in images]
    return np.stack(images)


def read(path, part="train", side=None, grey=None):
    """Images `[N, channels, side, side]`; None where there is no such part.

    A folder or zip with a folder `train` in it is split by that and `test`; without, all is `train`. `side` is what
    pictures are resized to, as `fsvae` does it, without keeping proportions (32 unless told; an .npz has its own);
    `grey` True or False converts files to 1 or 3 channels, else they have 1 if all of them are grey.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.suffix == ".npz":
        images = from_npz(path, part)
        if images is not None and side not in (None, images.shape[1]):
            raise InputError(f"{path}: expected images of side {side}, found {images.shape[1]}")
    else:
        images = from_files(path, part, side or 32, grey)
    if images is None:
        return None
    size = images.shape[1]
    if images.shape[2] != size or size & (size - 1) or size < 4:
        raise InputError(
            f"{path}: expected square images whose side is a power of two, found {images.shape[1]} x {images.shape[2]}"
        )
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def for_network(path, part, net):
    """Images as `read` gives them, of the size that `net` takes; `InputError` where there are none."""
    images = read(path, part, net.side, net.channels == 1)
    if images is None:
        raise InputError(f"{path}: expected images called {part}")
    wanted = net.channels, net.side, net.side
    if images.shape[1:] != wanted:
        wants, found = (" x ".join(map(str, shape)) for shape in (wanted, images.shape[1:]))
        raise InputError(f"{path}: the model wants {wants}, found {found}")
    return images


def pixels(images):
    """Images in [-1, 1] as uint8, rounded half up as the integer machine does (contract, section 6)."""
    return np.floor((np.asarray(images, np.float64) + 1) * 127.5 + 0.5).clip(0, 255).astype(np.uint8)
