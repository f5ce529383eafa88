"""What all peers share: the checkpoint's sizes and tensors, the draws, and the grey levels.

Written from the papers (arXiv 2110.00375 and 2310.14839) and from src/integer_machine.md, in floating point.

Draws are one tensor. Of FSVAE it is `[T, B, C]`, which neuron of each channel is drawn at each step; of ESVAE `[1 + T, B, C]`,
normal numbers and then what the rates are compared with at each step.
"""
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

THRESHOLD, DECAY, EPSILON = 0.2, 0.25, 1e-5


@dataclass
class Layer:
    """A layer's weights, and its batch norm and bias as one scale and shift a channel (applied to the current)."""

    weight: torch.Tensor
    scale: torch.Tensor
    shift: torch.Tensor

    def to(self, device):
        return Layer(self.weight.to(device), self.scale.to(device), self.shift.to(device))


class Model:
    """A checkpoint: its tensors by their names, widened to float32, and the sizes that follow from their shapes."""

    def __init__(self, path):
        self.tensors = {name: value.float() for name, value in load_file(path).items()}
        self.coef = self.tensors["membrane_output_layer.coef"].flatten()
        self.steps = self.coef.numel()
        self.latent = self.tensors["decoder_input.weight"].shape[1]
        self.rates = "sample_layer.0.weight" in self.tensors  # ESVAE, or else FSVAE
        self.k = None if self.rates else self.tensors["prior.layers.2.weight"].shape[0] // self.latent
        self.deconvs = [f"decoder.{i}" for i in range(99) if f"decoder.{i}.weight" in self.tensors] + ["final_layer.0"]
        self.side = 2 ** (len(self.deconvs) + 1)
        self.channels = self.tensors["final_layer.1.weight"].shape[1]

    def affine(self, name, alpha):
        """tdBN and bias as scale and shift, in double until the end."""
        part = lambda p: self.tensors[f"{name}.{p}"].double()
        scale = alpha * THRESHOLD * part("bn.weight") / (part("bn.running_var") + EPSILON).sqrt()
        shift = (part("bias") - part("bn.running_mean")) * scale + part("bn.bias")
        return scale.float(), shift.float()

    def layer(self, name, alpha=1):
        """Linear weights are `[outputs, inputs]`, transposed convolutions' `[inputs, outputs, 3, 3]`."""
        weight = self.tensors[f"{name}.weight"]
        return Layer(weight[..., 0].contiguous() if weight.dim() == 5 else weight, *self.affine(name, alpha))

    def prior(self):
        """FSVAE's three layers."""
        return [self.layer(f"prior.layers.{i}", alpha=2) for i in range(3)]

    def sample_layers(self):
        """ESVAE's weights and biases by turns, from normal numbers to rates: of hidden layers, if there are any, and the last."""
        names = [f"sample_layer.{i}" for i in (0, 2, 4) if f"sample_layer.{i}.weight" in self.tensors]
        return [self.tensors[f"{name}.{part}"] for name in names for part in ("weight", "bias")]

    def decoder(self):
        """The decoder's linear layer, and its transposed convolutions."""
        return self.layer("decoder_input"), [self.layer(name) for name in self.deconvs]

    def readout(self):
        """The last convolution's weights, and its bias times the sum of the readout's coefficients."""
        return self.tensors["final_layer.1.weight"][..., 0], self.tensors["final_layer.1.bias"] * self.coef.sum()

    def exact_in_tf32(self):
        """Whether TF32's 10 bits of mantissa hold all weights that spikes are multiplied with: then products are exact."""
        first, deconvs = self.decoder()
        prior = [] if self.rates else self.prior()
        return all(torch.equal(layer.weight, layer.weight.half().float()) for layer in [*prior, first, *deconvs])

    def no_draws(self, batch, device="cpu"):
        """Draws of the right shape and type, for what is compiled for them."""
        if self.rates:
            return torch.zeros(1 + self.steps, batch, self.latent, device=device)
        return torch.zeros(self.steps, batch, self.latent, dtype=torch.int64, device=device)


def rate_spikes(draws, *layers):
    """ESVAE's latent spikes `[T, B, C]`, of what `Model.sample_layers` gives."""
    x = draws[0]
    for weight, bias in zip(layers[:-2:2], layers[1:-2:2]):
        # A hidden unit fires once for each 64th of its current, 255 times at most.
        x = (F.linear(x, weight, bias) * 64).floor().clamp(0, 255) / 64
    rates = torch.sigmoid(F.linear(x, *layers[-2:]))
    return (rates > draws[1:]).to(draws.dtype)


def grey_levels(membrane):
    """tanh, scaled to 0..255 and rounded half up."""
    return torch.floor((torch.tanh(membrane) + 1) * 127.5 + 0.5).to(torch.uint8)


def philox(key, counter):
    """Philox4x32-10 (Salmon et al., SC 2011) of arrays of uint64 that hold 32-bit words."""
    mask, low = np.uint64(0xFFFFFFFF), np.uint64(32)
    (k0, k1), c = key, list(counter)
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(b >> low) ^ c[1] ^ k0, b & mask, (a >> low) ^ c[3] ^ k1, a & mask]
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & mask, (k1 + np.uint64(0xBB67AE85)) & mask
    return c


def counted(seed, indices, places, stream):
    """The four words of each counter, `[places, B, ..., 4]`."""
    split = lambda n: (n & np.uint64(0xFFFFFFFF), n >> np.uint64(32))
    index = np.asarray(indices, np.uint64)[None, :, None]
    counter = np.broadcast_arrays(*split(index), places, np.full_like(places, stream))
    return np.stack(philox(split(np.uint64(seed)), counter), 3)


def exact_draws(model, seed, indices):
    """The prior's draws as fsvae makes them."""
    quads = (model.latent + 3) // 4
    steps = np.arange(model.steps, dtype=np.uint64)[:, None, None] * np.uint64(quads) + np.arange(quads, dtype=np.uint64)
    words = counted(seed, indices, steps, 2 if model.rates else 0)
    words = words.reshape(*words.shape[:2], -1)[:, :, : model.latent]
    if not model.rates:
        return torch.from_numpy((((words >> np.uint64(8)) * np.uint64(model.k)) >> np.uint64(24)).astype(np.int64))
    # A normal number is 128 counted bits: mean 64, variance 32.
    bits = counted(seed, indices, np.arange(model.latent, dtype=np.uint64)[None, None, :], 4).astype(np.uint32)
    ones = np.unpackbits(bits.view(np.uint8), axis=-1).sum(-1, dtype=np.int64)
    levels = ((words >> np.uint64(16)).astype(np.float64) + 0.5) / 65536
    return torch.from_numpy(np.concatenate([(ones - 64) / 32**0.5, levels]).astype(np.float32))


def random_draws(model, batch, device="cpu"):
    """The prior's draws as PyTorch makes them fastest."""
    if model.rates:
        draws = torch.empty(1 + model.steps, batch, model.latent, device=device)
        draws[0].normal_()
        draws[1:].uniform_()
        return draws
    return torch.randint(model.k, (model.steps, batch, model.latent), device=device)
