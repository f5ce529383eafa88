"""`--critic-weight`: critics that tell samples and reconstructions from pictures. What comes of it is in test_views.py."""
import numpy as np
import pytest
import torch

from fsvae.training import critics, network
from fsvae.training.errors import InputError
from small import SMALL, firing, levels, shapes


@pytest.mark.parametrize("worse", ["blurred", "all alike"])
def test_a_critic_comes_to_tell_pictures_from(worse):
    torch.manual_seed(1)
    pictures, generator = levels(shapes(1200, 8)[:, None]), torch.Generator().manual_seed(2)
    told, rates = critics.Critics(network.FSVAE(8, 1, 4, 8, 3, 4), "cpu"), torch.rand(16, 8)

    def made(real):
        # A critic that sees one picture at a time cannot tell the second kind.
        return torch.nn.functional.avg_pool2d(real, 3, 1, 1) if worse == "blurred" else real[:1].expand_as(real)

    for _ in range(200):
        real = pictures[torch.randint(800, (16,), generator=generator)]
        told.learn(real, real, rates, rates, made(real), generator, 1.0)
    some = pictures[800:].split(8)
    real, other = (torch.stack([told.eye(of(eight)).mean() for eight in some]) for of in (lambda eight: eight, made))
    assert (real > other).float().mean() > 0.9, (real.mean(), other.mean())
    # What the network makes is better the more it is like pictures, samples more than reconstructions.
    fooled = lambda again, sampled: sum(told.fooled(again, rates, sampled, generator).item() for _ in range(2))
    x = some[0].repeat(2, 1, 1, 1)
    both, samples, reconstructions = fooled(x, x), fooled(x, made(x)), fooled(made(x), x)
    assert both < reconstructions < samples, (both, reconstructions, samples)


@pytest.mark.parametrize("real_is_low", [True, False])
def test_rates_that_differ_are_told(real_is_low):
    torch.manual_seed(1)
    told, generator = critics.Critics(network.ESVAE(4, 1, 4, 8, 4), "cpu"), torch.Generator().manual_seed(2)
    pictures, low, high = torch.rand(16, 1, 4, 4), torch.rand(16, 8) * 0.4, 0.6 + torch.rand(16, 8) * 0.4
    real, drawn = (low, high) if real_is_low else (high, low)
    for _ in range(100):
        told.learn(pictures, pictures, real, drawn, pictures, generator, 1.0)
    assert told.of_rates(real).min() > told.of_rates(drawn).max()
    # What the network draws is better the more it is like what it encodes.
    assert told.fooled(pictures, real, pictures, generator) < told.fooled(pictures, drawn, pictures, generator)
    assert critics.Critics(network.FSVAE(4, 1, 4, 8, 3, 4), "cpu").of_rates is None


@pytest.mark.parametrize("family", [network.FSVAE, network.ESVAE])
def test_what_draws_samples_and_what_decodes_learn_from_it_and_critics_do_not(family):
    net, generator = firing(family), torch.Generator().manual_seed(1)
    told, pictures = critics.Critics(net, "cpu"), torch.rand(19, 1, 8, 8) * 2 - 1
    again, q, p, sampled = net(pictures, generator, samples=True)
    before = [value.clone() for value in told.all.state_dict().values()]
    told.fooled(again, p, sampled, generator).backward()
    learns = {name.split(".")[0] for name, value in net.named_parameters() if value.grad is not None and value.grad.abs().max() > 1e-9}
    prior = "prior" if family is network.FSVAE else "sample_layer"
    assert {prior, "encoder", "decoder_input", "decoder", "final_layer"} <= learns
    assert all(value.grad is None for value in told.all.parameters())
    # And the other way round: 19 pictures are two groups of eight, and three that no critic sees.
    net.zero_grad()
    told.learn(pictures, again, q, p, sampled, generator, 1.0)
    assert all(value.grad is None or not value.grad.any() for value in net.parameters())
    assert all(not torch.equal(a, b) for a, b in zip(before, told.all.state_dict().values(), strict=True))


def test_the_network_listens_when_the_critics_know_something():
    heard = [critics.listening(progress) for progress in np.linspace(0, 1, 201)]
    assert heard[:6] == [0] * 6 and heard[10:] == [1] * 191 and np.all(np.diff(heard) >= 0)


def test_batches_without_a_group_are_refused(run, data, tmp_path):
    with pytest.raises(InputError, match="--critic-weight: expected batches of at least 8, found 7"):
        run("--data", data, "--out", tmp_path / "m.safetensors", "--critic-weight", 1, *SMALL, "--batch", 7)
