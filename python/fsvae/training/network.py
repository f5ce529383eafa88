"""Spiking variational autoencoders for training: FSVAE (Kamata, Mukuta, Harada, AAAI 2022, arXiv 2110.00375), and ESVAE
(Zhan and others, arXiv 2310.14839), which has the same encoder and decoder and a rate for each latent channel.

Written from the papers, with the tensor names and shapes of their reference implementations, so that both they and
fsvae load what is trained here. Time is folded into the batch, time step first: spikes are `[T * B, ...]`.
"""

from contextlib import contextmanager
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from . import lif
from .layers import Bernoulli, Coefficients, Conv, Deconv, Linear, Readout, Units

#: The most time steps that the integer machine's spike words hold.
MOST_STEPS = 32
#: Hidden layers in front of an ESVAE's rates.
MOST_HIDDEN = 2


class Autoregressive(nn.Module):
    """Three layers that say the next step's latent from the last one's: the prior, and with an input the posterior."""

    def __init__(self, inputs, latent, k):
        super().__init__()
        self.latent, self.k = latent, k
        widths = [inputs, 2 * latent, 4 * latent, latent * k]
        self.layers = nn.ModuleList(Linear(i, o, alpha=2.0) for i, o in pairwise(widths))
        self.register_buffer("initial_input", torch.zeros(1, latent, 1))

    @torch.no_grad()
    def roll(self, draws, dtype, latents=None, given=None, replace=None):
        """Draws z step by step with the running statistics, carrying the membrane potentials.

        `draws` `[T, B, C]` are the neurons drawn, `latents` `[T, B, C]` the posterior's input. With `given`
        `[T, B, C]` that is the input at all steps but where `replace` `[T, B]` is true (scheduled sampling).
        Returns the inputs the layers saw, `[T, B, C]`, and the z drawn.
        """
        steps, batch, _ = draws.shape
        kernel, device = lif.kernels(draws.device), draws.device
        folded = [(layer.weight.to(dtype), *layer.affine(dtype)) for layer in self.layers]
        us = [torch.zeros(batch, w.shape[0], dtype=scale.dtype, device=device) for w, scale, _ in folded]
        z, inputs, drawn = torch.zeros(batch, self.latent, dtype=dtype, device=device), [], []
        for t in range(steps):
            inputs.append(z)
            x = z if latents is None else torch.cat([latents[t], z], 1)
            for i, (weight, scale, shift) in enumerate(folded):
                us[i], x = kernel.step(F.linear(x, weight), scale, shift, us[i])
            z = x.view(batch, self.latent, self.k).gather(2, draws[t].unsqueeze(2)).squeeze(2)
            drawn.append(z)
            if given is not None:
                z = torch.where(replace[t].unsqueeze(1), z, given[t])
        return torch.stack(inputs), torch.stack(drawn)

    def forward(self, x):
        """Spikes `[T, B, C, k]` of all candidates, for inputs `[T, B, inputs]`."""
        steps, batch, _ = x.shape
        x = x.flatten(0, 1)
        for layer in self.layers:
            x = layer(x, steps)
        return x.view(steps, batch, self.latent, self.k)


class Autoencoder(nn.Module):
    """Encoder, decoder and readout: what both families share. A family says how latent spikes are drawn."""

    def __init__(self, side, channels, steps, latent, width):
        super().__init__()
        depth = side.bit_length() - 2
        if side != 2 ** (depth + 1) or depth < 1:
            raise ValueError(f"the side must be a power of two from 4 on, found {side}")
        if not 1 <= steps <= MOST_STEPS:
            raise ValueError(f"the time steps must be 1 to {MOST_STEPS}, found {steps}")
        self.side, self.channels, self.steps, self.latent = side, channels, steps, latent
        widths = [width << i for i in range(depth)]
        self.encoder = nn.ModuleList(Conv(i, o) for i, o in pairwise([channels, *widths]))
        self.before_latent_layer = Linear(widths[-1] * 4, latent)
        self.sampler()
        self.decoder_input = Linear(latent, widths[-1] * 4)
        back = widths[::-1]
        self.decoder = nn.ModuleList(Deconv(i, o) for i, o in pairwise(back))
        self.final_layer = nn.ModuleList([Deconv(width, width), Readout(width, channels)])
        self.membrane_output_layer = Coefficients(steps)

    #: The part that draws latent spikes without a picture.
    prior_part = ""

    def sampler(self):
        """Makes the layers that latent spikes are drawn with."""
        raise NotImplementedError

    def only_prior_learns(self):
        """Everything else stays as it is: its weights, and its running statistics in place of those of a batch."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.startswith(self.prior_part))
        self.eval()
        self.get_submodule(self.prior_part).train()

    def trained(self):
        """Lists of parameters and the factor of the learning rate of each. Biases before a batch norm are left out."""
        ours = [
            p
            for n, p in self.named_parameters()
            if not n.startswith("sample_layer.") and (not n.endswith(".bias") or ".bn." in n or n == "final_layer.1.bias")
        ]
        return [(ours, 1.0)]

    @contextmanager
    def shortened(self, steps):
        """Runs the first `steps` time steps only, and the last coefficients, scaled to the sum of all of them."""
        everything, self.steps = self.steps, steps
        try:
            yield
        finally:
            self.steps = everything

    def coefficients(self, dtype):
        coef = self.membrane_output_layer.coef.flatten()
        last = coef[-self.steps :]
        return (last * (coef.sum() / last.sum())).to(torch.promote_types(dtype, torch.float32)).contiguous()

    def encode(self, images):
        """The encoder's spikes `[T, B, C]` for images `[B, channels, side, side]` in [-1, 1]."""
        x, batch = images.to(memory_format=torch.channels_last), images.shape[0]
        for i, layer in enumerate(self.encoder):
            x = layer(x, self.steps, repeat=i == 0)
        # The reference flattens channel, y, x.
        x = x.contiguous(memory_format=torch.contiguous_format).flatten(1)
        return self.before_latent_layer(x, self.steps).view(self.steps, batch, self.latent)

    def decode(self, z):
        """Images in (-1, 1) of latent spikes `[T, B, C]`."""
        steps, batch, _ = z.shape
        x = self.decoder_input(z.flatten(0, 1), steps).view(steps * batch, -1, 2, 2)
        x = x.contiguous(memory_format=torch.channels_last)
        for layer in self.decoder:
            x = layer(x, steps)
        read = self.coefficients(x.dtype)
        x = self.final_layer[0](x, steps, coef=read)
        return torch.tanh(self.final_layer[1](x.to(read.dtype), read.sum()))

    def decode_both(self, z, of_samples, learns):
        """Reconstructions and samples; together where what made z learns, for the batch norm is one over both."""
        if learns:
            return self.decode(torch.cat([z, of_samples], 1)).split(z.shape[1])
        with torch.no_grad():
            again = self.decode(z)
        return again, self.decode(of_samples)


def rate_layers(latent, hidden):
    """From normal numbers to rates, by way of hidden layers of these widths."""
    layers, inputs = [], latent
    for width in hidden:
        layers += [nn.Linear(inputs, width), Units()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, latent), nn.Sigmoid())


class FSVAE(Autoencoder):
    prior_part = "prior"

    def __init__(self, side=32, channels=1, steps=16, latent=128, k=20, width=32):
        self.k = k
        super().__init__(side, channels, steps, latent, width)

    def sampler(self):
        self.posterior = Autoregressive(2 * self.latent, self.latent, self.k)
        self.prior = Autoregressive(self.latent, self.latent, self.k)

    def draw(self, batch, generator):
        """Which neuron each latent channel draws, `[T, B, C]`."""
        shape = self.steps, batch, self.latent
        return torch.randint(self.k, shape, generator=generator, device=generator.device)

    def forward(self, images, generator, scheduled=0.0, scheduled_from=5, dtype=torch.float32, samples=False):
        """Reconstructions, and the candidates of posterior and prior `[T, B, C, k]`, of a batch of images.

        The posterior's z are drawn without gradient first; then all steps are computed at once with z as input
        and the same draws. The prior sees the posterior's z, or from step `scheduled_from` on with probability
        `scheduled` its own. With `samples` there are as many images from the prior, too, made like reconstructions.
        """
        batch = images.shape[0]
        latents = self.encode(images.to(dtype))
        draws = self.draw(batch, generator)
        previous, _ = self.posterior.roll(draws, dtype, latents=latents.detach())
        q = self.posterior(torch.cat([latents, previous], 2))
        z = q.gather(3, draws.unsqueeze(3)).squeeze(3)
        previous = torch.cat([torch.zeros_like(z[:1]), z[:-1].detach()])
        if scheduled > 0:
            replace = torch.rand(self.steps, batch, generator=generator, device=generator.device) < scheduled
            replace[:scheduled_from] = False
            previous, _ = self.prior.roll(self.draw(batch, generator), dtype, given=z.detach(), replace=replace)
        if not samples:
            return self.decode(z), q, self.prior(previous)
        draws = self.draw(batch, generator)
        own, _ = self.prior.roll(draws, dtype)
        p, of_samples = self.prior(torch.cat([previous, own], 1)).split(batch, 1)
        of_samples = of_samples.gather(3, draws.unsqueeze(3)).squeeze(3)
        again, sampled = self.decode_both(z, of_samples, learns=z.requires_grad)
        return again, q, p, sampled

    @torch.no_grad()
    def reconstruct(self, images, generator, dtype=torch.float32):
        latents = self.encode(images.to(dtype))
        return self.decode(self.posterior.roll(self.draw(images.shape[0], generator), dtype, latents=latents)[1])

    @torch.no_grad()
    def generate(self, count, generator, dtype=torch.float32):
        return self.decode(self.prior.roll(self.draw(count, generator), dtype)[1])

    # Drawing carries membranes past the layers' own `forward`; these run it, too, for whoever watches the layers.

    def observed_prior(self, count, generator):
        inputs, z = self.prior.roll(self.draw(count, generator), torch.float32)
        self.prior(inputs)
        return z

    def observed_posterior(self, images, generator):
        latents = self.encode(images)
        inputs, z = self.posterior.roll(self.draw(len(images), generator), torch.float32, latents=latents)
        self.posterior(torch.cat([latents, inputs], 2))
        return z


class ESVAE(Autoencoder):
    prior_part = "sample_layer"

    def __init__(self, side=32, channels=1, steps=16, latent=128, width=32, hidden=()):
        if len(hidden) > MOST_HIDDEN:
            raise ValueError(f"the hidden layers must be 0 to {MOST_HIDDEN}, found {len(hidden)}")
        self.hidden = tuple(hidden)
        super().__init__(side, channels, steps, latent, width)

    def sampler(self):
        self.sample_layer = rate_layers(self.latent, self.hidden)

    def trained(self):
        # One layer has to follow what the whole encoder does.
        return [*super().trained(), (list(self.sample_layer.parameters()), 1.0 if self.hidden else 10.0)]

    def spikes(self, rates, generator):
        """Spikes `[T, B, C]` with the probabilities `rates` `[B, C]`."""
        uniform = torch.rand(self.steps, *rates.shape, generator=generator, device=generator.device, dtype=rates.dtype)
        return Bernoulli.apply(rates.expand_as(uniform), uniform)

    def prior_rates(self, count, generator):
        normal = torch.randn(count, self.latent, generator=generator, device=generator.device)
        return self.sample_layer(normal.to(self.sample_layer[0].weight.dtype))

    def posterior_rates(self, images, dtype):
        spikes = self.encode(images.to(dtype))
        return spikes.to(torch.promote_types(dtype, torch.float32)).mean(0)

    def forward(self, images, generator, dtype=torch.float32, samples=False):
        """Reconstructions, the encoder's rates and as many of the prior's, `[B, C]`, of a batch of images.

        With `samples` there are the images of the prior's rates, too.
        """
        r = self.posterior_rates(images, dtype)
        if not samples:
            return self.decode(self.spikes(r, generator).to(dtype)), r, self.prior_rates(len(images), generator)
        p = self.prior_rates(len(images), generator)
        both = self.spikes(torch.cat([r, p]), generator).to(dtype).split(len(images), 1)
        again, sampled = self.decode_both(*both, learns=r.requires_grad)
        return again, r, p, sampled

    @torch.no_grad()
    def reconstruct(self, images, generator, dtype=torch.float32):
        return self.decode(self.spikes(self.posterior_rates(images, dtype), generator).to(dtype))

    @torch.no_grad()
    def generate(self, count, generator, dtype=torch.float32):
        return self.decode(self.spikes(self.prior_rates(count, generator), generator).to(dtype))

    def observed_prior(self, count, generator):
        return self.spikes(self.prior_rates(count, generator), generator)

    def observed_posterior(self, images, generator):
        return self.spikes(self.posterior_rates(images, torch.float32), generator)
