"""The same network as fsvae.training.network, unfused: a loop over time steps around PyTorch's own layers and autograd.

Slow and plain on purpose, to hold the fused kernels against. Takes the parameters of a `network.FSVAE`.
"""
import torch
import torch.nn.functional as F

THRESHOLD, DECAY, WINDOW = 0.2, 0.25, 0.5


class Fire(torch.autograd.Function):
    """A step function whose derivative is taken as 1 where |u| < 0.5 and 0 elsewhere (paper, section 3)."""

    @staticmethod
    def forward(ctx, u):
        ctx.save_for_backward(u)
        return (u > THRESHOLD).to(u.dtype)

    @staticmethod
    def backward(ctx, grad):
        (u,) = ctx.saved_tensors
        return grad * (u.abs() < WINDOW)


def neurons(currents):
    """Spikes `[T, ...]` of leaky integrate-and-fire neurons."""
    u, s, out = 0.0, 0.0, []
    for x in currents:
        u = DECAY * u * (1 - s) + x
        s = Fire.apply(u)
        out.append(s)
    return torch.stack(out)


def layer(module, x, alpha=1.0, repeat=0):
    """Spikes `[T, B, ...]` of a layer for inputs of that shape; the norm is over all steps at once."""
    steps, weight = x.shape[0], module.weight.squeeze(-1) if module.weight.dim() == 5 else module.weight
    kind = type(module).__name__
    x = x.flatten(0, 1)
    if kind == "Linear":
        x = F.linear(x, weight, module.bias)
    elif kind == "Conv":
        x = F.conv2d(x, weight, module.bias, 2, 1)
    else:
        x = F.conv_transpose2d(x, weight, module.bias, 2, 1, 1)
    x = F.batch_norm(x, None, None, alpha * THRESHOLD * module.bn.weight, module.bn.bias, training=True, eps=1e-5)
    x = x.unflatten(0, (steps, -1))
    return neurons(x.expand(repeat, *x.shape[1:]) if repeat else x)


def stack(autoregressive, x):
    for module in autoregressive.layers:
        x = layer(module, x, alpha=2.0)
    return x.unflatten(2, (autoregressive.latent, autoregressive.k))


def encode(net, images):
    x = layer(net.encoder[0], images.unsqueeze(0), repeat=net.steps)
    for module in net.encoder[1:]:
        x = layer(module, x)
    return layer(net.before_latent_layer, x.flatten(2))


def decode(net, z):
    x = layer(net.decoder_input, z).unflatten(2, (-1, 2, 2))
    for module in [*net.decoder, net.final_layer[0]]:
        x = layer(module, x)
    out, last, coef = 0.0, net.final_layer[1], net.membrane_output_layer.coef.flatten()
    for t, spikes in enumerate(x):
        out = out + coef[t] * F.conv_transpose2d(spikes, last.weight.squeeze(-1), last.bias, 1, 1)
    return torch.tanh(out)


def mmd(q, p, tau=2.0):
    filtered_q, filtered_p, total = 0.0, 0.0, 0.0
    for rate_q, rate_p in zip(q.mean(3), p.mean(3)):
        filtered_q = filtered_q + (rate_q - filtered_q) / tau
        filtered_p = filtered_p + (rate_p - filtered_p) / tau
        total = total + ((filtered_q - filtered_p) ** 2).mean()
    return total / len(q)


class Drawn(torch.autograd.Function):
    """Whether a rate is above a uniform number; the derivative is taken as 1 where they differ by less than 0.5."""

    @staticmethod
    def forward(ctx, rate, uniform):
        ctx.save_for_backward(rate, uniform)
        return (rate > uniform).to(rate.dtype)

    @staticmethod
    def backward(ctx, grad):
        rate, uniform = ctx.saved_tensors
        return grad * ((rate - uniform).abs() < WINDOW), None


def gaussian_mmd(a, b):
    """Five kernels, pair by pair."""
    both = torch.cat([a, b])
    distance = ((both[:, None] - both[None]) ** 2).sum(2)
    n = len(both)
    middle = distance.detach().sum() / (n * (n - 1))
    kernel = sum(torch.exp(-distance / (middle * factor)) for factor in (0.25, 0.5, 1, 2, 4))
    m = len(a)
    return kernel[:m, :m].mean() + kernel[m:, m:].mean() - kernel[:m, m:].mean() - kernel[m:, :m].mean()


class Floor(torch.autograd.Function):
    """Straight through."""

    @staticmethod
    def forward(ctx, x):
        return x.floor()

    @staticmethod
    def backward(ctx, grad):
        return grad


def prior_rates(net, x):
    """Hidden layers, if there are any: numbers of 64ths up to 255; then the logistic function."""
    *hidden, last = [layer for layer in net.sample_layer if isinstance(layer, torch.nn.Linear)]
    for layer in hidden:
        x = x @ layer.weight.T + layer.bias
        inside = (x.detach() > 0) & (x.detach() < 4)
        x = torch.where(inside, Floor.apply(x * 64) / 64, torch.where(x.detach() > 0, 255 / 64, 0.0).to(x.dtype))
    return torch.sigmoid(x @ last.weight.T + last.bias)


def esvae_loss(net, images, uniform, normal, weight):
    """MSE and MMD of an ESVAE, given what is drawn."""
    rates = encode(net, images).mean(0)
    z = torch.stack([Drawn.apply(rates, u) for u in uniform])
    prior = prior_rates(net, normal)
    return (decode(net, z) - images).square().mean() + weight * gaussian_mmd(rates, prior)


def loss(net, images, draws, previous_q, previous_p):
    """MSE and MMD, given which neurons are drawn and what posterior and prior see as the last step's z."""
    q = stack(net.posterior, torch.cat([encode(net, images), previous_q], 2))
    z = q.gather(3, draws.unsqueeze(3)).squeeze(3)
    p = stack(net.prior, previous_p)
    return (decode(net, z) - images).square().mean() + mmd(q, p)
