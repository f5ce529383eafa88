"""The network as fast as we know how to make it with PyTorch's operations and a small C++ extension, on a CPU.

- Batch norm is one multiply and add where the neurons are computed.
- The prior's membranes are carried, so each step is computed once; its loop over time runs in C++.
- All steps of a layer are one matrix product over `T * B` (times pixels) rows. A transposed convolution is the product
  with its nine taps; the extension adds the taps up, runs the neurons over all steps and writes the spikes.
- The readout is linear: the weighted sum over time comes before the last convolution.
- A batch is cut in parts small enough for the caches. Each thread has a share of the images and computes it alone: that
  scales better than all threads on each operation. A single image is computed by all threads.

README.md says what was tried and lost; `Options` has the switches.
"""
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from model import DECAY, THRESHOLD, rate_spikes


@dataclass
class Options:
    convolution: str = "product"  # or "mkldnn": conv_transpose2d, channels_last
    part: int = 2  # images that are decoded at once
    workers: bool = True  # each thread computes its own images, or else all threads each operation
    drawn: int = 4  # up to this batch only the prior's drawn neurons are computed
    dtype: str = "float32"  # of the decoder's convolutions, with "mkldnn"


def extension():
    from torch.utils.cpp_extension import load
    # Ninja may be installed beside the interpreter without being on the path.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    flags = ["-O3", "-march=native", "-ffast-math", "-fno-finite-math-only", "-fopenmp"]
    return load("fsvae_peer_lif", [str(Path(__file__).with_name("lif.cpp"))], extra_cflags=flags)


class Optimised:
    def __init__(self, model, batch, options=None):
        self.o = options or Options()
        self.model, self.batch, self.lif = model, batch, extension()
        self.dtype = getattr(torch, self.o.dtype)
        self.neuron = THRESHOLD, DECAY
        if model.rates:
            self.rates = model.sample_layers()
        else:
            prior = model.prior()
            self.drawn = batch <= self.o.drawn
            self.scales, self.shifts = [p.scale for p in prior], [p.shift for p in prior]
            self.weights = [p.weight.t().contiguous() for p in prior]
            if self.drawn:
                self.weights[2] = prior[2].weight.contiguous()
        self.first, self.deconvs = model.decoder()
        # The reference's 2 x 2 map is numbered channel, y, x; rows of channels want y, x, channel.
        order = torch.arange(self.first.scale.numel()).view(-1, 4).t().flatten()
        self.first.weight = self.first.weight[order].t().contiguous()
        self.first.scale, self.first.shift = self.first.scale[order].contiguous(), self.first.shift[order].contiguous()
        self.last, self.last_bias = model.readout()
        self.last_taps = self.taps(self.last)
        for layer in self.deconvs:
            layer.taps = self.taps(layer.weight)
            layer.weight = layer.weight.to(self.dtype, memory_format=torch.channels_last)
        self.kept = threading.local()
        self.threads = torch.get_num_threads()
        self.pool = ThreadPoolExecutor(self.threads, initializer=self.alone) if self.o.workers and self.threads > 1 else None

    @staticmethod
    def alone():
        """What a worker does first: its operations run on its own thread (the setting is a thread's own)."""
        torch.set_num_threads(1)

    @staticmethod
    def taps(weight):
        """`[inputs, outputs, 3, 3]` as a matrix `[inputs, 3 * 3 * outputs]`."""
        return weight.permute(0, 2, 3, 1).reshape(weight.shape[0], -1).contiguous()

    def buffer(self, *key_and_shape):
        """Memory that a thread keeps: the allocator would give large blocks back to the system, and clear them again."""
        buffers = self.kept.__dict__
        if key_and_shape not in buffers:
            buffers[key_and_shape] = torch.empty(key_and_shape[2:])
        return buffers[key_and_shape]

    def sample(self, draws):
        """Latent spikes `[T, B, C]`."""
        if self.model.rates:
            return rate_spikes(draws, *self.rates)
        return self.lif.sample(draws, self.model.k, self.weights, self.scales, self.shifts, self.drawn, *self.neuron)

    def deconv(self, x, layer, count, side, coef):
        """The spikes `[T, B * (2 side)^2, outputs]` of `x` `[T, B * side^2, inputs]`; with coefficients, their sum over time."""
        steps, rows, inputs = x.shape
        if self.o.convolution == "product":
            outputs = layer.scale.numel()
            y = torch.mm(x.view(-1, inputs), layer.taps, out=self.buffer("taps", side, steps * rows, 9 * outputs))
            x = self.buffer("spikes", side, 1 if coef is not None else steps, rows * 4, outputs)
            self.lif.spread_lif(y, count, side, layer.scale, layer.shift, coef, x, *self.neuron)
            return x
        x = x.view(steps * count, side, side, inputs).permute(0, 3, 1, 2).to(self.dtype)
        y = F.conv_transpose2d(x, layer.weight, None, 2, 1, 1).permute(0, 2, 3, 1).float()
        y = y.contiguous().view(steps, rows * 4, -1)
        if coef is not None:
            return self.lif.lif_read(y, layer.scale, layer.shift, coef, *self.neuron)
        self.lif.lif_(y, layer.scale, layer.shift, *self.neuron)
        return y

    def decode(self, z):
        """Grey levels `[B, side, side, channels]` of latent spikes `[T, B, C]`."""
        steps, count, latent = z.shape
        x = torch.mm(z.reshape(-1, latent), self.first.weight).view(steps, count, -1)
        self.lif.lif_(x, self.first.scale, self.first.shift, *self.neuron)
        x, side = x.view(steps, count * 4, -1), 2
        for i, layer in enumerate(self.deconvs):
            x = self.deconv(x, layer, count, side, self.model.coef if i + 1 == len(self.deconvs) else None)
            side *= 2
        y = torch.mm(x.view(-1, x.shape[-1]), self.last_taps)
        return self.lif.pixels(y, count, side, self.last_bias)

    def share(self, draws, out, first, past):
        """Samples and decodes the images from `first` to `past`, in parts."""
        with torch.inference_mode():
            z = self.sample(draws[:, first:past].contiguous())
            for i in range(first, past, self.o.part):
                out[i : min(i + self.o.part, past)] = self.decode(z[:, i - first : min(i + self.o.part, past) - first])

    @torch.inference_mode()
    def __call__(self, draws):
        batch = draws.shape[1]
        out = torch.empty(batch, self.model.side, self.model.side, self.model.channels, dtype=torch.uint8)
        if self.pool is None or batch < self.threads:
            self.share(draws, out, 0, batch)
        else:
            bounds = [batch * i // self.threads for i in range(self.threads + 1)]
            list(self.pool.map(lambda i: self.share(draws, out, bounds[i], bounds[i + 1]), range(self.threads)))
        return out
