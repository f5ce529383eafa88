"""fsvae reads what torch.save writes: the digests are those of the safetensors twin, or the refusal says what to do."""
import argparse
import copy
import datetime
import enum
import functools
import pathlib
import subprocess
from collections import Counter, OrderedDict, defaultdict, deque

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from command_line import FSVAE, needs_fsvae
from fsvae.training import network

pytestmark = needs_fsvae


class Colour(enum.Enum):
    RED = 1


@pytest.fixture(scope="module")
def net():
    """A small network whose layers neither sleep nor fire all the time."""
    torch.manual_seed(3)
    net = network.FSVAE(side=16, channels=1, steps=4, latent=8, k=3, width=4)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0.3, 0.4)
            module.running_var.uniform_(0.001, 0.01)
    return net


def generate(model):
    """Digests, and what was said."""
    command = [FSVAE, "generate", "--backend", "cpu", "--count", "9", "--digests", "--model", model.name]
    done = subprocess.run(command, cwd=model.parent, capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if "XDG_RUNTIME_DIR" not in line]
    return done.returncode, done.stdout, said


@pytest.fixture
def twin(tmp_path):
    """Digests of a state_dict's safetensors twin."""

    def twin(state):
        path = tmp_path / "twin.safetensors"
        save_file({name: value.detach().clone().contiguous() for name, value in state.items()}, path)
        code, digests, said = generate(path)
        assert code == 0 and not said
        assert len({line.split()[-1] for line in digests.splitlines()}) > 1, "pictures that differ"
        return digests

    return twin


def same(tmp_path, saved, digests, *notes, **options):
    torch.save(saved, tmp_path / "net.pth", **options)
    code, found, said = generate(tmp_path / "net.pth")
    assert code == 0, said
    assert found == digests
    assert len(said) == bool(notes) and all(note in said[0] for note in notes), said


def refused(path, *parts):
    code, found, said = generate(path)
    assert code == 2 and not found and len(said) == 1, said
    assert said[0].startswith(f"fsvae: {path.name}: ") and all(part in said[0] for part in parts), said


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_state_dict(net, twin, tmp_path, dtype):
    state = copy.deepcopy(net).to(dtype).state_dict()
    assert state["encoder.0.weight"].dtype == dtype
    same(tmp_path, state, twin(state))


def test_training_checkpoint_with_an_optimizer(net, twin, tmp_path):
    net = copy.deepcopy(net)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.rand(2, 1, 16, 16), torch.Generator().manual_seed(1))[0].sum().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5])
    digests = twin(net.state_dict())
    for key in ("state_dict", "model", "net", "model_state_dict", "weights of mine"):
        saved = {"epoch": 3, key: net.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": schedule.state_dict(),
                 "losses": [0.5] * 5000, "best": None, "seed": 2**70, "done": True, "size": torch.Size([16, 16]),
                 "device": torch.device("cpu"), "dtype": torch.float32, "rng": torch.get_rng_state(), "seen": {1, 2}}
        same(tmp_path, saved, digests, f"under the key `{key}`")
    nested = {"model": {"state_dict": net.state_dict()}, "ema": net.state_dict()}
    same(tmp_path, nested, digests, "under the key `model.state_dict`")
    torch.save({"a": net.state_dict(), "b": net.state_dict()}, tmp_path / "two.pth")
    refused(tmp_path / "two.pth", "several models, `a` and `b`")


def test_parameters_plain_dictionaries_and_missing_counters(net, twin, tmp_path):
    digests = twin(net.state_dict())
    same(tmp_path, OrderedDict(net.named_parameters()) | OrderedDict(net.named_buffers()), digests)
    same(tmp_path, dict(net.state_dict()), digests)
    same(tmp_path, {name: value for name, value in net.state_dict().items() if "num_batches" not in name}, digests)
    same(tmp_path, {name: value.float() for name, value in net.state_dict().items()}, digests)
    torch.serialization.set_crc32_options(False)
    try:
        same(tmp_path, net.state_dict(), digests)
    finally:
        torch.serialization.set_crc32_options(True)


def test_prefixes(net, twin, tmp_path):
    digests = twin(net.state_dict())
    same(tmp_path, nn.DataParallel(net).state_dict(), digests, "`module.`")
    same(tmp_path, torch.compile(net).state_dict(), digests, "`_orig_mod.`")
    same(tmp_path, torch.compile(nn.DataParallel(net)).state_dict(), digests, "`_orig_mod.module.`")
    same(tmp_path, {"model": nn.DataParallel(net).state_dict()}, digests, "under the key `model`", "`module.`")


def test_views(net, twin, tmp_path):
    state = net.state_dict()
    digests = twin(state)
    transposed = {name: value.transpose(0, -1).contiguous().transpose(0, -1) if value.dim() > 1 else value
                  for name, value in state.items()}
    assert not transposed["prior.layers.0.weight"].is_contiguous()
    same(tmp_path, transposed, digests)
    same(tmp_path, {name: value.squeeze(-1).to(memory_format=torch.channels_last).unsqueeze(-1) if value.dim() == 5 and
                    value.shape[0] > 1 else value for name, value in state.items()}, digests)
    floats = {name: value for name, value in state.items() if value.is_floating_point()}
    storage, place, shared = torch.cat([value.flatten() for value in floats.values()]), 0, {}
    for name, value in floats.items():
        shared[name] = storage[place:place + value.numel()].view(value.shape)
        place += value.numel()
    same(tmp_path, shared, digests)
    spread = {name: torch.stack([value, value + 1], -1)[..., 0] for name, value in floats.items()}
    same(tmp_path, spread, digests)
    same(tmp_path, state | {"prior.initial_input": torch.zeros(1, 1, 1).expand(1, 8, 1)}, digests)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_protocols_and_objects_beside_the_model(net, twin, tmp_path, protocol):
    state, digests = net.state_dict(), twin(net.state_dict())
    same(tmp_path, state, digests, pickle_protocol=protocol)
    beside = {"best": np.float64(3), "losses": [np.float32(0.5)] * 3000, "args": argparse.Namespace(lr=1, out=["a"], net={"x": 1}),
              "history": np.arange(6.0).reshape(2, 3), "names": np.array(["a", "b"]), "path": pathlib.PurePosixPath("runs/1"),
              "counts": Counter("abc"), "by": defaultdict(list, a=[1]), "queue": deque([1, 2]), "kind": Colour.RED, "z": 1j,
              "when": datetime.datetime(2024, 1, 2), "bytes": b"abc", "buffer": bytearray(b"abc"), "frozen": frozenset([1]),
              "random": np.random.RandomState(1).get_state(), "complex": torch.zeros(2, dtype=torch.complex64),
              "part": functools.partial(int, base=2), "long": 2**3000, "text": "x" * 300, "unsigned": torch.zeros(2, dtype=torch.uint16)}
    for name, value in beside.items():
        same(tmp_path, {name: value, "state_dict": state, "last": value}, digests, "under the key `state_dict`", pickle_protocol=protocol)
    same(tmp_path, {**beside, "model": state}, digests, "under the key `model`", pickle_protocol=protocol)
    tagged = copy.deepcopy(net)
    for parameter in tagged.parameters():
        parameter.tag = "mine"
    same(tmp_path, OrderedDict(tagged.named_parameters()) | OrderedDict(tagged.named_buffers()), digests, pickle_protocol=protocol)


class Scripted(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        return self.layer(x)


def test_what_is_refused(net, tmp_path, monkeypatch):
    state = net.state_dict()

    def saved(value, name="net.pth", **options):
        torch.save(value, tmp_path / name, **options)
        return tmp_path / name

    refused(saved(state, _use_new_zipfile_serialization=False), "PyTorch file of the old format", "save it again with PyTorch 1.6")
    refused(saved(net), "a whole module (`fsvae.training.network.FSVAE`)", "save the state_dict: torch.save(net.state_dict()")
    refused(saved({"epoch": 3, "model": net}), "`fsvae.training.network.FSVAE`", "no code of a file is run", "save the state_dict")
    refused(saved(state | {"args": argparse.Namespace(lr=1)}), "tensor `args` is no tensor but made by `argparse.Namespace`",
            "if you trust the file", "weights_only=False")
    refused(saved(state["prior.layers.0.weight"]), "no dictionary of tensors with names")
    refused(saved(copy.deepcopy(net).double().state_dict()), "expected dtype F32, F16 or BF16, found F64")
    torch.jit.script(Scripted()).save(tmp_path / "script.pt")
    refused(tmp_path / "script.pt", "a TorchScript archive", "torch.jit.load")
    monkeypatch.setattr("sys.byteorder", "big")
    big = saved(state, "big.pth")
    monkeypatch.undo()
    refused(big, "big-endian")
