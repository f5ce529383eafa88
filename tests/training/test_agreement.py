"""The float networks of both families and `fsvae`, on the shipped models: the same draws, the same latent spikes.

In double precision, for it is the nearest to what the weights say. In single precision a sum now and then comes out on the
other side of a threshold, and one spike changes all that follow.
"""
import sys

import numpy as np
import pytest
import torch

from command_line import ROOT
from fsvae.training import checkpoint, network, pictures, runtime

sys.path.insert(0, str(ROOT / "tests/oracle"))
import oracle  # noqa: E402

COUNT, SEED = 40, 7
MODELS = ["faces-esvae", "mnist-esvae", "faces", "mnist", "fashion"]


def per_step(net, what):
    """`[T, n, C]` of what the contract draws for a step of an image."""
    return torch.from_numpy(np.array([[what(index, t) for index in range(COUNT)] for t in range(net.steps)]))


def words(net, stream):
    return per_step(net, lambda index, t: oracle.channel_words(SEED, index, t, stream, net.latent))


def picked(net, stream):
    return per_step(net, lambda index, t: oracle.picks(SEED, index, t, stream, net.latent, net.k))


def counted_normal(net):
    """The contract's normal numbers `[n, C]`: 128 counted bits each, of variance 32."""
    ones = [[sum(word.bit_count() for word in oracle.words(SEED, index, j, 4)) for j in range(net.latent)] for index in range(COUNT)]
    return (torch.tensor(ones, dtype=torch.float64) - 64) / 32**0.5


def spikes_by(rates, uniform):
    """As `ESVAE.spikes`, given the uniform numbers."""
    return network.Bernoulli.apply(rates.expand_as(uniform), uniform)


@torch.inference_mode()
def generated(net):
    if isinstance(net, network.FSVAE):
        return net.prior.roll(picked(net, 0), torch.float64)[1]
    # The machine's rate is the number of i whose (i + 1/2) / 65536 is less.
    uniform = ((words(net, 2) >> 16) + 0.5) / 65536
    return spikes_by(net.sample_layer(counted_normal(net)), uniform)


@torch.inference_mode()
def encoded(net, images):
    """The encoder's spikes, and the latent ones."""
    x = torch.from_numpy(images).double().permute(0, 3, 1, 2) / 127.5 - 1
    encoder = net.encode(x)
    if isinstance(net, network.FSVAE):
        return encoder, net.posterior.roll(picked(net, 1), torch.float64, latents=encoder)[1]
    # In double, for a word has 32 bits.
    return encoder, spikes_by(net.posterior_rates(x, torch.float64), words(net, 3).double() / 2**32)


def differing(ours, found):
    """Image, time step and channel of each spike that is not the same: `[n, T, C]` of fsvae, `[T, n, C]` of the float network."""
    assert ours.shape == (COUNT, found.shape[0], found.shape[2])
    return np.argwhere(ours != found.transpose(0, 1).numpy()).tolist()


@pytest.fixture(scope="module", params=MODELS)
def pair(request):
    path = ROOT / "assets" / request.param / f"{request.param}.safetensors"
    return checkpoint.load(path).double(), runtime.generator(path, "cpu")


@pytest.mark.parametrize("way", ["generated", "encoded"])
def test_the_float_network_draws_the_same_spikes(pair, way):
    net, generator = pair
    if way == "generated":
        ours, found = generator.sample_latents(SEED, count=COUNT), generated(net)
    else:
        # Pictures like those it was trained on, and not those it will draw.
        images = np.asarray(generator.generate(SEED + 1, count=COUNT))
        ours, (encoder, found) = generator.encode(images, SEED), encoded(net, images)
        layer = generator.spikes(images, SEED, layers=["before_latent_layer"])["before_latent_layer"]
        assert differing(layer.reshape(ours.shape), encoder) == []
    assert 0.1 < ours.mean() < 0.9
    # No near ties to name: of 81,920 spikes none differs.
    assert differing(ours, found) == []
    with torch.inference_mode():
        decoded = pictures.pixels(net.decode(torch.from_numpy(ours).double().transpose(0, 1))).transpose(0, 2, 3, 1)
    levels = np.abs(np.asarray(generator.decode(ours)).astype(int) - decoded)
    assert levels.max() <= 1 and (levels > 0).mean() < 0.003
