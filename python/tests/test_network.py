"""Networks from files, names and memory."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

import fsvae

torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")

MODELS = ["mnist", "faces-esvae"]


def file(model: str) -> Path:
    return ROOT / f"assets/{model}/{model}.safetensors"


def images(network: fsvae.Network) -> np.ndarray:
    return np.asarray(fsvae.Generator(network, backend="cpu").generate(3, 5, 4))


@pytest.mark.parametrize("model", MODELS)
def test_a_state_dict_is_what_its_file_is(model: str, tmp_path: Path) -> None:
    expected = images(fsvae.Network.open(file(model)))
    state = OrderedDict(safetensors_torch.load_file(file(model)))
    assert torch.float16 in {tensor.dtype for tensor in state.values()}
    wide = {name: torch.nn.Parameter(tensor.float()) for name, tensor in state.items()}
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    module = {f"module.{name}": tensor for name, tensor in state.items()}
    columns = {n: t.T.contiguous().T if t.ndim == 2 else t for n, t in state.items()}
    for given in (state, wide, arrays, module, columns):
        network = fsvae.Network.from_state_dict(given)
        np.testing.assert_array_equal(images(network), expected)
    torch.save(state, tmp_path / "net.pth")
    np.testing.assert_array_equal(images(fsvae.Network.open(str(tmp_path / "net.pth"))), expected)


def test_bfloat16_is_taken_as_it_is(tmp_path: Path) -> None:
    state = {name: t.bfloat16() for name, t in safetensors_torch.load_file(file("mnist")).items()}
    safetensors_torch.save_file(state, tmp_path / "b.safetensors")
    expected = images(fsvae.Network.open(tmp_path / "b.safetensors"))
    np.testing.assert_array_equal(images(fsvae.Network.from_state_dict(state)), expected)
    assert (expected != images(fsvae.Network.open("mnist"))).any()


def test_info_says_what_it_is(mnist: fsvae.Network) -> None:
    info = mnist.info
    assert (info["family"], info["image_side"], info["image_channels"]) == ("fsvae", 32, 1)
    assert info["layers"][0]["name"] == "encoder.0"
    assert "latent" in [layer["name"] for layer in info["layers"]]
    assert fsvae.Network.open("faces-esvae").info["neurons_per_channel"] is None
    assert repr(mnist).startswith("<fsvae.Network mnist: fsvae, images [32, 32, 1], T = 16, C = ")
    assert fsvae.models()[0] == "mnist"


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nosuch: cannot read it.*models of the package are mnist, "):
        fsvae.Network.open("nosuch")
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"bad\.safetensors: this is a text"):
        fsvae.Network.open(tmp_path / "bad.safetensors")
    with pytest.raises(TypeError, match="expected a path or the name of a model, found int"):
        fsvae.Network.open(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"Network.open\(\)"):
        fsvae.Network()


def test_what_is_no_state_dict() -> None:
    state = safetensors_torch.load_file(file("mnist"))
    name = "decoder_input.bias"
    with pytest.raises(TypeError, match="expected a mapping, found list"):
        fsvae.Network.from_state_dict([])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"state_dict\['net'\]: expected an array or a tensor, found dict"):
        fsvae.Network.from_state_dict({"net": state})
    with pytest.raises(TypeError, match=r"expected elements of float16, .* found complex64"):
        fsvae.Network.from_state_dict(state | {name: state[name].to(torch.complex64)})
    with pytest.raises(ValueError, match=f"state_dict: tensor `{name}` is missing"):
        fsvae.Network.from_state_dict({key: value for key, value in state.items() if key != name})
    with pytest.raises(ValueError, match=r"tensor `decoder_input.bias`: expected shape \[\d+\], found \[3\]"):
        fsvae.Network.from_state_dict(state | {name: torch.zeros(3)})
    with pytest.raises(TypeError, match=r"in the memory of the CPU, found torch\.Tensor on meta"):
        fsvae.Network.from_state_dict(state | {name: state[name].to("meta")})
