"""`fsvae.training` as a part of the package."""
import subprocess
import sys

import torch

import fsvae
from fsvae.training import ESVAE, FSVAE, load
from small import SMALL


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_the_runtime_does_without_pytorch():
    done = python("import sys, fsvae; raise SystemExit('torch' in sys.modules)")
    assert done.returncode == 0, done.stderr


def test_what_is_missing_is_named():
    done = python("import sys; sys.modules['torch'] = None; import fsvae.training")
    assert done.stderr.splitlines()[-1] == \
        "ImportError: fsvae.training needs PyTorch and a few small packages: pip install 'fsvae[train]'"


def test_a_network_runs_from_memory_and_comes_back_from_its_file(run, data, tmp_path):
    for family, kind in (("fsvae", FSVAE), ("esvae", ESVAE)):
        out = tmp_path / f"{family}.safetensors"
        run("--family", family, "--data", data, "--images", 80, "--out", out, *SMALL)
        net = load(out)
        assert type(net) is kind
        images = [fsvae.Generator(network, backend="cpu").generate(seed=3, count=4) for network in
                  (fsvae.Network.open(out), fsvae.Network.from_state_dict(net.state_dict()))]
        assert torch.equal(*map(torch.from_dlpack, images))
