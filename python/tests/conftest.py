"""Models, pictures and the oracle's rows."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fsvae

ROOT = Path(__file__).resolve().parents[2]
#: How many adapters must be there: CI says so.
REQUIRED = int(os.environ.get("FSVAE_REQUIRE_ADAPTERS", "0"))

#: The random models, which `FSVAE_WRITE_MODELS=DIRECTORY cargo test --test conformance -- --ignored` writes.
RANDOM = os.environ.get("FSVAE_MODELS")


def digest(array: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def open_network(name: str) -> fsvae.Network:
    if name.isdigit():
        return fsvae.Network.open(Path(RANDOM or "", f"{name}.safetensors"))
    # Not every model is in the package.
    bundled = name in fsvae.models()
    return fsvae.Network.open(name if bundled else ROOT / f"assets/{name}/{name}.safetensors")


def picture(name: str, side: int, channels: int) -> np.ndarray:
    """The inputs of `tests/oracle/rows.py`, own samples apart: `[1, h, w, c]`."""
    y, x, c = np.mgrid[:side, :side, :channels]
    if name.startswith("uniform"):
        pixels = np.full((side, side, channels), int(name.removeprefix("uniform")))
    elif name == "ramp":
        pixels = (7 * x + 13 * y + 29 * c) % 256
    elif name == "noise":
        mixed = (374761393 * x + 668265263 * y + 2246822519 * c + 12345) % 2**32
        pixels = (mixed * 2654435761 % 2**32) >> 24
    else:
        assert name == "disc", name
        pixels = np.where((2 * x - side) ** 2 + (2 * y - side) ** 2 < side**2 // 2, 255, 0)
    return pixels.astype(np.uint8)[None]


def networks(rows: list[list[str]]) -> list[str]:
    """The networks of the oracle's rows; the random ones where they are."""
    return [name for name in dict.fromkeys(row[0] for row in rows) if RANDOM or not name.isdigit()]


@pytest.fixture(scope="session")
def present() -> list[int]:
    """The numbers of the adapters, but OpenGL's, which are others again and slow."""
    devices = fsvae.devices()
    assert len(devices) >= REQUIRED, "FSVAE_REQUIRE_ADAPTERS"
    numbers = [device["number"] for device in devices if device["backend"] != "gl"]
    if not numbers:
        pytest.skip("no adapter here")
    return numbers


@pytest.fixture(scope="session")
def mnist() -> fsvae.Network:
    return fsvae.Network.open("mnist")


@pytest.fixture(scope="session")
def cpu(mnist: fsvae.Network) -> fsvae.Generator:
    return fsvae.Generator(mnist, backend="cpu")
