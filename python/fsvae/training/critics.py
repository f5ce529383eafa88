"""Critics that learn to tell what a network makes from pictures, while it learns to make what they cannot tell.

A loss of errors alone is smallest for a mixture of what a picture may be: mouths are blurred, hair is grey. A critic
takes a mixture for none (Goodfellow and others, 2014), so what is unsure comes out as one thing or another. One critic
sees pictures: samples, and reconstructions half as much (Larsen and others, 2016). An ESVAE's rates, drawn and encoded,
have a second one (adversary.py), which needs no decoder. Each is held by a penalty on its gradient at what is real
(Mescheder and others, 2018).
"""

import torch
import torch.nn.functional as F
from torch import nn

from . import adversary

#: Channels of the first layer, and the most there are.
WIDTH, MOST = 64, 256
#: What reconstructions count beside samples.
RECONSTRUCTIONS = 0.5
#: Weights of the penalties of pictures and of rates.
PENALTY, RATES_PENALTY = 0.3, 0.3
#: Adam's rate and moments.
RATE, MOMENTS = 3e-4, (0.0, 0.99)
#: The share of the budget in which the critics learn alone, and the one in which the network comes to listen to them.
ALONE, RISE = 0.025, 0.025


class Eye(nn.Module):
    """How much pictures `[N, channels, side, side]` in [-1, 1] are like those trained on: `[N, 1]`."""

    def __init__(self, side, channels):
        super().__init__()
        layers, width = [nn.Conv2d(channels, WIDTH, 3, 1, 1), nn.LeakyReLU(0.2)], WIDTH
        while side > 4:
            inputs, width, side = width, min(2 * width, MOST), side // 2
            layers += [nn.Conv2d(inputs, width, 3, 2, 1), nn.LeakyReLU(0.2)]
            if side > 4:
                layers += [nn.Conv2d(width, width, 3, 1, 1), nn.LeakyReLU(0.2)]
        self.features = nn.Sequential(*layers)
        self.last = nn.Sequential(
            nn.Conv2d(width + 1, width, 3, 1, 1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(width * side**2, 1)
        )

    def forward(self, pictures):
        seen = self.features(2 * pictures)
        # Pictures that are all alike have no spread.
        groups = seen.unflatten(0, (-1, adversary.GROUP))
        spread = (groups.var(1) + 1e-6).sqrt().mean((1, 2, 3)).view(-1, 1, 1, 1, 1)
        spread = spread.expand(-1, adversary.GROUP, 1, *seen.shape[2:]).flatten(0, 1)
        return self.last(torch.cat([seen, spread], 1))


class Critics:
    """The critics of a network and their optimizer. `state` and `restore` are all of them."""

    def __init__(self, net, device):
        self.eye = Eye(net.side, net.channels).to(device)
        self.of_rates = adversary.Critic(net.latent).to(device) if net.prior_part == "sample_layer" else None
        self.all = nn.ModuleList([self.eye, *([self.of_rates] if self.of_rates else [])])
        self.optimizer = torch.optim.Adam(self.all.parameters(), RATE, betas=MOMENTS, fused=True)

    def learn(self, real, again, q, p, sampled, generator, rate):
        """One step of the critics, by what the network makes now; `rate` is a share of their own."""
        real, again, q, p, sampled = in_groups(real, again, q, p, sampled)
        for group in self.optimizer.param_groups:
            group["lr"] = RATE * rate
        half = RECONSTRUCTIONS / 2
        loss = self._told(self.eye, real, [(1 - half, sampled), (half, again)], PENALTY)
        if self.of_rates:
            loss = loss + self._told(self.of_rates, noisy(q, generator), [(1.0, noisy(p, generator))], RATES_PENALTY)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()

    @staticmethod
    def _told(critic, real, made, penalty):
        """How badly a critic tells what is real from each of `made`, which have weights, and the penalty."""
        real = real.detach().requires_grad_(True)
        of_real = critic(real)
        (slope,) = torch.autograd.grad(of_real.sum(), real, create_graph=True)
        loss = F.softplus(-of_real).mean() + penalty / 2 * slope.flatten(1).square().sum(1).mean()
        return loss + sum(weight * F.softplus(critic(one.detach())).mean() for weight, one in made)

    def fooled(self, again, p, sampled, generator):
        """The network's loss: how well the critics tell what it makes from what is real."""
        again, p, sampled = in_groups(again, p, sampled)
        self.all.requires_grad_(False)
        loss = F.softplus(-self.eye(sampled)).mean() + RECONSTRUCTIONS * F.softplus(-self.eye(again)).mean()
        if self.of_rates:
            loss = loss + F.softplus(-self.of_rates(noisy(p, generator))).mean()
        self.all.requires_grad_(True)
        return loss

    def state(self):
        return dict(critics=self.all.state_dict(), optimizer=self.optimizer.state_dict())

    def restore(self, state):
        self.all.load_state_dict(state["critics"])
        self.optimizer.load_state_dict(state["optimizer"])


def in_groups(*batches):
    """What critics see of batches: whole groups, in single precision."""
    return [batch[: len(batch) // adversary.GROUP * adversary.GROUP].float() for batch in batches]


def listening(progress):
    """The share of its rate at which the network learns: none at first, for the critics know nothing yet."""
    return min(1.0, max(0.0, (progress - ALONE) / RISE))


def noisy(rates, generator):
    noise = torch.randn(rates.shape, generator=generator, device=generator.device, dtype=rates.dtype)
    return rates + adversary.NOISE * noise
