"""Between latents."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _arrays, _fsvae


def interpolate(a: Any, b: Any, steps: int = 9, seed: int = 0) -> NDArray[np.uint8]:
    """Latents on the way from `a` to `b`, both `uint8 [n, T, C]`: `[steps, n, T, C]`, the first `a`, the last `b`.

    A spike that was taken from `b` stays: the draws that decide depend on `seed` alone.
    """
    start = _arrays.array(a, "a")
    if start.ndim != 3:
        raise ValueError(f"a: expected latents uint8 [n, T, C], found {start.dtype} {list(start.shape)}")
    n, time_steps, channels = start.shape
    steps, seed = _arrays.integer(steps, "steps", least=1, most=2**32 - 1), _arrays.integer(seed, "seed")
    ends = [_arrays.latents(end, time_steps, channels) for end in (a, b)]
    way = _fsvae.interpolate(ends[0], ends[1], time_steps, channels, steps, seed)
    return way.reshape(steps, n, time_steps, channels)
