"""Fits the layers in front of an ESVAE's rates against a critic: an adversarial network of rates, not of pictures.

What draws samples maps normal numbers to rates, and a critic learns to tell them from what the encoder makes of the
training images (Goodfellow and others, 2014; penalty on the critic's gradient at what is real, Mescheder and others,
2018). No convolution runs, so a step takes milliseconds. The critic sees rates with noise, less than that of drawing T
spikes from them: the encoder's are multiples of 1 / T, which the prior's need not be.
"""

import copy
import time
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from .network import rate_layers

#: Rates of a batch, and of a group whose spread the critic sees.
BATCH, GROUP = 128, 8
#: Width of the critic's layers.
CRITIC = 256
#: Adam's rates of the prior and of the critic, which go down to this share in the second half.
RATE, CRITIC_RATE, LAST = 2e-4, 4e-4, 0.02
#: Standard deviation of the noise.
NOISE = 0.05
#: Weight of the penalty, and the steps in which it is taken once.
PENALTY, EVERY = 0.3, 16
#: What is kept is the average of the prior's weights, this much of it a step.
KEPT = 0.999


class Critic(nn.Module):
    def __init__(self, channels):
        super().__init__()
        widths = [channels + 1, CRITIC, CRITIC, CRITIC]
        layers = [
            layer for inputs, outputs in pairwise(widths) for layer in (nn.Linear(inputs, outputs), nn.LeakyReLU(0.2))
        ]
        self.layers = nn.Sequential(*layers, nn.Linear(CRITIC, 1))

    def forward(self, rates):
        """How much rates `[N, C]` are like the encoder's. Groups have no spread where a prior gives the same all over."""
        spread = rates.view(-1, GROUP, rates.shape[1]).std(1).mean(1, keepdim=True).repeat_interleave(GROUP, 0)
        return self.layers(torch.cat([(rates - 0.5) * 3, spread * GROUP - 1], 1))


def first_layers(rates, hidden):
    """Layers whose rates have the mean of `rates` `[N, C]`, and vary."""
    layers = rate_layers(rates.shape[1], hidden)
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        for layer in linear:
            nn.init.kaiming_normal_(layer.weight)
            layer.bias.zero_()
        linear[-1].weight.mul_(0.5)
        linear[-1].bias.copy_(rates.mean(0).clamp(1e-3, 1 - 1e-3).logit())
    return layers


def fit(rates, hidden, seconds=None, steps=None, seed=0, report=None):
    """Layers that make rates like `rates` `[N, C]` of normal numbers, with hidden ones of these widths.

    The budget is `steps`, or else `seconds`. `report(step, share)` is called every thousand steps.
    """
    random = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        return _fit(rates, hidden, seconds, steps, report)
    finally:
        torch.random.set_rng_state(random)


def _fit(rates, hidden, seconds, steps, report):
    channels = rates.shape[1]
    prior, critic = first_layers(rates, hidden), Critic(channels)
    average = copy.deepcopy(prior)
    both = [(prior, RATE), (critic, CRITIC_RATE)]
    adam = [torch.optim.Adam(net.parameters(), rate, betas=(0.0, 0.99), fused=True) for net, rate in both]

    def drawn():
        made = prior(torch.randn(BATCH, channels))
        return made + NOISE * torch.randn_like(made)

    def learn(optimizer, loss):
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    begun, step = time.monotonic(), 0
    while (share := step / steps if steps else (time.monotonic() - begun) / seconds) < 1:
        for optimizer, (_, rate) in zip(adam, both, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * min(1.0, 2 - 2 * share + LAST)
        real = rates[torch.randint(len(rates), (BATCH,))]
        real = real + NOISE * torch.randn_like(real)
        penalised = step % EVERY == 0
        real.requires_grad_(penalised)
        with torch.no_grad():
            made = drawn()
        of_real = critic(real)
        loss = F.softplus(-of_real).mean() + F.softplus(critic(made)).mean()
        if penalised:
            (slope,) = torch.autograd.grad(of_real.sum(), real, create_graph=True)
            loss = loss + EVERY * PENALTY / 2 * slope.square().sum(1).mean()
        learn(adam[1], loss)
        critic.requires_grad_(False)
        learn(adam[0], F.softplus(-critic(drawn())).mean())
        critic.requires_grad_(True)
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(prior.parameters()), 1 - KEPT)
        step += 1
        if report and step % 1000 == 0:
            report(step, share)
    return average
