"""Images that show themselves."""

from __future__ import annotations

import os
from math import isqrt, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._fsvae import png

if TYPE_CHECKING:
    _Base = np.ndarray[tuple[Any, ...], np.dtype[np.uint8]]
else:
    _Base = np.ndarray

#: Small pictures are enlarged by whole numbers, up to about so many pixels.
_SHOWN = 512


class Images(_Base):
    """Images, `uint8 [n, h, w, c]`: a NumPy array that a notebook shows as a picture.

    `first` is the index of the first image: with the model and the seed it determines the pixels. What is cut or computed
    from images has none. Pictures of the time steps have an axis more: `[n, T, h, w, c]`.
    """

    first: int | None

    def __new__(cls, pixels: NDArray[np.uint8], first: int | None = None) -> Images:
        images = np.asarray(pixels).view(cls)
        images.first = first
        return images

    def __array_finalize__(self, other: NDArray[Any] | None, /) -> None:
        self.first = None

    def grid(self, columns: int | None = None, scale: int = 1) -> NDArray[np.uint8]:
        """One picture `uint8 [h, w, c]` with all images, row by row; the rest is black.

        By default it is as near to a square as can be; of time steps each image has a row. `scale` enlarges every pixel
        to a square of so many.
        """
        if not self._is_picture():
            raise ValueError(
                f"expected images uint8 [..., h, w, c] of 1 or 3 channels, found {self.dtype} {list(self.shape)}"
            )
        height, width, channels = self.shape[-3:]
        # -1 cannot be told where there are none.
        count = prod(self.shape[:-3])
        tiles = np.asarray(self).reshape(count, height, width, channels)
        if columns is None:
            columns = int(self.shape[-4]) if self.ndim > 4 else isqrt(max(count - 1, 0)) + 1
        if columns < 1 or scale < 1:
            raise ValueError(f"expected 1 or more columns and a scale of 1 or more, found {columns} and {scale}")
        rows = max(-(-count // columns), 1)
        grid = np.zeros((rows * columns, height, width, channels), np.uint8)
        grid[:count] = tiles
        picture = grid.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
        picture = picture.reshape(rows * height, columns * width, channels)
        return picture.repeat(scale, axis=0).repeat(scale, axis=1)

    def to_png(self, columns: int | None = None, scale: int = 1) -> bytes:
        """The bytes of a PNG file with the `grid`."""
        grid = self.grid(columns, scale)
        height, width, channels = grid.shape
        return png(np.ascontiguousarray(grid).reshape(-1), width, height, channels)

    def save(self, path: str | os.PathLike[str], columns: int | None = None, scale: int = 1) -> None:
        """Writes the `grid` as a PNG file."""
        file = Path(path)
        if file.suffix.lower() != ".png":
            raise ValueError(f"path: expected a name that ends in .png, found {os.fspath(path)!r}")
        if self.size == 0:
            raise ValueError(f"{file}: expected one image or more to save, found none")
        file.write_bytes(self.to_png(columns, scale))

    def _is_picture(self) -> bool:
        return self.dtype == np.uint8 and self.ndim >= 3 and self.shape[-1] in (1, 3) and self.shape[-2] > 0

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows."""
        if not self._is_picture() or self.size == 0:
            return None
        height, width, _ = self.grid().shape
        return self.to_png(scale=max(1, min(8, _SHOWN // max(height, width))))
