"""`rates.py`: how far rates are from the encoder's, and `--pull`, which brings what a prior draws nearer to them."""
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fsvae.training import load, rates
from fsvae.training.errors import InputError
from small import SMALL, equal, shapes

#: Corners of a cube, a little apart.
CORNERS = torch.tensor([[0.1, 0.1, 0.1], [0.9, 0.1, 0.9], [0.1, 0.9, 0.9]])


def corners(count):
    generator = torch.Generator().manual_seed(4)
    return CORNERS[torch.randint(3, (count,), generator=generator)] + 0.02 * torch.randn(count, 3, generator=generator)


def test_what_is_as_near_as_others_is_not_pulled():
    seen, more = corners(2000), corners(2500)[2000:]
    nearest = rates.Nearest(seen)
    assert nearest.beyond(seen) == 0
    assert 0 < nearest.usual < 0.01
    # Half of the others are nearer than usual, the rest by a little.
    assert nearest.beyond(more) < nearest.usual


def test_what_is_farther_is_pulled_to_the_nearest_straight():
    nearest = rates.Nearest(corners(2000))
    between = torch.cat([torch.tensor([[0.5, 0.12, 0.5]]), nearest.rates[:1]]).requires_grad_()
    beyond = nearest.beyond(between)
    distances = torch.cdist(between, nearest.rates)
    away, to = distances.min(1)
    assert away[0] > 0.4
    torch.testing.assert_close(beyond, (away[0] - nearest.usual) / 2, rtol=0, atol=1e-4)
    beyond.backward()
    straight = (between[0] - nearest.rates[to[0]]) / away[0] / 2
    torch.testing.assert_close(between.grad, torch.stack([straight, torch.zeros(3)]).detach(), rtol=0, atol=1e-4)


def test_few_rates_will_do():
    nearest = rates.Nearest(CORNERS)
    assert nearest.usual == 0 and nearest.beyond(CORNERS) < 1e-5
    assert nearest.beyond(torch.full((1, 3), 0.5)) > 0.5


@pytest.fixture
def first(run, data, tmp_path):
    path = tmp_path / "first.safetensors"
    run("--data", data, "--family", "esvae", "--images", 1200, "--lr", 3e-3, "--keep-f32", "--out", path, *SMALL)
    return path


def recipe(data, first):
    return ["--data", data, "--family", "esvae", "--warm-start", first, "--only-prior", "--keep-f32", *SMALL]


def test_rates_that_are_drawn_come_nearer(run, data, first, tmp_path):
    """After as many images, from the same weights, of which only the prior's move."""
    net = load(first)
    seen = rates.Nearest(rates.counts(net, shapes(64)[:, None]) / net.steps)
    far = {}
    for pull in (0, 3):
        out = tmp_path / f"{pull}.safetensors"
        said = run(*recipe(data, first), "--images", 2000, "--pull", pull, "--out", out)
        assert ("pull" in said) == (pull > 0)
        with torch.inference_mode():
            far[pull] = seen.beyond(load(out).prior_rates(400, torch.Generator().manual_seed(1))).item()
    assert far[3] < 0.7 * far[0], far
    before, after = load_file(first), load_file(out)
    assert {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])} == {"sample_layer"}


def test_resumed_is_uninterrupted(run, data, first, tmp_path):
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    options = [*recipe(data, first), "--pull", 1, "--schedule", "constant"]
    run(*options, "--images", 320, "--out", whole)
    run(*options, "--images", 160, "--out", half)
    run(*options, "--images", 320, "--out", half, "--resume")
    assert equal(whole, half)


@pytest.mark.parametrize(
    "options, said",
    [
        (["--family", "esvae", "--pull", "1"], "--pull: expected --family esvae and --only-prior, for an encoder that learns"),
        (["--warm-start", "m.safetensors", "--only-prior", "--pull", "1"], "--pull: expected --family esvae and --only-prior"),
        (["--pull=-1"], "--pull: expected 0 or more, found -1"),
        (["--pull=nan"], "--pull: expected 0 or more, found nan"),
    ],
)
def test_what_cannot_be_is_refused(options, said, run, data, tmp_path):
    with pytest.raises(InputError, match=said):
        run("--data", data, "--out", tmp_path / "m.safetensors", *options, *SMALL)
    assert not list(tmp_path.glob("m.*"))


def test_the_counts_are_those_of_the_encoder(first):
    images, net = shapes(300)[:, None], load(first)
    counted = rates.counts(net, images)
    with torch.inference_mode():
        expected = net.posterior_rates(torch.from_numpy(images[250:]).float() / 127.5 - 1, torch.float32) * net.steps
    assert counted.shape == (300, 8) and np.array_equal(counted[250:], expected.round())
