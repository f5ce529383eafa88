"""Compares fsvae with a plain float32 PyTorch implementation of the network, given the same draws.

    python assets/compare.py assets/mnist/mnist.safetensors --fsvae target/release/fsvae --count 40
    python assets/compare.py assets/mnist/mnist.safetensors --fsvae target/release/fsvae --images DIRECTORY

Written from the paper (arXiv 2110.00375) with floating-point convolutions, batch norm and membranes as
they are: nothing is folded, rounded or fused. The only thing it shares with fsvae is which neuron each
latent channel draws at each step. Prints how many latent spikes and pixels differ, and by how much.
Needs torch, numpy, safetensors and pillow.
"""
import argparse
import glob
import os
import subprocess
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file

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
    halves = lambda n: (n & 0xFFFFFFFF, n >> 32)
    words = [w for q in range(quads) for w in philox(halves(seed), (*halves(index), step * quads + q, stream))]
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
        self.t = {name: value.to(torch.get_default_dtype()) for name, value in load_file(path).items()}
        self.T = self.t["membrane_output_layer.coef"].numel()
        self.C = self.t["before_latent_layer.weight"].shape[0]
        self.k = self.t["prior.layers.2.weight"].shape[0] // self.C
        self.depth = sum(name.startswith("encoder.") and name.endswith("weight") and "bn" not in name for name in self.t)

    def norm(self, name, x, alpha):
        """tdBN: batch norm scaled by alpha times the threshold."""
        p = lambda part: self.t[f"{name}.bn.{part}"]
        return F.batch_norm(x, p("running_mean"), p("running_var"), p("weight") * alpha * THRESHOLD, p("bias"), eps=1e-5)

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
            for name, neurons in zip(names, layers):
                x = neurons(self.deconv(name, x))
            out = out + coef[t] * F.conv_transpose2d(x, last, self.t["final_layer.1.bias"], 1, 1)
        pixels = torch.floor((torch.tanh(out) + 1) * 127.5 + 0.5)
        return pixels[0].permute(1, 2, 0).byte().numpy()


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("model")
    a.add_argument("--fsvae", default="fsvae", help="the command line to compare with")
    a.add_argument("--seed", type=int, default=7)
    a.add_argument("--count", type=int, default=40)
    a.add_argument("--images", help="a folder of images of the model's size, to compare reconstructions")
    a.add_argument("--double", action="store_true", help="compute in float64, to see which side a difference is on")
    a = a.parse_args()
    if a.double:
        torch.set_default_dtype(torch.float64)
    network = Network(a.model)
    read = lambda path: np.atleast_3d(np.array(Image.open(path)))
    files = sorted(glob.glob(os.path.join(a.images, "*")))[: a.count] if a.images else None
    count = len(files) if files else a.count

    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        z_file, out = f"{folder}/z.safetensors", f"{folder}/{{index}}.png"
        common = ["--model", a.model, "--seed", str(a.seed)]
        if files:
            subprocess.run([a.fsvae, "encode", *files, *common, "--out", z_file], check=True, stderr=subprocess.DEVNULL)
            subprocess.run([a.fsvae, "decode", z_file, "--model", a.model, "--out", out], check=True, stderr=subprocess.DEVNULL)
        else:
            command = [a.fsvae, "generate", *common, "--count", str(count), "--latents", z_file, "--out", out]
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        ours = load_file(z_file)["z"]
        spikes = pixels = largest = total = 0
        for index in range(count):
            if files:
                z = network.sample("posterior", 1, a.seed, index, network.encode(read(files[index])))
            else:
                z = network.sample("prior", 0, a.seed, index)
            spikes += int((torch.cat(z) != ours[index]).sum())
            difference = np.abs(network.decode(z).astype(int) - read(f"{folder}/{index}.png"))
            pixels += int((difference > 0).sum())
            largest, total = max(largest, int(difference.max())), total + difference.size
    print(f"{count} images: {spikes} of {ours.numel()} latent spikes differ; "
          f"{pixels} of {total} pixels differ ({100 * pixels / total:.3f} %), by at most {largest} of 255")
    raise SystemExit(spikes > 0 or largest > 1)


if __name__ == "__main__":
    main()
