"""Trains the encoder in which `fsvae-evaluate` compares colour images (colour.py).

    python -m fsvae.training.train_colour --data cifar10.zip --data faces16.npz --minutes 15 --out colour.safetensors

An autoencoder like that of the paper's FAED: convolutions of stride 2 with batch norm and leaky ReLU, 64 features, and
the same backwards. It learns all pictures together, mirrored at random. The encoder is what is written, its features
scaled so that those of the training pictures have a variance of 1 on average. Then the floor is printed: the distance of
training pictures to test pictures.
"""

import argparse
import math
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from . import colour, pictures
from .checkpoint import replace, rounded
from .errors import InputError, reported

WIDTHS, FEATURES = (32, 64, 128, 256), 64


class Autoencoder(nn.Module):
    """Pictures `[n, 3, 32, 32]` in [-1, 1]; the names of the encoder's tensors are those of the paper's."""

    def __init__(self):
        super().__init__()
        self.side = colour.SIDE >> len(WIDTHS)
        pairs = list(zip((3, *WIDTHS), WIDTHS, strict=False))
        self.encoder = nn.Sequential(*(self.block(nn.Conv2d(i, o, 3, 2, 1), o) for i, o in pairs))
        self.latent_layer = nn.Linear(WIDTHS[-1] * self.side**2, FEATURES)
        self.decoder_input = nn.Linear(FEATURES, WIDTHS[-1] * self.side**2)
        back = [nn.ConvTranspose2d(o, i, 3, 2, 1, 1) for i, o in reversed(pairs)]
        self.decoder = nn.Sequential(*(self.block(layer, layer.out_channels) for layer in back[:-1]), back[-1], nn.Tanh())

    @staticmethod
    def block(convolution, channels):
        return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.LeakyReLU())

    def encode(self, x):
        return self.latent_layer(self.encoder(x).flatten(1))

    def forward(self, x):
        y = self.decoder_input(self.encode(x)).view(-1, WIDTHS[-1], self.side, self.side)
        return self.decoder(y)


def pixels(images):
    """uint8 `[n, side, side, 3]` as the network takes it."""
    return (torch.from_numpy(images).float() / 127.5 - 1).permute(0, 3, 1, 2)


def batches(images, size, seed):
    """Numbers of pictures, each once before any comes again."""
    random = np.random.default_rng(seed)
    while True:
        order = random.permutation(images)
        yield from (order[i : i + size] for i in range(0, images - images % size, size))


def fit(net, images, count, minutes, size, rate, seed=0):
    """Trains on `count` pictures or for so many minutes; pictures seen, and the mean squared error of the last tenth."""
    adam = torch.optim.Adam(net.parameters(), lr=rate)
    flip = np.random.default_rng(seed + 1)
    drawn, seen, last, done, shown, began = batches(len(images), size, seed), 0, [], 0.0, 0.0, time.monotonic()
    while done < 1:
        for group in adam.param_groups:
            group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * done))
        batch = images[next(drawn)]
        mirrored = flip.random(len(batch)) < 0.5
        batch[mirrored] = batch[mirrored, :, ::-1]
        x = pixels(batch)
        loss = F.mse_loss(net(x), x)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        seen += size
        passed = (time.monotonic() - began) / 60
        last.append((done, loss.item()))
        done = max(seen / count, passed / minutes)
        if done >= shown:
            print(f"{seen} pictures, {passed:.1f} minutes, error {loss.item():.4f}", flush=True)
            shown += 0.05
    return seen, float(np.mean([error for when, error in last if when >= 0.9 * last[-1][0]]))


@torch.inference_mode()
def encoder(net, images):
    """The tensors to write: those of the encoder, its features of variance 1 on average over these pictures."""
    net.eval()
    found = torch.cat([net.encode(pixels(images[i : i + 250])) for i in range(0, len(images), 250)])
    scale = found.var(0).mean().rsqrt()
    state = net.state_dict()
    for name in ("latent_layer.weight", "latent_layer.bias"):
        state[name] = state[name] * scale
    return {name: value for name, value in state.items() if name.startswith(("encoder.", "latent_layer."))}


def read(path, part):
    images = pictures.read(path, part, None if path.endswith(".npz") else colour.SIDE, False)
    if images is None:
        raise InputError(f"{path}: expected images called {part}")
    if images.shape[1] != 3:
        raise InputError(f"{path}: expected colour images, found grey ones")
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1))


def main(arguments=None):
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--data", required=True, action="append", help="as fsvae-train's, with `train` and `test`; several")
    a.add_argument("--out", required=True, help="the encoder to write, .safetensors")
    a.add_argument("--images", type=int, default=1_000_000, help="pictures to train on at most (%(default)s)")
    a.add_argument("--minutes", type=float, default=15, help="minutes to train for at most (%(default)s)")
    a.add_argument("--batch", type=int, default=100, help="(%(default)s)")
    a.add_argument("--lr", type=float, default=2e-3, help="of Adam, with cosine decay (%(default)s)")
    a.add_argument("--floor", type=int, default=5000, help="training pictures for the floor (%(default)s)")
    a.add_argument("--threads", type=int, help="of PyTorch")
    a = a.parse_args(arguments)
    if a.threads:
        torch.set_num_threads(a.threads)
    with reported(OSError):
        for name in ("images", "batch", "floor"):
            if getattr(a, name) < 2:
                raise InputError(f"--{name}: expected at least 2, found {getattr(a, name)}")
        if not a.minutes > 0:
            raise InputError(f"--minutes: expected more than 0, found {a.minutes:g}")
        parts = [[read(path, part) for part in ("train", "test")] for path in a.data]
        train = np.concatenate([colour.sized(images) for images, _ in parts])
        if a.batch > len(train):
            raise InputError(f"--batch: expected at most the {len(train)} pictures there are, found {a.batch}")
        torch.manual_seed(0)
        net = Autoencoder().to(memory_format=torch.channels_last)
        seen, error = fit(net, train, a.images, a.minutes, a.batch, a.lr)
        state = rounded(encoder(net, train), True)
        replace(a.out, lambda path: save_file(state, path))
        print(f"{a.out}: {seen} pictures, reconstruction MSE {error:.4f}")
        for path, (images, test) in zip(a.data, parts, strict=True):
            some = images[:: max(1, len(images) // a.floor)][: a.floor]
            floor = colour.distance(some, test, a.out)
            print(f"{path}: {len(some)} training pictures to {len(test)} test pictures: {floor:.2f}")


if __name__ == "__main__":
    main()
