"""Images that form in the notebook's browser: `pip install 'fsvae[widget]'`."""

from __future__ import annotations

import hashlib
import operator
import os
from pathlib import Path
from typing import Any

from .. import _fsvae
from .._network import Network

try:
    import anywidget
    import traitlets
except ImportError:
    # Named, the exception would be a name of this module's.
    raise ImportError("fsvae.Widget needs anywidget: pip install 'fsvae[widget]'")  # noqa: B904

_HERE = Path(__file__).parent
#: What web/build.sh puts there, in the order in which widget.js takes it.
_MODULE = _HERE / "module"
_FILES = ("fsvae.js", "bindings.js", "bindings_bg.wasm")


def _number(value: int | None, _: object) -> str | None:
    return None if value is None else str(value)


def _from_number(value: str | None, _: object) -> int | None:
    return None if value is None else int(value)


#: JavaScript's numbers end at 53 bits: seeds and indices travel as text.
_AS_TEXT = {"sync": True, "to_json": _number, "from_json": _from_number}
_LARGEST = 2**64 - 1


class Widget(anywidget.AnyWidget):
    """Images of a model that the notebook's browser makes, on WebGPU or in WebAssembly, and shows as they form.

    They are those of `Generator.generate` with the same model, seed and indices. The checkpoint goes to the browser once;
    then `seed`, `first`, `count`, `columns` and `step` may be set, and seen as people move the controls. `chosen` is the
    index of the image that was clicked, `status` what the browser says.
    """

    _esm = _HERE / "widget.js"
    _css = _HERE / "widget.css"

    #: What it was made from, for people.
    model = traitlets.Unicode(read_only=True).tag(sync=True)
    backend = traitlets.Unicode(read_only=True).tag(sync=True)
    seed = traitlets.Int(0, min=0, max=_LARGEST).tag(**_AS_TEXT)
    first = traitlets.Int(0, min=0, max=_LARGEST).tag(**_AS_TEXT)
    count = traitlets.Int(16, min=1, max=1024).tag(sync=True)
    #: Of the picture; without a number it is as near to a square as can be.
    columns = traitlets.Int(None, allow_none=True, min=1).tag(sync=True)
    #: The time step that is shown, from 1; without one the images form, and stay.
    step = traitlets.Int(None, allow_none=True, min=1).tag(sync=True)
    chosen = traitlets.Int(None, allow_none=True).tag(**_AS_TEXT)
    status = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        model: str | os.PathLike[str] | Network = "faces",
        seed: int = 0,
        first: int = 0,
        count: int = 16,
        backend: str = "auto",
        columns: int | None = None,
        step: int | None = None,
    ) -> None:
        """`model` is what `Network.open` takes, or a network that it gave; `backend` is `auto`, `gpu` or `cpu`.

        Raises `FileNotFoundError` if the package was built without the module for browsers.
        """
        if backend not in ("auto", "gpu", "cpu"):
            raise ValueError(f"backend: expected auto, gpu or cpu, found {backend!r}")
        module = _module()
        network = model if isinstance(model, Network) else Network.open(model)
        info = network.info
        self._parts = [*module, _checkpoint(info["origin"], info["sha256"])]
        self._time_steps = int(info["time_steps"])
        super().__init__(
            seed=operator.index(seed),
            first=operator.index(first),
            count=operator.index(count),
            columns=columns,
            step=step,
        )
        self.set_trait("model", info["origin"])
        self.set_trait("backend", backend)
        self.on_msg(self._answer)

    @traitlets.validate("step")
    def _a_time_step(self, proposal: dict[str, Any]) -> int | None:
        step: int | None = proposal["value"]
        if step is not None and step > self._time_steps:
            raise traitlets.TraitError(f"step: expected 1 to {self._time_steps}, found {step}")
        return step

    def _answer(self, _: object, content: dict[str, Any], __: object) -> None:
        """Not as traits, which notebooks keep: theirs would be megabytes larger."""
        if content.get("kind") == "parts":
            self.send({"kind": "parts"}, self._parts)


def _module() -> list[bytes]:
    try:
        return [(_MODULE / name).read_bytes() for name in _FILES]
    except FileNotFoundError:
        raise FileNotFoundError(
            "fsvae.Widget: this package was built without the module for browsers; in a clone of the repository run "
            "`bash web/build.sh`, then `pip install ./python` again"
        ) from None


def _checkpoint(origin: str, digest: str) -> bytes:
    """The file that a network came from."""
    if origin in _fsvae.models():
        checkpoint = _fsvae.bundled_checkpoint(origin)
        if hashlib.sha256(checkpoint).hexdigest() == digest:
            return checkpoint
    try:
        checkpoint = Path(origin).read_bytes()
    except OSError:
        raise ValueError(f"model: expected a network from the package or from a file, found one of {origin}") from None
    if hashlib.sha256(checkpoint).hexdigest() != digest:
        raise ValueError(f"{origin}: expected the file that the network was opened from, found another one")
    return checkpoint
