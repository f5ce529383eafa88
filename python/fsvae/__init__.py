"""Spiking image generation, bit for bit the same on every GPU and CPU.

>>> import fsvae
>>> generator = fsvae.Generator(fsvae.Network.open("mnist"), backend="cpu")
>>> generator.generate(seed=7, count=4).shape
(4, 32, 32, 1)
"""

from typing import TYPE_CHECKING, Any

from ._bench import bench
from ._devices import devices, verify
from ._fsvae import __version__, models
from ._generator import Generator, Operations
from ._images import Images
from ._network import Network
from ._steering import along, direction, interpolate, mean_rates, rates_of
from ._stream import Stream

if TYPE_CHECKING:
    from .widget import Widget as Widget

__all__ = [
    "Generator",
    "Images",
    "Network",
    "Operations",
    "Stream",
    "__version__",
    "along",
    "bench",
    "devices",
    "direction",
    "interpolate",
    "mean_rates",
    "models",
    "rates_of",
    "verify",
]


def __getattr__(name: str) -> Any:
    # Not imported before it is asked for: it needs anywidget.
    if name == "Widget":
        from .widget import Widget

        return Widget
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
