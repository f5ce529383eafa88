"""`adversary.py`: layers in front of the rates that learn clusters, and priors that learn on."""
import copy

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fsvae.training import adversary, checkpoint, fit_prior, network, train
from small import SMALL, firing, shapes


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


def test_what_a_critic_sees_of_latents():
    last, before, early = 15, 11, 2
    spikes = torch.zeros(16, 1, 4)
    spikes[:, 0, 0] = spikes[last, 0, 1] = spikes[before, 0, 2] = spikes[early, 0, 3] = 1
    whole = sum(0.8**i for i in range(16))
    expected = [[1, 1 / whole, 0.8**4 / whole, 0.8**13 / whole, 1, 1 / 4, 0, 0, 1, 0, 1 / 4, 0]]
    torch.testing.assert_close(adversary.filtered(spikes), torch.tensor(expected))
    # One time step is all there is to see.
    torch.testing.assert_close(adversary.filtered(spikes[:1]), torch.tensor([[1.0, 0, 0, 0] * 3]))


def sides(count, bright):
    """Pictures whose left half is bright, and of which some have a bright right half, too."""
    images = np.zeros((count, 1, 8, 8), np.uint8)
    images[..., :4] = 230
    images[: round(count * bright), ..., 4:] = 230
    return images


@pytest.mark.parametrize("family", [network.FSVAE, network.ESVAE])
@pytest.mark.parametrize("decoded", [False, True], ids=["latents", "decoded"])
def test_a_prior_comes_to_draw_what_it_is_shown(family, decoded, monkeypatch):
    # A small one, which is in a hurry.
    monkeypatch.setattr(adversary, "RATE", 2e-3)
    monkeypatch.setattr(adversary, "KEPT", 0.98)
    net = firing(family).eval()
    if family is network.ESVAE:
        net.sample_layer = adversary.first_layers(torch.full((1, 8), 0.5), (16,))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    part, images = net.prior_part, np.random.default_rng(4).permutation(sides(400, 0.25))
    seen = adversary.encoded(net, images, decoded=True)

    def far(prior):
        """From what is encoded and decoded, in the means of latents and of pictures."""
        other = copy.deepcopy(net)
        setattr(other, part, prior)
        make = adversary.drawn_of_rates if family is network.ESVAE else adversary.drawn_by_steps
        torch.manual_seed(6)
        with torch.inference_mode():
            drawn = torch.cat([make(other, True) for _ in range(4)])
        return (drawn.mean(0) - seen.mean(0)).abs().split([seen.shape[1] - 64, 64])

    fitted = adversary.fit_further(net, images, decoded, steps=450)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    for now, then in zip(far(fitted.eval()), far(getattr(net, part)), strict=True):
        assert now.mean() < 0.6 * then.mean(), (now.mean(), then.mean())
    # For so long the critic learns alone.
    first = adversary.fit_further(net, images, decoded, steps=adversary.ALONE)
    assert all(torch.equal(value, getattr(net, part).state_dict()[name]) for name, value in first.named_parameters())


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


@pytest.mark.parametrize("family, decoded", [("fsvae", False), ("esvae", True)])
def test_only_the_prior_learns_on(family, decoded, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(adversary, "ALONE", 0)
    data, model, out = (tmp_path / name for name in ("shapes.npz", "m.safetensors", "o.safetensors"))
    np.savez(data, train=shapes(64))
    hidden, further = ([], []) if family == "fsvae" else (["--hidden", "9", "7"], ["--further"])
    train.train(train.parse(["--family", family, *hidden, "--data", str(data), "--out", str(model), "--images", "640", *SMALL]))
    options = [*further, *(["--decoded"] if decoded else []), "--minutes", "0.1", "--threads", "1"]
    fit_prior.main([str(model), "--data", str(data), "--out", str(out), *options])
    before, after = load_file(model), load_file(out)
    prior = {"fsvae": "prior", "esvae": "sample_layer"}[family]
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all(name.startswith(f"{prior}.") for name in changed), changed
    assert [(name, value.dtype, value.shape) for name, value in sorted(before.items())] == [
        (name, value.dtype, value.shape) for name, value in sorted(after.items())
    ]
    what = {"fsvae": "latents", "esvae": "rates"}[family]
    assert f"o.safetensors: {prior} fitted to the {what} of 64 images" in capsys.readouterr().out


@pytest.mark.parametrize(
    "family, options, said",
    [
        ("fsvae", ["--hidden", "3"], "m.safetensors: --hidden: expected an ESVAE, found an FSVAE"),
        ("esvae", ["--further"], "m.safetensors: --further: expected an ESVAE with hidden layers, found none"),
        ("esvae", ["--decoded"], "--decoded: expected --further with it"),
    ],
)
def test_what_a_network_has_not_is_named(family, options, said, tmp_path, capsys):
    data, model = tmp_path / "shapes.npz", tmp_path / "m.safetensors"
    np.savez(data, train=shapes(16))
    train.train(train.parse(["--family", family, "--data", str(data), "--out", str(model), "--images", "8", *SMALL]))
    written = model.read_bytes()
    with pytest.raises(SystemExit, match="2"):
        fit_prior.main([str(model), "--data", str(data), "--out", str(model), *options])
    assert said in capsys.readouterr().err and model.read_bytes() == written


@pytest.mark.parametrize(
    "options, said",
    [
        (["--hidden", "3", "4", "5"], "--hidden: expected 1 to 2 widths from 1 on, found 3 4 5"),
        (["--hidden", "0"], "--hidden: expected 1 to 2 widths from 1 on, found 0"),
        (["--hidden", "3", "--minutes", "0"], "--minutes: expected more than 0, found 0"),
        (["--hidden", "3", "--further"], "not allowed with argument"),
        (["--threads", "0"], "--threads: expected 1 or more, found 0"),
    ],
)
def test_what_cannot_be_is_refused(options, said, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        fit_prior.main(["m.safetensors", "--data", "d.npz", "--out", str(tmp_path / "o.safetensors"), *options])
    assert said in capsys.readouterr().err
