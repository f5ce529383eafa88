"""How fast is a machine?"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Literal

from . import _arrays, _fsvae
from ._devices import chosen
from ._network import Network


def bench(
    network: Network | str | None = None,
    backend: Literal["all", "gpu", "cpu"] = "all",
    adapter: str | int | None = None,
    *,
    plan: Literal["quick", "short", "thorough"] = "short",
    batches: Sequence[int] | None = None,
    seed: int = 0,
    progress: Callable[[str, str], object] | None = None,
) -> dict[str, Any]:
    """Measures the CPU and the GPUs: what `fsvae bench --json` writes, as a dict, which `benches/README.md` describes.

    First the images of each are compared with those that are known to be right; what has one wrong bit has the status
    `"wrong"` in `results` and no numbers. `plan` is how much is measured: `"quick"` shows in seconds that all works,
    `"short"` takes some 20 seconds a backend, `"thorough"` minutes. `progress` is called with the name of the backend and
    what begins there. Energy is not measured here.
    """
    if network is None:
        network = _fsvae.models()[0]
    if isinstance(network, str):
        network = Network.open(network)
    if not isinstance(network, Network):
        raise TypeError(f"network: expected a fsvae.Network or a name, found {type(network).__qualname__}")
    if backend not in ("all", "gpu", "cpu"):
        raise ValueError(f'backend: expected "all", "gpu" or "cpu", found {backend!r}')
    adapter = chosen(adapter, backend)
    if batches is not None:
        batches = [_arrays.integer(batch, "batches", least=1, most=2**32 - 1) for batch in batches]
    if progress is not None and not callable(progress):
        raise TypeError(f"progress: expected a function, found {type(progress).__qualname__}")
    seed = _arrays.integer(seed, "seed")
    text = _fsvae.bench(network._native, backend, adapter, plan, batches, seed, progress)
    report: dict[str, Any] = json.loads(text)
    return report
