"""Other people's arrays as NumPy's, and what is wrong with them."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

LARGEST = 2**64 - 1


def array(value: Any, name: str) -> NDArray[Any]:
    """`value` as an array, without a copy where there is a way: NumPy's interfaces, DLPack, the buffer protocol."""
    if hasattr(value, "detach") and hasattr(value, "requires_grad"):
        value = value.detach()
    try:
        if isinstance(value, np.ndarray) or hasattr(value, "__array_interface__"):
            return np.asarray(value)
        if hasattr(value, "__dlpack__"):
            return np.from_dlpack(value)
        return np.asarray(memoryview(value) if _has_buffer(value) else value)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        device = getattr(value, "device", None)
        where = f" on {device}" if device is not None else ""
        raise TypeError(
            f"{name}: expected an array in the memory of the CPU, found {_kind(value)}{where}: {error}"
        ) from error


def integer(value: Any, name: str, least: int = 0, most: int = LARGEST) -> int:
    """A whole number in its range."""
    try:
        number = index(value)
    except TypeError:
        raise TypeError(f"{name}: expected a whole number, found {_kind(value)}") from None
    if not least <= number <= most:
        raise ValueError(f"{name}: expected {least} to {most}, found {number}")
    return number


def pixels(value: Any, side: int, channels: int) -> Bytes:
    """Images `uint8 [n, h, w, c]` of a network."""
    images = array(value, "images")
    expected = f"uint8 [n, {side}, {side}, {channels}]"
    if images.dtype != np.uint8:
        raise TypeError(f"images: expected {expected}, found {_form(images)}")
    if images.ndim != 4 or images.shape[1:] != (side, side, channels):
        raise ValueError(f"images: expected {expected}, found {_form(images)}")
    return _flat(images)


def latents(value: Any, steps: int, channels: int) -> Bytes:
    """Latents `uint8 [n, T, C]` of a network, each 0 or 1; bool will do."""
    spikes = array(value, "latents")
    expected = f"uint8 [n, {steps}, {channels}]"
    if spikes.dtype == np.bool_:
        spikes = spikes.astype(np.uint8)
    if spikes.dtype != np.uint8:
        raise TypeError(f"latents: expected {expected}, found {_form(spikes)}")
    if spikes.ndim != 3 or spikes.shape[1:] != (steps, channels):
        raise ValueError(f"latents: expected {expected}, found {_form(spikes)}")
    return _flat(spikes)


def _flat(values: Bytes) -> Bytes:
    # A view of the base class: what is native knows no subclasses.
    return np.ascontiguousarray(values).view(np.ndarray).reshape(-1)


def _form(values: NDArray[Any]) -> str:
    return f"{values.dtype} {list(values.shape)}"


def _kind(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _has_buffer(value: Any) -> bool:
    try:
        memoryview(value)
    except TypeError:
        return False
    return True
