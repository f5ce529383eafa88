"""What ties a network's posterior to its prior."""

import torch


def rates(candidates):
    """Spike rates `[T, B, C]` of the candidates of a latent channel, in single precision at least."""
    return candidates.to(torch.promote_types(candidates.dtype, torch.float32)).mean(3)


def mmd(q, p, tau=2.0):
    """Mean squared difference of the rates after the postsynaptic filter h_t = h_{t-1} + (r_t - h_{t-1}) / tau."""
    difference, filtered, total = rates(q) - rates(p), 0.0, 0.0
    for d in difference:
        filtered = filtered + (d - filtered) / tau
        total = total + filtered.square().mean()
    return total / len(difference)


def kld(q, p, epsilon=1e-3):
    """Kullback-Leibler divergence of the rates as Bernoulli probabilities, summed over channels and steps."""
    q, p = rates(q).clamp(epsilon, 1 - epsilon), rates(p).clamp(epsilon, 1 - epsilon)
    both = q * (q / p).log() + (1 - q) * ((1 - q) / (1 - p)).log()
    return both.sum((0, 2)).mean()


def gaussian_mmd(a, b, kernels=5, factor=2.0):
    """Squared maximum mean discrepancy of two samples `[N, C]`, by a sum of Gaussian kernels around the mean distance."""
    both = torch.cat([a, b])
    squares = both.square().sum(1)
    distance = (squares[:, None] + squares[None] - 2 * both @ both.T).clamp_min(0)
    n, m = len(both), len(a)
    middle = distance.detach().sum() / (n * n - n)
    k = sum(torch.exp(-distance / (middle * factor ** (i - kernels // 2))) for i in range(kernels))
    return k[:m, :m].mean() + k[m:, m:].mean() - 2 * k[:m, m:].mean()
