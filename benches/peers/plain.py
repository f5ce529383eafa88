"""The network in PyTorch's own operations only, for compilers and exporters to fuse: the optimised peer without C++.

The same mathematics: batch norm as a scale and a shift, carried membranes in the prior, all steps of a layer at once, the
readout's sum over time before the last convolution. The loops over time are Python's, and unrolled by what compiles them.
"""
import torch
import torch.nn.functional as F
from torch import nn

from model import DECAY, THRESHOLD, grey_levels, rate_spikes


def fire(u, current):
    """The membrane after a step, and the spikes."""
    u = DECAY * u + current
    s = u > THRESHOLD
    return torch.where(s, 0.0, u), s.to(current.dtype)


def neurons(x, scale, shift):
    """Spikes of currents whose first dimension is time and whose last are channels, as a list of steps."""
    u, out = torch.zeros_like(x[0]), []
    for current in x:
        u, s = fire(u, current * scale + shift)
        out.append(s)
    return out


def up(y, dimension):
    """Sums of a transposed convolution with stride 2 along one dimension; its three taps are in dimension 4."""
    middle, left, right = (y.select(4, tap) for tap in (1, 2, 0))
    following = torch.cat([right.narrow(dimension, 1, right.shape[dimension] - 1), torch.zeros_like(right.narrow(dimension, 0, 1))], dimension)
    return torch.stack([middle, left + following], dimension + 1).flatten(dimension, dimension + 1)


class Plain(nn.Module):
    def __init__(self, model, convolution="mkldnn", drawn=False):
        super().__init__()
        self.convolution, self.drawn = convolution, drawn
        self.steps, self.latent, self.k = model.steps, model.latent, model.k
        self.rates = model.rates
        if self.rates:
            layers = model.sample_layers()
            self.rate_parts = [f"rates_{i}" for i in range(len(layers))]
            for name, value in zip(self.rate_parts, layers):
                self.register_buffer(name, value)
        else:
            self.keep("prior", model.prior())
            self.register_buffer("offsets", torch.arange(model.latent) * model.k)
        first, deconvs = model.decoder()
        # The reference's 2 x 2 map is numbered channel, y, x; here channels come last.
        order = torch.arange(first.scale.numel()).view(-1, 4).t().flatten()
        first.weight, first.scale, first.shift = first.weight[order], first.scale[order], first.shift[order]
        self.keep("first", [first])
        for layer in deconvs:
            layer.weight = self.arranged(layer.weight)
        self.keep("deconv", deconvs)
        weight, bias = model.readout()
        self.register_buffer("last", self.arranged(weight))
        self.register_buffer("bias", bias)
        self.register_buffer("coef", model.coef)
        self.eval()

    def keep(self, name, layers):
        for i, layer in enumerate(layers):
            for part in ("weight", "scale", "shift"):
                self.register_buffer(f"{name}{i}_{part}", getattr(layer, part).contiguous())

    def layer(self, name):
        return [getattr(self, f"{name}_{part}") for part in ("weight", "scale", "shift")]

    def arranged(self, weight):
        """A convolution's weights, or the matrix `[3 * 3 * outputs, inputs]` of its taps."""
        return weight.permute(2, 3, 1, 0).flatten(0, 2) if self.convolution == "product" else weight

    def drawn_spikes(self, history, neuron):
        """The spikes of the neurons drawn, `[B, C]`, computed from all steps' inputs of their layer alone."""
        weight, scale, shift = self.layer("prior2")
        rows, scale, shift = weight[neuron], scale[neuron], shift[neuron]
        u = torch.zeros_like(scale)
        for x in history:
            u, s = fire(u, (rows * x.unsqueeze(1)).sum(2) * scale + shift)
        return s

    def sample(self, draws):
        """Latent spikes `[T, B, C]`."""
        if self.rates:
            return rate_spikes(draws, *(getattr(self, name) for name in self.rate_parts))
        batch, layers = draws.shape[1], [self.layer(f"prior{i}") for i in range(3)]
        z, history, out = self.coef.new_zeros(batch, self.latent), [], []
        us = [self.coef.new_zeros(batch, w.shape[0]) for w, _, _ in layers]
        for t in range(self.steps):
            x = z
            for i, (weight, scale, shift) in enumerate(layers[: 2 if self.drawn else 3]):
                us[i], x = fire(us[i], F.linear(x, weight) * scale + shift)
            if self.drawn:
                history.append(x)
                z = self.drawn_spikes(history, draws[t] + self.offsets)
            else:
                z = x.view(batch, self.latent, self.k).gather(2, draws[t].unsqueeze(2)).squeeze(2)
            out.append(z)
        return torch.stack(out)

    def deconv(self, x, weight):
        """Currents `[T, B, 2 side, 2 side, outputs]` of spikes `[T, B, side, side, inputs]`."""
        if self.convolution == "product":
            y = F.linear(x, weight).unflatten(4, (3, 3, -1))
            return up(up(y, 2), 3)
        y = F.conv_transpose2d(x.flatten(0, 1).permute(0, 3, 1, 2), weight, None, 2, 1, 1)
        return y.permute(0, 2, 3, 1).unflatten(0, x.shape[:2])

    def membrane(self, r):
        """The last convolution of what the readout weighs, `[B, side, side, channels]`."""
        if self.convolution == "product":
            side = r.shape[1]
            y = F.pad(F.linear(r, self.last), (0, 0, 1, 1, 1, 1)).unflatten(3, (3, 3, -1))
            taps = [y[:, 2 - i : 2 - i + side, 2 - j : 2 - j + side, i, j] for i in range(3) for j in range(3)]
            return sum(taps) + self.bias
        return F.conv_transpose2d(r.permute(0, 3, 1, 2), self.last, None, 1, 1).permute(0, 2, 3, 1) + self.bias

    def decode(self, z):
        weight, scale, shift = self.layer("first0")
        x = torch.stack(neurons(F.linear(z, weight), scale, shift)).unflatten(2, (2, 2, -1))
        i = 0
        while hasattr(self, f"deconv{i + 1}_weight"):
            weight, scale, shift = self.layer(f"deconv{i}")
            x, i = torch.stack(neurons(self.deconv(x, weight), scale, shift)), i + 1
        weight, scale, shift = self.layer(f"deconv{i}")
        spikes = neurons(self.deconv(x, weight), scale, shift)
        return grey_levels(self.membrane(sum(self.coef[t] * s for t, s in enumerate(spikes))))

    def forward(self, draws):
        return self.decode(self.sample(draws))
