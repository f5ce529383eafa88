"""Fits what draws the samples of a trained ESVAE to what its encoder makes of the training images, after one pass of the
encoder.

    fsvae-fit-prior faces.safetensors --data faces16.npz --out faces-fitted.safetensors
    fsvae-fit-prior faces.safetensors --data faces16.npz --out faces-fitted.safetensors --hidden 256 256 --minutes 20

While the whole network trains, nothing but a small term ties the prior's rates to the encoder's, so samples are less
coherent than reconstructions.

Without `--hidden` there is one linear layer, and it takes seconds. The prior is then a logit-normal distribution: rates
r = sigmoid(W n + b), n from N(0, I). Its first two moments are fitted to those of the encoder's rates: b and the
variance of each channel from the mean and variance of its rates, the correlation of each pair of channels from the
covariance of theirs. W is the symmetric root of the covariance found, without what is negative in it.

With `--hidden` there are one or two hidden layers in front of the rates, which can draw clusters, as the rates of
pictures have them; they learn against a critic (adversary.py) for as long as `--minutes` says. The checkpoint is one that
`fsvae` loads like any other (integer machine, section 8b).
"""

import argparse
import math
from functools import partial

import numpy as np
import torch
from safetensors.torch import save_file

from . import adversary, pictures
from .checkpoint import load, replace, rounded, tensors
from .errors import InputError, reported
from .network import ESVAE, MOST_HIDDEN, rate_layers

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
    a.add_argument("model", help="checkpoint of an ESVAE, .safetensors")
    a.add_argument("--data", required=True, help="as fsvae-train's; its part `train` is encoded")
    a.add_argument("--out", required=True, help="checkpoint to write, .safetensors; may be the same file")
    a.add_argument(
        "--hidden", type=int, nargs="+", default=[], metavar="N", help="widths of hidden layers, one or two (none)"
    )
    a.add_argument("--minutes", type=float, default=20, help="for which hidden layers learn (%(default)s)")
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
    """Writes the checkpoint with its sample layer fitted."""
    net = load(a.model)
    if not isinstance(net, ESVAE):
        raise InputError(f"{a.model}: expected an ESVAE, found an FSVAE: its prior is a network of spiking neurons")
    images = pictures.for_network(a.data, "train", net)
    counted = counts(net, images)
    if a.hidden:
        layers = adversary.fit(counted / net.steps, a.hidden, seconds=60 * a.minutes, seed=a.seed, report=report)
    else:
        layers = rate_layers(net.latent, ())
        weight, bias = fit(counted, net.steps)
        layers.load_state_dict({"0.weight": weight, "0.bias": bias})
    found = tensors(a.model)
    half = any(value.dtype == torch.float16 for value in found.values())
    # Whatever was there before, with or without hidden layers.
    found = {name: value for name, value in found.items() if not name.startswith("sample_layer.")}
    found |= rounded({f"sample_layer.{name}": value for name, value in layers.state_dict().items()}, half)
    replace(a.out, lambda path: save_file(found, path))
    print(f"{a.out}: sample layer fitted to the rates of {len(images)} images")


if __name__ == "__main__":
    main()
