"""Networks, and where they come from."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import _arrays, _fsvae

#: safetensors' names of the element types.
_TYPES = {
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
    "uint8": "U8",
    "bool": "BOOL",
    "int32": "I32",
    "int64": "I64",
}


class Network:
    """A network that is ready to run: its weights are checked, folded and rounded to integers.

    Made by `Network.open` and `Network.from_state_dict`. Any number of generators and threads may use it.
    """

    __slots__ = ("_native",)

    _native: _fsvae.Network

    def __init__(self) -> None:
        raise TypeError("networks are made by Network.open() and Network.from_state_dict()")

    @classmethod
    def _of(cls, native: _fsvae.Network) -> Network:
        network = cls.__new__(cls)
        network._native = native
        return network

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Network:
        """Opens a checkpoint, safetensors or PyTorch's `.pth`, or a model of the package by its name (`fsvae.models()`).

        A file wins over a model of the same name if it is a `Path`, or is written with a folder: `./mnist`.

        Raises `OSError` if the file cannot be read, `ValueError` if it holds no such network.
        """
        if isinstance(path, str) and path in _fsvae.models():
            return cls._of(_fsvae.Network.bundled(path))
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"path: expected a path or the name of a model, found {type(path).__qualname__}")
        file = Path(path)
        try:
            return cls._of(_fsvae.Network.open(file))
        except FileNotFoundError as error:
            names = ", ".join(_fsvae.models())
            raise FileNotFoundError(f"{error}; the models of the package are {names}") from None

    @classmethod
    def from_state_dict(cls, state_dict: Mapping[str, Any]) -> Network:
        """Takes the tensors of a network as they are in memory: a `state_dict` of PyTorch, or NumPy arrays by name.

        The images are those of the file that `torch.save` or safetensors would write. Raises `TypeError` for what are no
        tensors, `ValueError` if they are not those of such a network.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"state_dict: expected a mapping, found {type(state_dict).__qualname__}")
        return cls._of(_fsvae.Network.from_tensors([_tensor(*item) for item in state_dict.items()]))

    @property
    def info(self) -> dict[str, Any]:
        """Where it comes from, its family, its sizes, and its spiking layers in the order of the data flow."""
        return self._native.info

    def __repr__(self) -> str:
        info = self.info
        side, channels = info["image_side"], info["image_channels"]
        return (
            f"<fsvae.Network {info['origin']}: {info['family']}, images [{side}, {side}, {channels}], "
            f"T = {info['time_steps']}, C = {info['latent_channels']}, {info['parameters']:,} parameters>"
        )


def _tensor(name: Any, value: Any) -> tuple[str, str, tuple[int, ...], bytes]:
    where = f"state_dict[{name!r}]"
    if not isinstance(name, str):
        raise TypeError(f"{where}: expected a name of type str, found {type(name).__qualname__}")
    if isinstance(value, (Mapping, str, bytes)) or not hasattr(value, "shape"):
        raise TypeError(f"{where}: expected an array or a tensor, found {type(value).__qualname__}")
    brain_float = str(getattr(value, "dtype", "")).endswith("bfloat16")
    if brain_float and hasattr(value, "detach"):
        # NumPy has no such type: PyTorch hands out the bits.
        torch = sys.modules["torch"]
        value = value.detach().contiguous().view(torch.int16)
    values = _arrays.array(value, where)
    kind = "bfloat16" if brain_float else values.dtype.name
    if kind not in _TYPES:
        raise TypeError(f"{where}: expected elements of {', '.join(_TYPES)}, found {kind}")
    if values.dtype.byteorder == ">" or (values.dtype.byteorder == "=" and sys.byteorder == "big"):
        values = values.astype(values.dtype.newbyteorder("<"))
    return name, _TYPES[kind], tuple(values.shape), np.ascontiguousarray(values).tobytes()
