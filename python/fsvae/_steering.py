"""Between latents, between rates, and along directions."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _arrays, _fsvae


def interpolate(a: Any, b: Any, steps: int = 9, seed: int = 0) -> NDArray[Any]:
    """Latents on the way from `a` to `b`, both `uint8 [n, T, C]`: `[steps, n, T, C]`, the first `a`, the last `b`. Rates
    `uint16 [n, C]` are taken, too: `[steps, n, C]`.

    A spike that was taken from `b` stays: the draws that decide depend on `seed` alone.
    """
    start = _arrays.array(a, "a")
    steps, seed = _arrays.integer(steps, "steps", least=1, most=2**32 - 1), _arrays.integer(seed, "seed")
    if start.ndim == 2:
        n, channels = start.shape
        ends = _arrays.rates(start, "a", channels), _arrays.rates(b, "b", channels)
        return _fsvae.interpolate_rates(*ends, channels, steps).reshape(steps, n, channels)
    if start.ndim != 3:
        raise ValueError(
            f"a: expected latents uint8 [n, T, C] or rates uint16 [n, C], found {start.dtype} {list(start.shape)}"
        )
    n, time_steps, channels = start.shape
    trains = _arrays.latents(start, time_steps, channels, "a"), _arrays.latents(b, time_steps, channels, "b")
    way = _fsvae.interpolate(*trains, time_steps, channels, steps, seed)
    return way.reshape(steps, n, time_steps, channels)


def rates_of(latents: Any) -> NDArray[np.uint16]:
    """How often each channel of latents `uint8 [n, T, C]` spikes: `uint16 [n, C]`, of 65,536."""
    spikes, time_steps, channels = _trains(latents)
    return _fsvae.rates_of(spikes, time_steps, channels).reshape(-1, channels)


def mean_rates(rates: Any) -> NDArray[np.uint16]:
    """The mean of rates `uint16 [n, C]`, as the rates of one image: `[1, C]`."""
    numbers, channels = _rates(rates, "rates")
    return _fsvae.mean_rates(numbers, channels).reshape(1, channels)


def direction(having: Any, lacking: Any) -> NDArray[np.int32]:
    """From images without something to images with it: by how much the rate of each channel differs on average,
    `int32 [C]`, of 65,536. Both are rates `uint16 [n, C]`, as `Generator.encode_rates` has them.
    """
    with_, channels = _rates(having, "having")
    without = _arrays.rates(lacking, "lacking", channels)
    return _fsvae.direction(with_, without, channels)


def along(latents: Any, direction: Any, amount: float = 1.0, seed: int = 0, first: int = 0) -> NDArray[np.uint8]:
    """The same latents with their rates moved by `amount` times a direction `int32 [C]`; a negative amount goes the other
    way. The amount is rounded to a 256th.

    Which spikes come or go depends on `seed` and the index alone, `first + n` for the n-th: what a step along the way has
    changed, the next does not take back.
    """
    spikes, time_steps, channels = _trains(latents)
    if not isinstance(amount, Real):
        raise TypeError(f"amount: expected a number, found {type(amount).__qualname__}")
    seed, first = _arrays.integer(seed, "seed"), _arrays.integer(first, "first")
    moves = _arrays.direction(direction, channels)
    moved = _fsvae.along(spikes, time_steps, channels, moves, float(amount), seed, first)
    return moved.reshape(-1, time_steps, channels)


def _trains(latents: Any) -> tuple[_arrays.Bytes, int, int]:
    spikes = _arrays.array(latents, "latents")
    if spikes.ndim != 3:
        raise ValueError(f"latents: expected uint8 [n, T, C], found {spikes.dtype} {list(spikes.shape)}")
    _, time_steps, channels = spikes.shape
    return _arrays.latents(spikes, time_steps, channels), time_steps, channels


def _rates(value: Any, name: str) -> tuple[NDArray[np.uint16], int]:
    found = _arrays.array(value, name)
    numbers = _arrays.rates(found, name)
    return numbers, found.shape[1]
