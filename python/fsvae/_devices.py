"""The machine: which GPUs there are, and whether they compute right."""

from __future__ import annotations

from typing import Any, Literal

from . import _arrays, _fsvae


def devices() -> list[dict[str, Any]]:
    """The GPU adapters, the fastest first and software last. `number` and any part of `name` choose one as `adapter`."""
    return _fsvae.devices()


def verify(backend: Literal["gpu", "cpu"] = "gpu", adapter: str | int | None = None, rounds: int = 1) -> dict[str, Any]:
    """Finds out whether a device computes right: every operation, kernel and layer is compared with the CPU; of the CPU
    every instruction set with portable code. A round takes from seconds to a minute.

    The dict holds `right`, `verdict` (a line to paste), what was compared, and `findings`.
    """
    if backend not in ("gpu", "cpu"):
        raise ValueError(f'backend: expected "gpu" or "cpu", found {backend!r}')
    adapter = chosen(adapter, backend)
    return _fsvae.verify(backend == "cpu", adapter, _arrays.integer(rounds, "rounds", least=1, most=2**32 - 1))


def chosen(adapter: str | int | None, backend: str) -> str | None:
    """An adapter's number or a part of its name, as what is native takes it."""
    if backend == "cpu" and adapter is not None:
        raise ValueError('adapter: expected None with backend="cpu"')
    return adapter if adapter is None or isinstance(adapter, str) else str(_arrays.integer(adapter, "adapter"))
