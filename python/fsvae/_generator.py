"""What makes images."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _arrays, _fsvae
from ._devices import chosen
from ._images import Images
from ._network import Network
from ._stream import Stream


class Operations(NamedTuple):
    """The work of one layer for one image."""

    #: Additions that its input spikes cause: the mean over the images.
    additions: float
    #: Multiply-adds if it computed zeros, too.
    dense: int


class Generator:
    """Makes images. An image is a function of the network, the seed and its index, and of nothing else: not of the
    backend, the batch, or what was made before.

    - `backend`: `"auto"` is the fastest GPU, or the CPU where there is none (`fallback` says why); `"gpu"`, `"cpu"`.
    - `adapter`: a GPU by its number in `fsvae.devices()` or a part of its name.
    - `batch`: images that are made at once. It decides speed and memory, never pixels.

    Images are `uint8 [n, h, w, c]`, latents `uint8 [n, T, C]`, each 0 or 1. Whatever has `__array_interface__`, DLPack or
    the buffer protocol is taken. Calls release the GIL and run side by side; Ctrl-C ends them. Errors are `TypeError` and
    `ValueError` for what was given, `RuntimeError` for what a device does.
    """

    def __init__(
        self,
        network: Network,
        backend: Literal["auto", "gpu", "cpu"] = "auto",
        adapter: str | int | None = None,
        batch: int | None = None,
    ) -> None:
        if not isinstance(network, Network):
            raise TypeError(f"network: expected a fsvae.Network, found {type(network).__qualname__}")
        if backend not in ("auto", "gpu", "cpu"):
            raise ValueError(f'backend: expected "auto", "gpu" or "cpu", found {backend!r}')
        adapter = chosen(adapter, backend)
        if batch is not None:
            batch = _arrays.integer(batch, "batch", least=1)
        self._native = _fsvae.Generator(network._native, backend, adapter, batch)
        self._network = network
        info = network.info
        self._side: int = info["image_side"]
        self._channels: int = info["image_channels"]
        self._steps: int = info["time_steps"]
        self._latent_channels: int = info["latent_channels"]

    @property
    def network(self) -> Network:
        """Its network."""
        return self._network

    @property
    def backend(self) -> str:
        """Where it computes: `CPU`, or the GPU's name."""
        return self._native.backend

    @property
    def fallback(self) -> str | None:
        """Why `"auto"` took the CPU, if it did."""
        return self._native.fallback

    @property
    def batch(self) -> int:
        """Images that are made at once, at most."""
        return self._native.batch

    def __repr__(self) -> str:
        return f"<fsvae.Generator of {self._network.info['origin']} on {self.backend}>"

    def generate(self, seed: int = 0, first: int = 0, count: int = 1, *, rates: Any = None) -> Images:
        """The images with the indices `first` to `first + count - 1`.

        With `rates`, `uint16 [n, C]` of 65,536, the latents are drawn from these instead of the prior: index i has the
        rates of row i mod n, whatever the range.
        """
        seed, first, count = _range(seed, first, count)
        return self._images(self._native.generate(seed, first, count, self._rates(rates)), first)

    def sample_latents(self, seed: int = 0, first: int = 0, count: int = 1, *, rates: Any = None) -> NDArray[np.uint8]:
        """The latents that `generate` draws."""
        seed, first, count = _range(seed, first, count)
        return self._latents(self._native.sample_latents(seed, first, count, self._rates(rates)))

    def encode(self, images: Any, seed: int = 0, first: int = 0) -> NDArray[np.uint8]:
        """Latents of images, drawn from the posterior. The n-th image has index `first + n`."""
        return self._latents(self._native.encode(self._pixels(images), *_draw(seed, first)))

    def encode_rates(self, images: Any, seed: int = 0, first: int = 0) -> NDArray[np.uint16]:
        """How often each latent channel spikes for images, `uint16 [n, C]` of 65,536: of an ESVAE as its encoder says it,
        of an FSVAE in the latents that `encode` draws.

        `generate(rates=...)` draws from them, `fsvae.direction` makes a direction of two such arrays.
        """
        rates = self._native.encode_rates(self._pixels(images), *_draw(seed, first))
        return rates.reshape(-1, self._latent_channels)

    def decode(self, latents: Any) -> Images:
        """The images of latents."""
        return self._images(self._native.decode(self._spikes(latents)))

    def reconstruct(self, images: Any, seed: int = 0, first: int = 0) -> Images:
        """`decode` of `encode`, without the way through the host."""
        seed, first = _draw(seed, first)
        return self._images(self._native.reconstruct(self._pixels(images), seed, first), first)

    def frames(self, latents: Any) -> Images:
        """How images form: the picture after each time step, `uint8 [n, T, h, w, c]`. The last is the image."""
        steps = self._native.frames(self._spikes(latents))
        shape = self._steps, -1 if steps.size else 0, self._side, self._side, self._channels
        return Images(np.ascontiguousarray(steps.reshape(shape).swapaxes(0, 1)))

    def spikes(
        self,
        source: Any,
        seed: int = 0,
        first: int = 0,
        *,
        layers: str | list[str] | None = None,
        words: bool = False,
    ) -> dict[str, NDArray[Any]]:
        """The spike trains of every layer that runs, or of some: `uint8 [n, T, h, w, c]` by the layer's name.

        `source` is latents, which are decoded, or images, which are encoded and decoded; `seed` and `first` are those of
        `encode`. Linear layers have a map of 1 x 1. With `words` the time steps are the bits of one number, which is a
        quarter of the memory at T = 16: `uint32 [n, h, w, c]`, bit t for time step t.
        """
        values = _arrays.array(source, "source")
        chosen = None if layers is None else _arrays.names(layers, "layers")
        if values.ndim == 3:
            found = self._native.spikes_of_latents(self._spikes(values), chosen, words)
        elif values.ndim == 4:
            draw = _draw(seed, first)
            found = self._native.spikes_of_images(self._pixels(values), *draw, chosen, words)
        else:
            raise ValueError(
                f"source: expected latents uint8 [n, {self._steps}, {self._latent_channels}] or images uint8 "
                f"[n, {self._side}, {self._side}, {self._channels}], found {values.dtype} {list(values.shape)}"
            )
        n = values.shape[0]
        steps = () if words else (self._steps,)
        return {name: flat.reshape(n, *steps, side, side, c) for name, side, c, flat in found}

    def operations(self, seed: int = 0, first: int = 0, count: int = 1) -> dict[str, Operations]:
        """How much work the images of `generate` are, by layer in the order of the data flow; counted on the CPU."""
        rows = self._native.operations(*_range(seed, first, count))
        return {name: Operations(additions, dense) for name, additions, dense in rows}

    def stream(
        self,
        seed: int = 0,
        first: int = 0,
        batch: int | None = None,
        *,
        count: int | None = None,
        rates: Any = None,
        progress: bool = False,
    ) -> Stream:
        """Images as they come, in order: an iterator and an asynchronous iterator of `Images`.

        It goes on without end, or for `count` images, which is no third argument: that is the `batch`. A few batches are
        made ahead; a slow consumer stops the device.
        `rates` are those of `generate`. `progress` shows a bar, where tqdm is installed.
        """
        if count is None:
            seed, first = _draw(seed, first)
        else:
            seed, first, count = _range(seed, first, count)
        if batch is not None:
            batch = _arrays.integer(batch, "batch", least=1)
        shape = self._side, self._side, self._channels
        native = self._native.stream(seed, first, count, batch, self._rates(rates))
        return Stream(native, shape, count, progress)

    def _pixels(self, images: Any) -> _arrays.Bytes:
        return _arrays.pixels(images, self._side, self._channels)

    def _spikes(self, latents: Any) -> _arrays.Bytes:
        return _arrays.latents(latents, self._steps, self._latent_channels)

    def _rates(self, rates: Any) -> NDArray[np.uint16] | None:
        return None if rates is None else _arrays.rates(rates, "rates", self._latent_channels)

    def _images(self, flat: _arrays.Bytes, first: int | None = None) -> Images:
        size = self._side * self._side * self._channels
        return Images(flat.reshape(flat.size // size, self._side, self._side, self._channels), first)

    def _latents(self, flat: _arrays.Bytes) -> NDArray[np.uint8]:
        size = self._steps * self._latent_channels
        return flat.reshape(flat.size // size, self._steps, self._latent_channels)


def _draw(seed: Any, first: Any) -> tuple[int, int]:
    return _arrays.integer(seed, "seed"), _arrays.integer(first, "first")


def _range(seed: Any, first: Any, count: Any) -> tuple[int, int, int]:
    return *_draw(seed, first), _arrays.integer(count, "count")
