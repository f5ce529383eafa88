"""What a notebook shows."""

from __future__ import annotations

import sys
import types
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fsvae


def pixels(png: bytes | None) -> np.ndarray:
    image = pytest.importorskip("PIL.Image")
    assert png is not None
    return np.asarray(image.open(BytesIO(png)))


def test_images_show_themselves(cpu: fsvae.Generator) -> None:
    images = cpu.generate(7, count=5)
    shown = pixels(images._repr_png_())
    # 3 x 2 images of 32 pixels, enlarged five times.
    assert shown.shape == (320, 480)
    np.testing.assert_array_equal(shown[::5, ::5][:32, 64:96], images[2, :, :, 0])
    assert (shown[160:, 320:] == 0).all()
    assert pixels(images[0]._repr_png_()).shape == (256, 256)
    assert pixels(cpu.frames(cpu.sample_latents(count=2))._repr_png_()).shape == (64, 512)


def test_colours_are_colours() -> None:
    images = fsvae.Generator(fsvae.Network.open("faces"), backend="cpu").generate(count=4)
    np.testing.assert_array_equal(pixels(images.to_png())[:16, 16:], images[1])


def test_what_is_no_picture_is_not_shown(cpu: fsvae.Generator) -> None:
    images = cpu.generate(count=2)
    for other in (images.astype(np.float32), images[0, 0], images[:0], images.mean(axis=0)):
        assert fsvae.Images._repr_png_(other) is None
    with pytest.raises(ValueError, match=r"expected images uint8 \[..., h, w, c\]"):
        images.astype(np.float32).grid()
    with pytest.raises(ValueError, match="1 or more columns"):
        images.grid(columns=0)


def test_a_grid_is_saved(cpu: fsvae.Generator, tmp_path: Path) -> None:
    images = cpu.generate(count=4)
    images.save(tmp_path / "grid.png", columns=4)
    np.testing.assert_array_equal(pixels((tmp_path / "grid.png").read_bytes()), images.grid(4)[..., 0])
    with pytest.raises(ValueError, match=r"ends in .png"):
        images.save(tmp_path / "grid.jpg")


def test_indices_are_of_whole_batches(cpu: fsvae.Generator) -> None:
    images = cpu.generate(3, 8, 2)
    assert images.first == 8
    # The second image is not the eighth.
    assert images[1:].first is None and (images // 2).first is None


def test_a_wall_is_live(cpu: fsvae.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []

    def display(images: Any, display_id: bool) -> Any:
        assert display_id
        shown.append(images)
        return types.SimpleNamespace(update=shown.append)

    module = types.ModuleType("IPython.display")
    module.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    cpu.stream(3, batch=4, count=10).wall()
    assert [len(images) for images in shown] == [4, 4, 2]
    np.testing.assert_array_equal(shown[-1], cpu.generate(3, 8, 2))


def test_a_stream_has_a_bar(cpu: fsvae.Generator, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    assert sum(len(images) for images in cpu.stream(count=10, batch=4, progress=True)) == 10
    assert "10/10" in capsys.readouterr().err
