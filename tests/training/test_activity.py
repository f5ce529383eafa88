"""`--spikes-weight`: what spikes cost is counted as the cards count it, and comes down."""
import csv

import pytest
import torch

from fsvae.training import activity, network, operations
from small import SMALL


@pytest.mark.parametrize("family", [network.FSVAE, network.ESVAE])
def test_the_share_is_that_of_the_operations(family):
    torch.manual_seed(0)
    net = family(16, 1, 6, 8, *([3] if family is network.FSVAE else []), 4)
    with torch.no_grad():
        for name, value in net.named_parameters():
            if name.endswith("bn.bias"):  # so that they fire now and then
                value.copy_(0.1 + 0.1 * torch.rand_like(value))
    net.eval()
    watched = activity.Activity(net)
    with torch.no_grad(), watched.watched():
        net.decode(net.observed_prior(8, torch.Generator().manual_seed(2)))
    rows = operations.generation(net, 8, torch.Generator().manual_seed(2))
    rows.pop("final_layer.1")  # no spikes reach the readout, but their sums
    expected = operations.total(rows, "additions") / operations.total(rows, "dense")
    # At the borders a spike reaches fewer weights than elsewhere, which is left out of account here.
    assert 0.02 < expected < 0.9 and abs(watched.share().item() / expected - 1) < 0.1
    before = watched.spent
    net.decode(net.observed_prior(8, torch.Generator().manual_seed(3)))
    assert watched.spent is before


@pytest.mark.parametrize("family", ["fsvae", "esvae"])
def test_spikes_become_fewer(family, run, data, tmp_path):
    last = {}
    for weight in (0.001, 0.3):
        out = tmp_path / f"{weight}.safetensors"
        said = run("--data", data, "--family", family, "--images", 1600, "--spikes-weight", weight, "--lr", 3e-3, "--out", out, *SMALL)
        with open(tmp_path / f"{weight}.csv", newline="") as file:
            last[weight] = [float(row["spikes_share"]) for row in csv.DictReader(file)][-1]
        assert "spikes_share" in said
    assert 0 < last[0.3] < 0.8 * last[0.001], last
