"""Compares fsvae with a plain float32 PyTorch implementation of the network, given the same draws.

    fsvae-compare assets/mnist/mnist.safetensors --count 40
    fsvae-compare assets/mnist/mnist.safetensors --images DIRECTORY

Written from the paper (arXiv 2110.00375) with floating-point convolutions, batch norm and membranes as
they are: nothing is folded, rounded or fused. The only thing it shares with fsvae is which neuron each
latent channel draws at each step. Prints how many latent spikes and pixels differ, and by how much.
"""

import argparse
import glob
import os

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from . import runtime
from .checkpoint import tensors
from .errors import InputError, reported

THRESHOLD, DECAY = 0.2, 0.25


def philox(key, counter):
    """Philox4x32-10 (Salmon et al., SC 2011)."""
    mask, (k0, k1), c = 0xFFFFFFFF, key, list(counter)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k0, b & mask, (a >> 32) ^ c[3] ^ k1, a & mask]
        k0, k1 = (k0 + 0x9E3779B9) & mask, (k1 + 0xBB67AE85) & mask
    return c


def draws(seed, index, step, stream, channels, k):
    quads = (channels + 3) // 4
    key, low, high = (seed & 0xFFFFFFFF, seed >> 32), index & 0xFFFFFFFF, index >> 32
    words = [w for q in range(quads) for w in philox(key, (low, high, step * quads + q, stream))]
    return torch.tensor([((w >> 8) * k) >> 24 for w in words[:channels]])


class Neurons:
    """Leaky integrate-and-fire neurons: the membrane decays, is reset by a spike, fires above the threshold."""

    def __init__(self):
        self.u = self.s = 0.0

    def __call__(self, x):
        self.u = DECAY * self.u * (1 - self.s) + x
        self.s = (self.u > THRESHOLD).to(x.dtype)
        return self.s


class Network:
    def __init__(self, path):
        self.t = {name: value.to(torch.get_default_dtype()) for name, value in tensors(path).items()}
        if "prior.layers.2.weight" not in self.t:
            raise InputError(f"{path}: expected an FSVAE, found no prior.layers.2.weight")
        self.T = self.t["membrane_output_layer.coef"].numel()
        self.C = self.t["before_latent_layer.weight"].shape[0]
        self.k = self.t["prior.layers.2.weight"].shape[0] // self.C
        self.depth = sum(name.startswith("encoder.") and name.endswith("weight") and "bn" not in name for name in self.t)
        self.side = 2 ** (self.depth + 1)

    def norm(self, name, x, alpha):
        """tdBN: batch norm scaled by alpha times the threshold."""
        mean, variance, weight, bias = (
            self.t[f"{name}.bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, variance, weight * alpha * THRESHOLD, bias, eps=1e-5)

    def linear(self, name, x, alpha=1):
        return self.norm(name, F.linear(x, self.t[name + ".weight"], self.t[name + ".bias"]), alpha)

    def conv(self, name, x):
        weight = self.t[name + ".weight"][..., 0]
        return self.norm(name, F.conv2d(x, weight, self.t[name + ".bias"], 2, 1), 1)

    def deconv(self, name, x):
        weight = self.t[name + ".weight"][..., 0]
        return self.norm(name, F.conv_transpose2d(x, weight, self.t[name + ".bias"], 2, 1, 1), 1)

    def sample(self, name, stream, seed, index, encoded=None):
        layers, z, result = [Neurons() for _ in range(3)], torch.zeros(1, self.C), []
        for t in range(self.T):
            x = z if encoded is None else torch.cat([encoded[t], z], 1)
            for i, neurons in enumerate(layers):
                x = neurons(self.linear(f"{name}.layers.{i}", x, 2))
            z = x.view(self.C, self.k)[torch.arange(self.C), draws(seed, index, t, stream, self.C, self.k)][None]
            result.append(z)
        return result

    def encode(self, image):
        x = torch.from_numpy(image.copy()).to(torch.get_default_dtype()).permute(2, 0, 1)[None] / 127.5 - 1
        layers, latent, result = [Neurons() for _ in range(self.depth)], Neurons(), []
        for _ in range(self.T):
            y = x
            for i, neurons in enumerate(layers):
                y = neurons(self.conv(f"encoder.{i}", y))
            result.append(latent(self.linear("before_latent_layer", y.flatten(1))))
        return result

    def decode(self, z):
        names = [f"decoder.{i}" for i in range(self.depth - 1)] + ["final_layer.0"]
        first, layers, out = Neurons(), [Neurons() for _ in names], 0
        coef, last = self.t["membrane_output_layer.coef"].flatten(), self.t["final_layer.1.weight"][..., 0]
        for t in range(self.T):
            x = first(self.linear("decoder_input", z[t])).view(1, -1, 2, 2)
            for name, neurons in zip(names, layers, strict=True):
                x = neurons(self.deconv(name, x))
            out = out + coef[t] * F.conv_transpose2d(x, last, self.t["final_layer.1.bias"], 1, 1)
        pixels = torch.floor((torch.tanh(out) + 1) * 127.5 + 0.5)
        return pixels[0].permute(1, 2, 0).byte().numpy()


def read(path):
    """A picture's pixels, `[height, width, channels]`."""
    try:
        with Image.open(path) as image:
            return np.atleast_3d(np.array(image))
    except OSError as error:
        raise InputError(f"{path}: not a readable picture: {error}") from None


def compare(a):
    """Prints the differences; returns whether they are those of rounding."""
    generator = runtime.generator(a.model, a.backend)
    if a.double:
        torch.set_default_dtype(torch.float64)
    network = Network(a.model)
    if a.images:
        files = sorted(glob.glob(os.path.join(a.images, "*")))[: a.count]
        shape = network.side, network.side, network.t["encoder.0.weight"].shape[1]
        images = [read(file) for file in files]
        for file, image in zip(files, images, strict=True):
            if image.shape != shape:
                raise InputError(f"{file}: expected {list(shape)}, found {list(image.shape)}")
        if not files:
            raise InputError(f"{a.images}: expected a folder of pictures, found none")
        ours = generator.encode(np.stack(images), seed=a.seed)
        made = generator.decode(ours)
    else:
        images, made = [None] * a.count, generator.generate(seed=a.seed, count=a.count)
        ours = generator.sample_latents(seed=a.seed, count=a.count)
    spikes = pixels = largest = total = 0
    with torch.inference_mode():
        for index, image in enumerate(images):
            if image is None:
                z = network.sample("prior", 0, a.seed, index)
            else:
                z = network.sample("posterior", 1, a.seed, index, network.encode(image))
            spikes += int((torch.cat(z).numpy() != ours[index]).sum())
            difference = np.abs(network.decode(z).astype(int) - np.asarray(made[index]))
            pixels += int((difference > 0).sum())
            largest, total = max(largest, int(difference.max())), total + difference.size
    print(
        f"{len(images)} images: {spikes} of {ours.size} latent spikes differ; "
        f"{pixels} of {total} pixels differ ({100 * pixels / total:.3f} %), by at most {largest} of 255"
    )
    return spikes == 0 and largest <= 1


def main(arguments=None):
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("model")
    a.add_argument("--backend", choices=runtime.BACKENDS, default="auto", help="what to compare with (%(default)s)")
    a.add_argument("--seed", type=int, default=7)
    a.add_argument("--count", type=int, default=40)
    a.add_argument("--images", help="a folder of images of the model's size, to compare reconstructions")
    a.add_argument("--double", action="store_true", help="compute in float64, to see which side a difference is on")
    a = a.parse_args(arguments)
    with reported():
        if a.count < 1:
            raise InputError(f"--count: expected at least 1, found {a.count}")
        if not 0 <= a.seed < 2**64:
            raise InputError(f"--seed: expected 0 to {2**64 - 1}, found {a.seed}")
        raise SystemExit(not compare(a))


if __name__ == "__main__":
    main()
