"""Neurons that have stopped listening keep their period, away from the threshold."""
import pytest
import torch
from safetensors.torch import load_file, save_file

from fsvae.training import clocks, network
from fsvae.training.lif import DECAY, THRESHOLD
from small import SMALL

STEPS = 32


def membranes(current):
    """The membrane potentials of a constant current before the threshold, and when it fires first."""
    u, seen, first = 0.0, [], None
    for t in range(STEPS):
        u = DECAY * u + current
        seen.append(u)
        if u > THRESHOLD:
            first, u = first or t + 1, 0.0
    return seen, first


@pytest.mark.parametrize("period", range(1, clocks.LONGEST + 1))
def test_a_clock_keeps_its_period(period):
    border = clocks.borders()[period - 1]
    for beside, expected in [(border + 1e-9, period), (border - 1e-9, period + 1 if period < clocks.LONGEST else None)]:
        seen, _ = membranes(beside)
        assert min(abs(u - THRESHOLD) for u in seen) < 1e-8
        seen, first = membranes(clocks.settled(beside))
        assert first == expected
        assert min(abs(u - THRESHOLD) for u in seen) > 5e-5


def test_nothing_else_is_touched():
    torch.manual_seed(0)
    net = network.FSVAE(8, 1, 4, 8, 2, 4)
    norm = net.posterior.layers[2].bn
    border = clocks.borders()[1]
    with torch.no_grad():
        norm.bias.fill_(border)  # all of them at a border
        norm.weight[0], norm.weight[1], norm.weight[2] = 1e-3, -1e-5, 1e-2
        norm.weight[3], norm.bias[3] = 1e-5, 0.1  # a clock that is silent, and far from one
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found, count = clocks.set_apart(net, net.state_dict())
    assert count == 2
    scale, bias = (found[f"posterior.layers.2.bn.{part}"] for part in ("weight", "bias"))
    assert scale[:4].tolist() == pytest.approx([0, 0, 1e-2, 1e-5])
    assert bias[:2].tolist() == pytest.approx([clocks.settled(norm.bias[0].item())] * 2)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    changed = [name for name, value in found.items() if not torch.equal(value, before[name])]
    assert changed == ["posterior.layers.2.bn.weight", "posterior.layers.2.bn.bias"]


def test_what_training_writes_has_none_at_a_border(run, data, tmp_path):
    first, out = tmp_path / "first.safetensors", tmp_path / "m.safetensors"
    recipe = ["--data", data, "--images", 8, "--lr", 1e-9, *SMALL]
    run(*recipe, "--out", first)
    weights = load_file(first)
    weights["prior.layers.2.bn.weight"][:] = 1e-5
    weights["prior.layers.2.bn.bias"][:] = clocks.borders()[2]
    save_file(weights, first)
    run(*recipe, "--warm-start", first, "--out", out)
    scale, bias = (load_file(out)[f"prior.layers.2.bn.{part}"] for part in ("weight", "bias"))
    assert not scale.any() and (bias - clocks.borders()[2]).abs().min() > 1e-4
