"""Training sees of every picture the pixels that `fsvae` sees, and of every folder and zip the same pictures."""
import json
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zoo
from command_line import FSVAE, needs_fsvae
from fsvae.training import pictures
from fsvae.training.errors import InputError

GREY = np.tile((np.arange(32) * 8).astype(np.uint8), (32, 1))


def write(folder, files):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def zipped(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def seen(folder, out, model):
    """What `fsvae` fitted to a model of 32 x 32, by the path below the folder, in its order; and what it said."""
    out.mkdir()
    done = subprocess.run([FSVAE, "reconstruct", folder, "--model", model, "--backend", "cpu", "--side-by-side", "--json",
                           "--out", out / "{index}.png"], capture_output=True, text=True)
    images = json.loads(done.stdout)["images"] if done.stdout else []
    halves = {str(Path(image["file"]).relative_to(folder)): np.asarray(Image.open(out / f"{image['index']}.png"))[:, :32]
              for image in images}
    return halves, done


@needs_fsvae
@pytest.mark.parametrize("model, grey", [("cifar10-esvae", False), ("mnist", True)])
def test_every_picture_is_the_same(tmp_path, model, grey):
    exact, lossy = zoo.exact(), zoo.lossy()
    assert len(exact) > 120 and len(lossy) > 15
    folder = write(tmp_path / "zoo", exact | lossy)
    images, done = seen(folder, tmp_path / "seen", model)
    assert done.returncode == 0, done.stderr
    assert sorted(images) == sorted(exact | lossy)
    wrong = {}
    for name, image in images.items():
        own = pictures.decode((folder / name).read_bytes, name, 32, grey)
        away = np.abs(image.reshape(own.shape).astype(int) - own)
        # Two decoders of a lossy format round in different places.
        if away.max() > (3 if name in lossy else 0) or away.mean() > 0.5:
            wrong[name] = away.max(), away.mean()
    assert not wrong


def cuttable():
    """Noise, so that every part of a file holds pixels; what follows the last pixel may be missing."""
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    for suffix, kind, options, end in [("png", "png", {}, 20), ("jpg", "jpeg", {}, 1), ("progressive.jpg", "jpeg", {"progressive": True}, 1),
                                       ("restarts.jpg", "jpeg", {"restart_marker_blocks": 1}, 1), ("bmp", "bmp", {}, 1),
                                       ("gif", "gif", {}, 12), ("webp", "webp", {}, 1), ("lossless.webp", "webp", {"lossless": True}, 1),
                                       ("tif", "tiff", {}, 1), ("tiff", "tiff", {"compression": "tiff_lzw"}, 1), ("tga", "tga", {}, 40),
                                       ("qoi", "qoi", {}, 12), ("ppm", "ppm", {}, 1)]:
        data = zoo.encoded(pixels, kind, **options)
        for length in sorted({len(data) // 20, len(data) // 6, len(data) // 2, len(data) - 50, len(data) - end}):
            yield f"{length}-of-{len(data)}.{suffix}", data[:length]
    yield "empty.png", b""
    yield "plain.ppm", b"P3\n2 2\n255\n" + b"1 " * 11
    yield "text.png", b"not a picture"
    yield "bomb.png", zoo.png(np.zeros((1, 60000, 1)), 8, 0)
    yield "high.pgm", b"P5\n1 8193\n255\n" + bytes(8193)
    yield "huge.ppm", b"P6\n100000 100000\n255\n"
    yield from zoo.of_no_pixels().items()


@needs_fsvae
def test_cut_and_broken_pictures_are_refused_by_both(tmp_path):
    files = dict(cuttable())
    write(tmp_path / "broken", files | {"whole.png": zoo.encoded(GREY, "png")})
    images, done = seen(tmp_path / "broken", tmp_path / "seen", "mnist")
    assert list(images) == ["whole.png"] and done.returncode == 1
    assert done.stderr.count("left out: ") == len(files), done.stderr
    read = []
    for name, data in files.items():
        folder = write(tmp_path / f"of-{name}", {name: data})
        for path, member in [(folder, folder / name), (zipped(tmp_path / f"{name}.zip", {f"a/{name}": data}), f"a/{name}")]:
            try:
                pictures.read(path)
                read.append(name)
            except InputError as error:
                assert str(path) in str(error) and Path(member).name in str(error) and "\n" not in str(error)
    assert not read


CHAFF = {"Thumbs.db": b"\xd0\xcf\x11\xe0", "desktop.ini": b"[x]", "b/README.txt": b"P6 is a car", "notes": b"BM", "x.json": b"{}"}
UNSEEN = {".DS_Store": b"", ".hidden.png": b"x", "__MACOSX/a/._1.png": b"\0\5\x16\7", "b/.git/x.png": b"x", "b/._2.png": b"x"}


def tree():
    """Pictures whose order tells of their names, and what lies beside them."""
    names = ["b/2.png", "b/10.png", "a.png", "a/deep/er.PNG", "c.png", "no extension", "\u00e4.png", "b.png"]
    return {name: zoo.encoded(np.full((32, 32), i * 30, np.uint8), "png") for i, name in enumerate(names)}


@needs_fsvae
def test_folders_and_zips_hold_the_same_pictures(tmp_path, capsys):
    files = tree()
    folder = write(tmp_path / "all", files | CHAFF | UNSEEN)
    os.symlink("../elsewhere", folder / "link")
    write(tmp_path / "elsewhere", {"1.png": zoo.encoded(GREY, "png")})
    images, done = seen(folder, tmp_path / "seen", "mnist")
    assert done.returncode == 0 and list(images)[:3] == ["a/deep/er.PNG", "a.png", "b/10.png"]
    own = pictures.read(folder)
    assert (own[:, 0] == list(images.values())).all() and own.shape[1:] == (1, 32, 32)
    said = capsys.readouterr().err
    assert said == f"{folder}: passed over 5 files that are no pictures: Thumbs.db, b/README.txt, desktop.ini and 2 more\n"
    assert done.stderr.count("\n") == 2 and "passed over 5 files" in done.stderr
    archive = zipped(tmp_path / "all.zip", files | CHAFF | UNSEEN | {"link/1.png": zoo.encoded(GREY, "png")})
    assert (pictures.read(archive) == own).all()
    assert "passed over 5 files" in capsys.readouterr().err
    os.symlink("..", folder / "b" / "loop")
    _, done = seen(folder, tmp_path / "loop", "mnist")
    assert done.returncode == 2 and "loop" in done.stderr
    with pytest.raises(InputError, match="a loop of folders: this link leads back to"):
        pictures.read(folder)


@needs_fsvae
def test_both_take_the_same_names_for_pictures(tmp_path):
    """Every one of these is broken, so that a picture is one that is left out."""
    suffixes = ["avif", "bmp", "cr2", "db", "dds", "exr", "ff", "gif", "hdr", "heic", "ico", "jfif", "jp2", "jpe", "jpeg", "jpg", "jxl",
                "pam", "pbm", "pgm", "png", "apng", "pnm", "ppm", "psd", "qoi", "svg", "tga", "tif", "tiff", "txt", "webp", "zip", "x"]
    starts = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"II*\0", b"MM\0*", b"qoif", b"RIFF\0\0\0\0WEBP", b"BM", b"P5", b"\0\0\1\0",
              b"BM" + bytes(12) + b"\x28\0\0\0", b"BM" + bytes(12) + b"\x29\0\0\0", b"P5 4 4 255\n", b"P6\n# x\n4\n", b"P4#" + b"x" * 600,
              b"P6 is a car", b"P1 4 by 4", b"P3 ", b"P7\nWIDTH 4\n", b"P7 332", b"P52 2", b"GIF88a", b"8BPS", b"\x89PNG\n\x1a\n",
              b"\xef\xbb\xbf\x89PNG", b"\0\0\0\x18ftypheic", b"\0\0\0\x18ftypisom", b"\0\0\0\x0cJXL \r\n\x87\n", b"II+\0", b"IIRO", b"hello"]
    names = {f"a.{suffix}": b"x" for suffix in suffixes}
    names |= {f"start{i}{suffix}": start for i, start in enumerate(starts) for suffix in ("", ".jpg_large", ".part", ".dib", ".txt")}
    folder = write(tmp_path / "names", names | {"whole.png": zoo.encoded(GREY, "png")})
    _, done = seen(folder, tmp_path / "seen", "mnist")
    found = {line.split(": ")[2].split("/")[-1] for line in done.stderr.splitlines() if "left out: " in line}
    taken, others = pictures.listed(folder)
    assert {parts[-1] for parts, _ in taken} == found | {"whole.png"}
    assert f"passed over {len(others)} files" in done.stderr


def test_colours_are_as_the_pictures_are(tmp_path):
    grey, colour = zoo.encoded(GREY, "png"), zoo.encoded(zoo.SMOOTH, "png")
    palette = zoo.encoded(Image.fromarray(GREY), "gif")
    assert pictures.read(write(tmp_path / "grey", {"1.png": grey, "2.gif": palette})).shape == (2, 1, 32, 32)
    for grey_or_not, channels in [(None, 3), (True, 1), (False, 3)]:
        images = pictures.read(write(tmp_path / "both", {"1.png": grey, "2.png": colour}), grey=grey_or_not)
        assert images.shape == (2, channels, 32, 32)
        assert (images[0] == GREY).all()


def test_classes_and_parts(tmp_path):
    image = zoo.encoded(GREY, "png")
    classes = {f"{name}/{i}.png": image for name in ("cat", "dog") for i in range(2)}
    parts = {f"photos/{part}/{name}/1.png": image for part in ("train", "test") for name in ("cat", "dog", "bird")}
    for make, where in [(write, "folder"), (zipped, "file.zip")]:
        assert len(pictures.read(make(tmp_path / f"classes-{where}", classes))) == 4
        assert pictures.read(tmp_path / f"classes-{where}", "test") is None
        assert len(pictures.read(make(tmp_path / f"parts-{where}", parts | {"photos/test/dog/2.png": image}))) == 3
        assert len(pictures.read(tmp_path / f"parts-{where}", "test")) == 4


def test_errors_name_the_archive_and_what_is_in_it(tmp_path):
    image = zoo.encoded(GREY, "png")
    whole = zipped(tmp_path / "whole.zip", {"a/1.png": image}).read_bytes()
    spoilt = bytearray(whole)
    spoilt[whole.index(image) + 40] ^= 1 # its checksum no longer fits
    locked = bytearray(whole)
    for header, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = locked.index(header) + flags
        locked[at:at + 2] = struct.pack("<H", 1)
    for name, data, expected in [("spoilt.zip", spoilt, "CRC"), ("locked.zip", locked, "encrypted")]:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=f"{name}: a/1.png: not a readable picture: .*{expected}"):
            pictures.read(tmp_path / name)
    for name, data in [("cut.zip", whole[:50]), ("text.zip", b"text")]:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=f"{name}: expected an .npz, a folder or a zip of pictures"):
            pictures.read(tmp_path / name)
    with pytest.raises(InputError, match="no pictures in it"):
        pictures.read(zipped(tmp_path / "none.zip", {"readme.txt": b""}))


def test_an_error_is_one_line_of_train(tmp_path):
    write(tmp_path / "photos", {"1.png": zoo.encoded(GREY, "png"), "broken\n.tif": zoo.encoded(GREY, "tiff")[:1000]})
    done = subprocess.run([sys.executable, "-m", "fsvae.training.train", "--data", tmp_path / "photos", "--out", tmp_path / "m.safetensors",
                           "--minutes", "1"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "broken\\n.tif: not a readable picture" in done.stderr, done.stderr


def test_the_reader_of_pictures_can_be_had_from_its_folder(tmp_path):
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(tmp_path / "grey.png")
    program = "import pictures, sys; print(pictures.read(sys.argv[1], side=16)[0].shape)"
    environment = os.environ | {"PYTHONPATH": str(Path(pictures.__file__).parent)}
    found = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, env=environment, check=False
    )
    assert found.returncode == 0, found.stderr
    assert "16, 16" in found.stdout
