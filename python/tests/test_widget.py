"""The widget's part in Python. What browsers make of it: web/test/widget.test.mjs."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

import fsvae

pytest.importorskip("anywidget", reason="anywidget is not installed")
widget = pytest.importorskip("fsvae.widget")

FILES = {"fsvae.js": b"script", "bindings.js": b"bindings", "bindings_bg.wasm": b"\0asm"}


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with the module for browsers, whether it was built or not."""
    folder = tmp_path / "module"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    monkeypatch.setattr(widget, "_MODULE", folder)
    return folder


def answer(shown: Any) -> list[bytes]:
    """What the browser gets when it asks."""
    sent: list[tuple[Any, Any]] = []
    shown.send = lambda content, buffers=None: sent.append((content, buffers))
    shown._handle_custom_msg({"kind": "something else"}, [])
    assert sent == []
    shown._handle_custom_msg({"kind": "parts"}, [])
    ((content, buffers),) = sent
    assert content == {"kind": "parts"}
    return list(buffers)


def test_the_browser_gets_the_module_and_the_checkpoint(tmp_path: Path) -> None:
    *parts, checkpoint = answer(fsvae.Widget(model="faces", seed=3))
    assert parts == list(FILES.values())
    assert hashlib.sha256(checkpoint).hexdigest() == fsvae.Network.open("faces").info["sha256"]
    # A file, and a network that was opened from it.
    file = tmp_path / "mine.safetensors"
    file.write_bytes(checkpoint)
    assert answer(fsvae.Widget(file))[-1] == checkpoint
    network = fsvae.Network.open(file)
    assert answer(fsvae.Widget(network))[-1] == checkpoint
    file.write_bytes(answer(fsvae.Widget("mnist"))[-1])
    with pytest.raises(ValueError, match=r"mine.safetensors: expected the file that the network was opened from"):
        fsvae.Widget(network)
    file.unlink()
    with pytest.raises(ValueError, match="expected a network from the package or from a file"):
        fsvae.Widget(network)


def test_numbers_of_64_bits_reach_the_browser_whole() -> None:
    shown = fsvae.Widget(seed=2**64 - 1, first=2**53 + 1, backend="cpu")
    state = shown.get_state()
    assert (state["seed"], state["first"], state["count"]) == ("18446744073709551615", "9007199254740993", 16)
    assert (state["model"], state["backend"], state["step"]) == ("faces", "cpu", None)
    # Of a notebook that is saved: small.
    assert all(len(str(value)) < 20_000 for value in state.values())
    shown.set_state({"seed": "18446744073709551614", "chosen": "9007199254740995", "step": 3, "status": "Made"})
    assert (shown.seed, shown.chosen, shown.step, shown.status) == (2**64 - 2, 2**53 + 3, 3, "Made")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"backend": "cuda"}, "backend: expected auto, gpu or cpu, found 'cuda'"),
        ({"seed": 2**64}, "seed"),
        ({"seed": -1}, "seed"),
        ({"count": 0}, "count"),
        ({"step": 17}, "step: expected 1 to 16, found 17"),
        ({"seed": 0.5}, "'float' object cannot be interpreted as an integer"),
        ({"model": "no-such"}, "no-such"),
    ],
)
def test_what_cannot_be_shown_is_refused(options: dict[str, Any], expected: str) -> None:
    import traitlets

    with pytest.raises((ValueError, TypeError, OSError, traitlets.TraitError), match=expected):
        fsvae.Widget(**options)


def test_a_package_without_the_module_says_how_to_build_it(module: Path) -> None:
    (module / "bindings.js").unlink()
    with pytest.raises(FileNotFoundError, match=r"without the module for browsers.*`bash web/build.sh`"):
        fsvae.Widget()


def test_only_what_is_there_has_a_name() -> None:
    assert fsvae.Widget is widget.Widget
    with pytest.raises(AttributeError, match="'Widgets'"):
        _ = fsvae.Widgets
