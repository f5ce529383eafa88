"""Fits what draws the samples of a trained network to what its encoder makes of the training images.

Everything else stays as it is, reconstructions too. Each image is encoded once.

    fsvae-fit-prior esvae.safetensors --data faces16.npz --out fitted.safetensors
    fsvae-fit-prior esvae.safetensors --data faces16.npz --out fitted.safetensors --hidden 256 256 --minutes 20
    fsvae-fit-prior fitted.safetensors --data faces16.npz --out better.safetensors --further --minutes 20
    fsvae-fit-prior fsvae.safetensors --data faces16.npz --out better.safetensors --minutes 30

While the whole network trains, nothing but a small term ties what the prior draws to what the encoder makes, so samples
are less coherent than reconstructions. The images need not be those that the network was trained on: with some of them,
say, there are samples like those alone.

An FSVAE's prior learns on against a critic of its latents (adversary.py) for as long as `--minutes` says. An ESVAE's has
one linear layer without `--hidden`, and it takes seconds. The prior is then a logit-normal distribution: rates
r = sigmoid(W n + b), n from N(0, I). Its first two moments are fitted to those of the encoder's rates: b and the
variance of each channel from the mean and variance of its rates, the correlation of each pair of channels from the
covariance of theirs. W is the symmetric root of the covariance found, without what is negative in it.

With `--hidden` there are one or two hidden layers in front of the rates, which can draw clusters, as the rates of
pictures have them; they learn against a critic of rates for as long as `--minutes` says. The checkpoint is one that
`fsvae` loads like any other (integer machine, section 8b). `--further` goes on from hidden layers that are there.

With `--decoded` the critic sees what is decoded of latents, too.
"""

import argparse
import math
from functools import partial

import numpy as np
import torch
from safetensors.torch import save_file

from . import adversary, clocks, pictures
from .checkpoint import load, replace, rounded, tensors
from .errors import InputError, reported
from .network import FSVAE, MOST_HIDDEN, rate_layers

# A logit beyond these is a channel that is always or never on.
LOGIT, WIDEST = 12.0, 12.0
ROUNDS = 60


def quadrature(points):
    """Nodes and weights of the mean over N(0, 1)."""
    x, w = np.polynomial.hermite_e.hermegauss(points)
    return torch.from_numpy(x), torch.from_numpy(w / w.sum())


def bisect(f, low, high, target):
    """x with f(x) = target, elementwise, for f that grows."""
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        above = f(middle) > target
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return (low + high) / 2


def marginals(mean, variance):
    """Location and width of logit-normal distributions of these means and variances."""
    x, w = quadrature(80)
    furthest = torch.full_like(mean, LOGIT * 3)

    def moment(b, s, power):
        return ((b[:, None] + s[:, None] * x).sigmoid() ** power * w).sum(1)

    def location(s):
        return bisect(lambda b: moment(b, s, 1), -furthest, furthest, mean)

    square = variance + mean**2
    width = bisect(lambda s: moment(location(s), s, 2), torch.zeros_like(mean), torch.full_like(mean, WIDEST), square)
    return location(width), width


def correlations(b, s, covariance):
    """The correlation of each pair of logits that gives their rates this covariance."""
    x, w = quadrature(24)
    i, j = torch.triu_indices(len(b), len(b), 1)
    mean = ((b[:, None] + s[:, None] * x).sigmoid() * w).sum(1)

    def covariance_at(i, j, rho):
        # Two normal numbers of correlation rho, the second given the first.
        first = (b[i, None] + s[i, None] * x).sigmoid() * w
        given = rho[:, None, None] * x[:, None] + (1 - rho**2).clamp_min(0).sqrt()[:, None, None] * x
        second = ((b[j, None, None] + s[j, None, None] * given).sigmoid() * w).sum(2)
        return (first * second).sum(1) - mean[i] * mean[j]

    result = torch.eye(len(b), dtype=b.dtype)
    for part in torch.arange(len(i)).split(4096):
        pairs, one = (i[part], j[part]), torch.ones(len(part), dtype=b.dtype)
        rho = bisect(partial(covariance_at, *pairs), -one, one, covariance[pairs])
        result[pairs] = result[pairs[::-1]] = rho
    return result


def fit(counts, steps):
    """Weight `[C, C]` and bias `[C]` of the sample layer for spike counts `[N, C]` of `steps` steps."""
    r = counts.double() / steps
    mean = r.mean(0).clamp(1e-4, 1 - 1e-4)
    covariance = torch.cov(r.T)
    # The widest distribution there is has rates of 0 and 1 only.
    variance = torch.minimum(covariance.diagonal().clamp_min(1e-12), 0.98 * mean * (1 - mean))
    b, s = marginals(mean, variance)
    rho = correlations(b, s, covariance)
    values, vectors = torch.linalg.eigh(rho)
    root = vectors * values.clamp_min(1e-6).sqrt()
    root = root / root.norm(dim=1, keepdim=True)  # each channel keeps its width
    values, vectors = torch.linalg.eigh(root @ root.T)
    symmetric = vectors @ (values.clamp_min(0).sqrt()[:, None] * vectors.T)
    return s[:, None] * symmetric, b


@torch.inference_mode()
def counts(net, images):
    """The encoder's spikes of each channel, summed over time: `[N, C]`, 0 to T."""
    encoded = []
    for i in range(0, len(images), 250):
        x = torch.from_numpy(images[i : i + 250]).float() / 127.5 - 1
        encoded.append(net.encode(x).sum(0))
    return torch.cat(encoded)


def main(arguments=None):
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("model", help="checkpoint of either family, .safetensors")
    a.add_argument("--data", required=True, help="as fsvae-train's; its part `train` is encoded")
    a.add_argument("--out", required=True, help="checkpoint to write, .safetensors; may be the same file")
    start = a.add_mutually_exclusive_group()
    start.add_argument(
        "--hidden",
        type=int,
        nargs="+",
        default=[],
        metavar="N",
        help="widths of an ESVAE's new hidden layers, one or two (none)",
    )
    start.add_argument("--further", action="store_true", help="go on from the hidden layers that an ESVAE has")
    a.add_argument(
        "--decoded",
        action="store_true",
        help="the critic sees pictures, too: what is decoded of latents; for the end, it takes longer and mends details",
    )
    a.add_argument(
        "--minutes", type=float, default=20, help="for which hidden layers, or an FSVAE's prior, learn (%(default)s)"
    )
    a.add_argument("--seed", type=int, default=0, help="of what they learn with (%(default)s)")
    a.add_argument("--threads", type=int, help="CPU threads (all)")
    a = a.parse_args(arguments)
    with reported():
        if a.hidden and (len(a.hidden) > MOST_HIDDEN or min(a.hidden) < 1):
            widths = " ".join(map(str, a.hidden))
            raise InputError(f"--hidden: expected 1 to {MOST_HIDDEN} widths from 1 on, found {widths}")
        if not 0 < a.minutes < math.inf:
            raise InputError(f"--minutes: expected more than 0, found {a.minutes:g}")
        if a.threads is not None:
            if a.threads < 1:
                raise InputError(f"--threads: expected 1 or more, found {a.threads}")
            torch.set_num_threads(a.threads)
        fitted(a)


def report(step, share):
    print(f"{step} steps, {share:.0%}", flush=True)


def fitted(a):
    """Writes the checkpoint with its prior fitted."""
    net = load(a.model)
    if isinstance(net, FSVAE) and a.hidden:
        raise InputError(f"{a.model}: --hidden: expected an ESVAE, found an FSVAE, whose prior is spiking layers")
    if a.further and not isinstance(net, FSVAE) and not net.hidden:
        raise InputError(f"{a.model}: --further: expected an ESVAE with hidden layers, found none in front of its rates")
    if a.decoded and not (a.further or isinstance(net, FSVAE)):
        raise InputError("--decoded: expected --further with it, for an ESVAE")
    images = pictures.for_network(a.data, "train", net)
    layers = {
        name: value for name, value in prior_fitted(a, net, images).items() if name.startswith(f"{net.prior_part}.")
    }
    found = tensors(a.model)
    half = any(value.dtype == torch.float16 for value in found.values())
    # Whatever was there before, with or without hidden layers.
    found = {name: value for name, value in found.items() if not name.startswith(f"{net.prior_part}.")}
    found |= rounded(layers, half)
    replace(a.out, lambda path: save_file(found, path))
    what = "latents" if isinstance(net, FSVAE) else "rates"
    print(f"{a.out}: {net.prior_part} fitted to the {what} of {len(images)} images")


def prior_fitted(a, net, images):
    """The state dict of the network with its prior fitted."""
    budget = dict(seconds=60 * a.minutes, seed=a.seed, report=report)
    if isinstance(net, FSVAE):
        net.prior = adversary.fit_further(net, images, a.decoded, **budget)
        return clocks.set_apart(net, net.state_dict())[0]
    if a.further:
        net.sample_layer = adversary.fit_further(net, images, a.decoded, **budget)
    elif a.hidden:
        net.sample_layer = adversary.fit(counts(net, images) / net.steps, a.hidden, **budget)
    else:
        net.sample_layer = rate_layers(net.latent, ())
        weight, bias = fit(counts(net, images), net.steps)
        net.sample_layer.load_state_dict({"0.weight": weight, "0.bias": bias})
    return net.state_dict()


if __name__ == "__main__":
    main()
