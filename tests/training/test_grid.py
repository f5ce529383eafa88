"""`grid.py`: hidden layers that the integer machine takes as they are."""
import sys

import numpy as np
import pytest
import torch

from command_line import ROOT
from fsvae.training import checkpoint, grid, network

sys.path.insert(0, str(ROOT / "tests/oracle"))
import oracle  # noqa: E402


def weights(hidden, half):
    """A network's sample layers as they are written."""
    torch.manual_seed(3)
    net = network.ESVAE(side=8, latent=70, width=4, steps=4, hidden=hidden)
    with torch.no_grad():
        for name, value in net.sample_layer.named_parameters():
            value.mul_(6 if name.endswith("weight") else 3)
    state = checkpoint.rounded(net.state_dict(), half)
    net.load_state_dict({name: value.to(net.state_dict()[name].dtype) for name, value in state.items()})
    return net.double(), {name: value.numpy() for name, value in state.items()}


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("hidden", [(90,), (90, 75)], ids=str)
def test_every_unit_spikes_as_the_oracle_says(hidden, half):
    net, state = weights(hidden, half)
    layers = []
    for i, name in enumerate(grid.layers(state)):
        peak, scale = (64, 32**0.5) if i == 0 else (255, 64.0)
        layers.append(oracle.rate_layer(*oracle.fold(state, name, 1.0, 0), peak, scale))
    m = np.random.default_rng(1).binomial(128, 0.5, (20_000, 70)) - 64
    x, h, spread = torch.from_numpy(m).double() / 32**0.5, m, set()
    for layer, (w, b, e) in zip(range(0, 2 * len(hidden), 2), layers):
        with torch.inference_mode():
            x = net.sample_layer[layer : layer + 2](x)
        h = np.clip((h @ w.T + b) >> (e - 6), 0, 255)
        assert (x.numpy() * 64 == h).all(), f"{(x.numpy() * 64 != h).sum()} units of layer {layer}"
        spread |= set(h.ravel().tolist())
    # Silent ones, saturated ones and all between.
    assert len(spread) == 256


@pytest.mark.parametrize("half", [False, True])
def test_the_grid_holds_what_is_on_it(half):
    _, state = weights((90, 75), half)
    again = checkpoint.rounded({name: torch.from_numpy(value).float() for name, value in state.items()}, half)
    for name in (name for name in state if name.startswith("sample_layer.") and name.endswith(".weight")):
        assert (again[name].numpy() == state[name]).all(), name
        assert (state[name].dtype == np.float16) == (half and name != "sample_layer.0.weight"), name


def test_one_layer_stays_as_it_is():
    net = network.ESVAE(side=8, latent=70, width=4, steps=4)
    state = checkpoint.rounded(net.state_dict(), half=False)
    assert all(torch.equal(state[name], value) for name, value in net.state_dict().items())


@pytest.mark.parametrize("value", [1e30, float("nan")])
def test_weights_out_of_range_stay_for_fsvae_to_name(value):
    net = network.ESVAE(side=8, latent=70, width=4, steps=4, hidden=(9,))
    with torch.no_grad():
        net.sample_layer[0].weight[2, 3] = value
    written = checkpoint.rounded(net.state_dict(), half=False)
    assert torch.equal(written["sample_layer.0.bias"], net.sample_layer[0].bias)
