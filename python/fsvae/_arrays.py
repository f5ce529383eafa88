"""Other people's arrays as NumPy's, and what is wrong with them."""

from __future__ import annotations

from operator import index
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

_T = TypeVar("_T", bound=np.generic)

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


def names(value: Any, name: str) -> list[str]:
    """Names, or one."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, (list, tuple)) or not all(isinstance(each, str) for each in found):
        raise TypeError(f"{name}: expected a name or a list of names, found {_kind(value)}")
    return list(found)


def pixels(value: Any, side: int, channels: int) -> Bytes:
    """Images `uint8 [n, h, w, c]` of a network."""
    return _checked(array(value, "images"), "images", np.uint8, ("n", side, side, channels))


def latents(value: Any, steps: int, channels: int, name: str = "latents") -> Bytes:
    """Latents `uint8 [n, T, C]` of a network, each 0 or 1; bool will do."""
    spikes = array(value, name)
    if spikes.dtype == np.bool_:
        spikes = spikes.astype(np.uint8)
    return _checked(spikes, name, np.uint8, ("n", steps, channels))


def rates(value: Any, name: str, channels: int | None = None) -> NDArray[np.uint16]:
    """Rates `uint16 [n, C]`, of 65,536."""
    return _checked(array(value, name), name, np.uint16, ("n", "C" if channels is None else channels))


def direction(value: Any, channels: int) -> NDArray[np.int32]:
    """A direction `int32 [C]`."""
    return _checked(array(value, "direction"), "direction", np.int32, (channels,))


def _checked(values: NDArray[Any], name: str, kind: type[_T], shape: tuple[int | str, ...]) -> NDArray[_T]:
    """`values`, flat, if they are of this type and shape; what a name stands for may be any number."""
    found = f"found {values.dtype} {list(values.shape)}"
    expected = f"expected {np.dtype(kind)} [{', '.join(map(str, shape))}]"
    if values.dtype != kind:
        raise TypeError(f"{name}: {expected}, {found}")
    sizes = zip(shape, values.shape, strict=False)
    if values.ndim != len(shape) or any(size != there for size, there in sizes if not isinstance(size, str)):
        raise ValueError(f"{name}: {expected}, {found}")
    return _flat(values)


def _flat(values: NDArray[_T]) -> NDArray[_T]:
    # Of the base class, whatever it was: what is native knows no subclasses.
    return np.ascontiguousarray(values).reshape(-1)


def _kind(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _has_buffer(value: Any) -> bool:
    try:
        memoryview(value)
    except TypeError:
        return False
    return True
