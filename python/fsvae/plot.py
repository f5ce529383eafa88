"""Pictures of what goes on inside: `pip install 'fsvae[plot]'`.

Every function takes what `Generator.spikes`, `Generator.frames` and their like give, draws into `axes` or a new figure,
and returns the axes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._generator import Generator
from ._images import Images
from ._steering import interpolate

try:
    from matplotlib import pyplot
    from matplotlib.axes import Axes
except ImportError:
    # Named, the exception would be a name of this module's.
    raise ImportError("fsvae.plot needs matplotlib: pip install 'fsvae[plot]'")  # noqa: B904


def raster(spikes: NDArray[np.uint8], image: int = 0, axes: Axes | None = None, title: str = "") -> Axes:
    """A dot for each spike of a layer, `[n, T, h, w, c]` or latents `[n, T, C]`: time steps to the right, a row for each
    neuron."""
    axes = axes or _new(6, 4)
    train = _trains(spikes)[image]
    steps, neurons = np.nonzero(train)
    axes.scatter(steps, neurons, s=4, marker="|", color="black", linewidths=1)
    axes.set(xlim=(-0.5, len(train) - 0.5), ylim=(train.shape[1] - 0.5, -0.5))
    axes.set(xlabel="time step", ylabel="neuron", title=title)
    return axes


def rates(spikes: Mapping[str, NDArray[np.uint8]], axes: Axes | None = None) -> Axes:
    """How many of all neurons of each layer spike at a time step: the mean over images, neurons and time steps."""
    axes = axes or _new(6, 0.3 * len(spikes) + 1)
    names = list(spikes)
    axes.barh(names, [float(layer.mean()) if layer.size else 0.0 for layer in spikes.values()], color="tab:blue")
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="spikes a neuron and time step")
    return axes


def maps(spikes: NDArray[np.uint8], image: int = 0, channels: int = 16, axes: Axes | None = None) -> Axes:
    """The first channels of a layer, `[n, T, h, w, c]`, as maps of how often each neuron spikes: black never, white at
    every time step."""
    if spikes.ndim != 5:
        raise ValueError(f"expected spikes [n, T, h, w, c], found {list(spikes.shape)}")
    mean = spikes[image].mean(axis=0)
    tiles = np.rint(255 * np.moveaxis(mean, -1, 0)[:channels, :, :, None]).astype(np.uint8)
    # A line between them.
    tiles = np.pad(tiles, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=64)
    return _show(Images(tiles).grid(), axes)


def forming(frames: NDArray[np.uint8], axes: Axes | None = None) -> Axes:
    """How images form, `[n, T, h, w, c]` of `Generator.frames`: a row for each image, time steps to the right."""
    if frames.ndim != 5:
        raise ValueError(f"expected frames [n, T, h, w, c], found {list(frames.shape)}")
    return _show(Images(frames).grid(), axes)


def walk(generator: Generator, start: Any, end: Any, steps: int = 9, seed: int = 0, axes: Axes | None = None) -> Axes:
    """The images on the way from some latents to others, both `[n, T, C]`: a row for each pair."""
    way = interpolate(start, end, steps, seed)
    n = way.shape[1]
    images = generator.decode(way.reshape(-1, *way.shape[2:]))
    pairs = images.reshape(steps, n, *images.shape[1:]).swapaxes(0, 1)
    return _show(Images(pairs).grid(), axes)


def _trains(spikes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`[n, T, neurons]`"""
    if spikes.ndim not in (3, 5):
        raise ValueError(f"expected spikes [n, T, h, w, c] or [n, T, C], found {list(spikes.shape)}")
    return spikes.reshape(*spikes.shape[:2], -1)


def _show(picture: NDArray[np.uint8], axes: Axes | None) -> Axes:
    height, width, channels = picture.shape
    axes = axes or _new(9, max(9 * height / width, 0.5))
    shown = picture[:, :, 0] if channels == 1 else picture
    axes.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_axis_off()
    return axes


def _new(width: float, height: float) -> Axes:
    return pyplot.figure(figsize=(width, height)).add_subplot()
