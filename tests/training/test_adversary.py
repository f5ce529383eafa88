"""`adversary.py`: layers in front of the rates that learn clusters."""
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fsvae.training import adversary, checkpoint, fit_prior, train
from small import SMALL, shapes


def exclusive(count):
    """Three channels of which the third is on where one of the others is, and not both: no two of them go together."""
    a, b = np.random.default_rng(1).integers(0, 2, (2, count))
    corners = np.stack([a, b, a ^ b], 1)
    return torch.from_numpy(0.1 + 0.8 * corners).float()


def allowed(rates):
    """The share of rates `[N, 3]` nearest to a corner that there is."""
    a, b, c = (rates > 0.5).T
    return (c == a ^ b).float().mean().item()


@torch.inference_mode()
def drawn(layers, count=4000):
    return layers(torch.randn(count, 3, generator=torch.Generator().manual_seed(2)))


@pytest.mark.parametrize("hidden", [(32,), (24, 16)], ids=str)
def test_clusters_are_learned_that_one_linear_layer_cannot_draw(hidden):
    rates = exclusive(2000)
    weight, bias = fit_prior.fit((rates * 16).round(), 16)
    linear = allowed((torch.randn(4000, 3).double() @ weight.T + bias).sigmoid())
    found = drawn(adversary.fit(rates, hidden, steps=2000))
    assert linear < 0.6 and allowed(found) > 0.8, (linear, allowed(found))
    # All four corners, about as often.
    corners = torch.bincount((found > 0.5).long() @ torch.tensor([1, 2, 4]), minlength=8) / len(found)
    assert (corners[[0, 5, 6, 3]] > 0.12).all(), corners


def test_the_same_seed_learns_the_same_and_leaves_others_randomness_alone():
    rates = exclusive(300)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again = (adversary.fit(rates, (8,), steps=20, seed=3).state_dict() for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    other = adversary.fit(rates, (8,), steps=20, seed=4).state_dict()
    assert not torch.equal(first["0.weight"], other["0.weight"])


def test_the_checkpoint_gets_hidden_layers_and_loses_them(tmp_path):
    data, model, hidden, plain = (tmp_path / name for name in ("shapes.npz", "m.safetensors", "h.safetensors", "p.safetensors"))
    np.savez(data, train=shapes(64))
    train.train(train.parse(["--family", "esvae", "--data", str(data), "--out", str(model), "--images", "320", *SMALL]))
    options = ["--hidden", "9", "7", "--minutes", "0.02", "--threads", "1"]
    fit_prior.main([str(model), "--data", str(data), "--out", str(hidden), *options])
    before, after = load_file(model), load_file(hidden)
    layers = {name for name in after if name.startswith("sample_layer.")}
    assert layers == {f"sample_layer.{layer}.{part}" for layer in (0, 2, 4) for part in ("weight", "bias")}
    assert all(torch.equal(after[name], value) for name, value in before.items() if name not in layers)
    assert checkpoint.load(hidden).hidden == (9, 7)
    fit_prior.main([str(hidden), "--data", str(data), "--out", str(plain)])
    assert load_file(plain).keys() == before.keys()


@pytest.mark.parametrize(
    "options, said",
    [
        (["--hidden", "3", "4", "5"], "--hidden: expected 1 to 2 widths from 1 on, found 3 4 5"),
        (["--hidden", "0"], "--hidden: expected 1 to 2 widths from 1 on, found 0"),
        (["--hidden", "3", "--minutes", "0"], "--minutes: expected more than 0, found 0"),
        (["--threads", "0"], "--threads: expected 1 or more, found 0"),
    ],
)
def test_what_cannot_be_is_refused(options, said, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        fit_prior.main(["m.safetensors", "--data", "d.npz", "--out", str(tmp_path / "o.safetensors"), *options])
    assert said in capsys.readouterr().err
