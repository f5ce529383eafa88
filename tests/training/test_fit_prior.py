"""`fsvae-fit-prior`: the sample layer gets the moments of the encoder's rates."""
import numpy as np
import torch
from safetensors.torch import load_file

from fsvae.training import fit_prior, train
from small import SMALL, shapes


def rates(weight, bias, count=200_000):
    normal = torch.randn(count, len(bias), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return (normal @ weight.double().T + bias.double()).sigmoid()


def test_moments_of_a_known_prior_are_found():
    """Counts drawn from a logit-normal distribution: the fitted one has its means and covariances."""
    torch.manual_seed(0)
    true = rates(torch.randn(6, 6) * 0.8, torch.randn(6))
    steps = 1000  # the rates themselves, nearly
    weight, bias = fit_prior.fit((true * steps).round(), steps)
    found = rates(weight, bias)
    assert (found.mean(0) - true.mean(0)).abs().max() < 0.004
    assert (torch.cov(found.T) - torch.cov(true.T)).abs().max() < 0.003


def test_channels_that_never_change_stay_so():
    counts = torch.zeros(500, 3)
    counts[:, 1] = 16
    counts[::2, 2] = 8
    weight, bias = fit_prior.fit(counts, 16)
    found = rates(weight, bias)
    assert found[:, 0].max() < 0.05 and found[:, 1].min() > 0.95
    assert abs(found[:, 2].mean() - 0.25) < 0.01 and abs(found[:, 2].var() - 0.0625) < 0.005


def test_only_the_sample_layer_changes(tmp_path):
    data, model, out = (tmp_path / name for name in ("shapes.npz", "m.safetensors", "fitted.safetensors"))
    np.savez(data, train=shapes(64))
    train.train(train.parse(["--family", "esvae", "--data", str(data), "--out", str(model), "--images", "320", *SMALL]))
    fit_prior.main([str(model), "--data", str(data), "--out", str(out)])
    before, after = load_file(model), load_file(out)
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"sample_layer.0.weight", "sample_layer.0.bias"}
