"""Fits what draws samples against a critic: an adversarial network of latents.

An ESVAE's prior maps normal numbers to rates, an FSVAE's draws latent spikes step by step. A critic learns to tell
either from what the encoder makes of the training images (Goodfellow and others, 2014; penalty on the critic's gradient
at what is real, Mescheder and others, 2018). No picture is decoded for that, so a step takes a small part of a second.
The critic sees latents with noise, less than that of drawing T spikes from rates: the encoder's are multiples of 1 / T,
which the prior's need not be.

It may see what is decoded of the latents, too, which takes longer: small parts of a picture, such as a mouth, are a small
part of the latents.
"""

import copy
import time
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from .layers import READOUT
from .network import rate_layers

#: Latents of a batch, and of a group whose spread the critic sees.
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
#: Steps in which the critic of a prior that has learned before learns alone.
ALONE = 200
#: What the critic multiplies rates by, less a half; and the least that a value of pictures differs, in [-1, 1].
RATES_BY, LEAST_SPREAD = 3, 0.02


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
        return self.layers(torch.cat([(rates - 0.5) * RATES_BY, spread * GROUP - 1], 1))


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


def fit(rates, hidden, **budget):
    """New layers that make rates like `rates` `[N, C]` of normal numbers, with hidden ones of the widths `hidden`. The
    budget: `against_critic`."""

    def layers_and_drawn():
        prior = first_layers(rates, hidden)
        return prior, lambda: prior(torch.randn(BATCH, rates.shape[1]))

    return against_critic(rates, layers_and_drawn, alone=0, **budget)


def fit_further(net, images, decoded=False, **budget):
    """What becomes of a network's prior, whose latents then are like those of `images`.

    These are uint8 `[N, channels, side, side]`. With `decoded` the critic sees what is decoded of the latents, too.
    The budget: `against_critic`.
    """
    learner = copy.deepcopy(net)
    learner.only_prior_learns()
    seen = encoded(learner, images, decoded)
    scale = Scale(seen[:, -images[0].size :]) if decoded else None
    part = learner.get_submodule(learner.prior_part)
    make = drawn_of_rates if learner.prior_part == "sample_layer" else drawn_by_steps
    return against_critic(
        scaled(seen, scale), lambda: (part, lambda: scaled(make(learner, decoded), scale)), alone=ALONE, **budget
    )


def encoded(net, images, decoded):
    """What a critic sees of the latents of images: `[N, F]`, and behind it what is decoded of them."""
    generator, seen = torch.Generator().manual_seed(0), []
    with torch.inference_mode():
        for i in range(0, len(images), 250):
            x = torch.from_numpy(images[i : i + 250]).float() / 127.5 - 1
            if net.prior_part == "sample_layer":
                rates = net.posterior_rates(x, x.dtype)
                seen.append(beside(net, rates, net.spikes(rates, generator), decoded))
            else:
                latents = net.encode(x)
                _, z = net.posterior.roll(net.draw(len(x), generator), x.dtype, latents=latents)
                seen.append(beside(net, filtered(z), z, decoded))
    return torch.cat(seen)


def drawn_of_rates(net, decoded):
    """The same of rates that an ESVAE's prior makes of normal numbers, `[BATCH, F]`."""
    rates = net.prior_rates(BATCH, torch.default_generator)
    return beside(net, rates, net.spikes(rates, torch.default_generator) if decoded else None, decoded)


def drawn_by_steps(net, decoded):
    """The same of latents that an FSVAE's prior draws step by step: first without a gradient, then all time steps at once
    from what was drawn, as when the whole network trains."""
    draws = net.draw(BATCH, torch.default_generator)
    inputs, _ = net.prior.roll(draws, torch.float32)
    z = net.prior(inputs).gather(3, draws.unsqueeze(3)).squeeze(3)
    return beside(net, filtered(z), z, decoded)


def beside(net, latents, spikes, decoded):
    return torch.cat([latents, net.decode(spikes).flatten(1)], 1) if decoded else latents


class Scale:
    """Values of pictures `[N, F]` by how much each differs: a mouth is small, and its colours are near the skin's."""

    def __init__(self, pictures):
        self.mean, self.spread = pictures.mean(0), pictures.std(0).clamp_min(LEAST_SPREAD)

    def __call__(self, pictures):
        # As the critic takes a rate in the middle: nothing.
        return 0.5 + (pictures - self.mean) / (RATES_BY * self.spread)


def scaled(seen, scale):
    if not scale:
        return seen
    latents, pictures = seen.split([seen.shape[1] - len(scale.mean), len(scale.mean)], 1)
    return torch.cat([latents, scale(pictures)], 1)


def filtered(spikes):
    """What the critic sees of latent spikes `[T, B, C]`: `[B, 3 * C]`, three means over time of each channel.

    The first weights time steps as the readout does, the others are of the last quarter and of the one before. Of early
    steps there is little in it: all a prior can do there is to draw at random, for it has drawn nothing yet.
    """
    steps = len(spikes)
    at, quarter = torch.arange(steps), max(1, steps // 4)
    last, before = at >= steps - quarter, (at >= steps - 2 * quarter) & (at < steps - quarter)
    weights = torch.stack(
        [READOUT ** (steps - 1 - at.double()), last.double(), (before if before.any() else last).double()]
    )
    weights = (weights / weights.sum(1, keepdim=True)).to(spikes.dtype)
    return torch.einsum("wt,tbc->bwc", weights, spikes).flatten(1)


def against_critic(real, prior_and_drawn, alone, seconds=None, steps=None, seed=0, report=None):
    """What becomes of a prior, for which a critic tells `real` `[N, F]` from what it draws.

    `prior_and_drawn()` are the prior and what draws `[BATCH, F]` with it. The critic learns alone for `alone` steps.
    The budget is `steps`, or else `seconds`. `report(step, share)` is called every 500 steps.
    """
    random = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        return _against_critic(real, *prior_and_drawn(), alone, seconds, steps, report)
    finally:
        torch.random.set_rng_state(random)


def _against_critic(all_real, prior, drawn, alone, seconds, steps, report):
    critic, average = Critic(all_real.shape[1]), copy.deepcopy(prior)
    both = [(prior, RATE), (critic, CRITIC_RATE)]
    adam = [torch.optim.Adam(net.parameters(), rate, betas=(0.0, 0.99), fused=True) for net, rate in both]

    def noisy(latents):
        return latents + NOISE * torch.randn_like(latents)

    def learn(optimizer, loss):
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    begun, step = time.monotonic(), 0
    while (share := step / steps if steps else (time.monotonic() - begun) / seconds) < 1:
        for optimizer, (_, rate) in zip(adam, both, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * min(1.0, 2 - 2 * share + LAST)
        real = noisy(all_real[torch.randint(len(all_real), (BATCH,))])
        penalised = step % EVERY == 0
        real.requires_grad_(penalised)
        made = drawn()
        of_real = critic(real)
        loss = F.softplus(-of_real).mean() + F.softplus(critic(noisy(made.detach()))).mean()
        if penalised:
            (slope,) = torch.autograd.grad(of_real.sum(), real, create_graph=True)
            loss = loss + EVERY * PENALTY / 2 * slope.square().sum(1).mean()
        learn(adam[1], loss)
        if step >= alone:
            critic.requires_grad_(False)
            learn(adam[0], F.softplus(-critic(noisy(made))).mean())
            critic.requires_grad_(True)
        keep_average(average, prior)
        step += 1
        if report and step % 500 == 0:
            report(step, share)
    return average


@torch.no_grad()
def keep_average(average, now):
    """Takes a little of what a prior is now into its average."""
    kept = average.state_dict()
    for name, value in now.state_dict().items():
        if value.is_floating_point():
            kept[name].lerp_(value, 1 - KEPT)
        else:
            kept[name].copy_(value)
