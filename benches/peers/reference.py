"""The network the way a training implementation generates with it: modules, 5-d tensors with time last, everything again.

The prior runs over all steps so far to get the next one, so T steps cost T (T + 1) / 2; a convolution in space is a
3-d one with a kernel of (3, 3, 1); batch norm is a module of its own; neurons loop over time in Python. This is how
the paper's implementation works; nothing here is made slow on purpose, and nothing is made fast either.
"""
import torch
from torch import nn

from model import DECAY, THRESHOLD, grey_levels, rate_spikes


class Spike(nn.Module):
    """Leaky integrate-and-fire neurons on a tensor whose last dimension is time."""

    def forward(self, x):
        u = s = torch.zeros_like(x[..., 0])
        out = torch.zeros_like(x)
        for t in range(x.shape[-1]):
            u = DECAY * u * (1 - s) + x[..., t]
            s = (u > THRESHOLD).to(x.dtype)
            out[..., t] = s
        return out


class Norm(nn.Module):
    """Batch norm scaled to the threshold (tdBN)."""

    def __init__(self, model, name, alpha, dimensions):
        super().__init__()
        features = model.tensors[f"{name}.bias"].numel()
        self.bn = (nn.BatchNorm1d if dimensions == 3 else nn.BatchNorm3d)(features)
        with torch.no_grad():
            for part in ("weight", "bias", "running_mean", "running_var"):
                getattr(self.bn, part).copy_(model.tensors[f"{name}.bn.{part}"])
            self.bn.weight.mul_(alpha * THRESHOLD)

    def forward(self, x):
        return self.bn(x)


class Linear(nn.Module):
    """`[B, inputs, T]` to `[B, outputs, T]`."""

    def __init__(self, model, name, alpha=1):
        super().__init__()
        weight = model.tensors[f"{name}.weight"]
        self.linear = nn.Linear(weight.shape[1], weight.shape[0])
        self.linear.load_state_dict({"weight": weight, "bias": model.tensors[f"{name}.bias"]})
        self.norm, self.spike = Norm(model, name, alpha, 3), Spike()

    def forward(self, x):
        return self.spike(self.norm(self.linear(x.transpose(1, 2)).transpose(1, 2)))


class Deconv(nn.Module):
    """`[B, inputs, side, side, T]` to twice the side, or, as the last layer, to the same side without norm and spikes."""

    def __init__(self, model, name, last=False):
        super().__init__()
        weight = model.tensors[f"{name}.weight"]
        stride, more = ((1, 1, 1), 0) if last else ((2, 2, 1), (1, 1, 0))
        self.deconv = nn.ConvTranspose3d(weight.shape[0], weight.shape[1], (3, 3, 1), stride, (1, 1, 0), more)
        self.deconv.load_state_dict({"weight": weight, "bias": model.tensors[f"{name}.bias"]})
        self.after = nn.Identity() if last else nn.Sequential(Norm(model, name, 1, 5), Spike())

    def forward(self, x):
        return self.after(self.deconv(x))


class Reference(nn.Module):
    def __init__(self, model, device, batch):
        super().__init__()
        self.latent, self.k = model.latent, model.k
        self.rates = model.rates
        if self.rates:
            layers = model.sample_layers()
            self.rate_parts = [f"rates_{i}" for i in range(len(layers))]
            for name, value in zip(self.rate_parts, layers):
                self.register_buffer(name, value)
        else:
            self.prior = nn.Sequential(*(Linear(model, f"prior.layers.{i}", alpha=2) for i in range(3)))
        self.decoder_input = Linear(model, "decoder_input")
        self.decoder = nn.Sequential(*(Deconv(model, name) for name in model.deconvs), Deconv(model, "final_layer.1", True))
        self.register_buffer("coef", model.coef)
        self.to(device).eval()

    def sample(self, draws):
        """Latent spikes `[B, C, T]`."""
        if self.rates:
            return rate_spikes(draws, *(getattr(self, name) for name in self.rate_parts)).permute(1, 2, 0)
        steps, batch, _ = draws.shape
        z = torch.zeros(batch, self.latent, 1, device=draws.device)
        for t in range(steps):
            # All steps again: the neurons keep nothing between calls.
            candidates = self.prior(z)[..., -1].view(batch, self.latent, self.k)
            drawn = candidates.gather(2, draws[t].unsqueeze(2))
            z = torch.cat([z, drawn], 2)
        return z[..., 1:]

    @torch.inference_mode()
    def forward(self, draws):
        x = self.decoder_input(self.sample(draws))
        x = x.view(x.shape[0], -1, 2, 2, x.shape[-1])
        membrane = (self.decoder(x) * self.coef).sum(-1)
        return grey_levels(membrane).permute(0, 2, 3, 1)
