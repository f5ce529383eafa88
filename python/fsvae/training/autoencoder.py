"""An autoencoder like that of the paper's FAED: convolutions of stride 2 with batch norm and leaky ReLU down to 2 x 2,
some features, and the same backwards. What its encoder makes of pictures says what is in them.
"""

import math
import time
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

FIRST, FEATURES = 32, 64


class Autoencoder(nn.Module):
    """Pictures `[n, channels, side, side]` in [-1, 1]; the names of the encoder's tensors are those of the paper's."""

    def __init__(self, channels=3, side=32, features=FEATURES):
        super().__init__()
        self.widths = [FIRST << i for i in range(side.bit_length() - 2)]
        pairs = list(pairwise([channels, *self.widths]))
        self.encoder = nn.Sequential(*(self.block(nn.Conv2d(i, o, 3, 2, 1), o) for i, o in pairs))
        self.latent_layer = nn.Linear(self.widths[-1] * 4, features)
        self.decoder_input = nn.Linear(features, self.widths[-1] * 4)
        back = [nn.ConvTranspose2d(o, i, 3, 2, 1, 1) for i, o in reversed(pairs)]
        self.decoder = nn.Sequential(*(self.block(layer, layer.out_channels) for layer in back[:-1]), back[-1], nn.Tanh())

    @staticmethod
    def block(convolution, channels):
        return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.LeakyReLU())

    def encode(self, x):
        return self.latent_layer(self.encoder(x).flatten(1))

    def forward(self, x):
        return self.decoder(self.decoder_input(self.encode(x)).view(-1, self.widths[-1], 2, 2))


def pixels(images):
    """uint8 `[n, side, side, channels]` as the network takes it."""
    return (torch.from_numpy(images).float() / 127.5 - 1).permute(0, 3, 1, 2)


def batches(images, size, seed):
    """Numbers of pictures, each once before any comes again."""
    random = np.random.default_rng(seed)
    while True:
        order = random.permutation(images)
        yield from (order[i : i + size] for i in range(0, images - images % size, size))


def fit(net, images, count, minutes=math.inf, size=100, rate=2e-3, seed=0, flip=False, device="cpu"):
    """Trains on `count` pictures or for so many minutes; pictures seen, and the mean squared error of the last tenth."""
    adam = torch.optim.Adam(net.parameters(), lr=rate)
    mirrors = np.random.default_rng(seed + 1)
    drawn, seen, last, done, shown, began = batches(len(images), size, seed), 0, [], 0.0, 0.0, time.monotonic()
    while done < 1:
        for group in adam.param_groups:
            group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * done))
        batch = images[next(drawn)]
        if flip:
            mirrored = mirrors.random(len(batch)) < 0.5
            batch[mirrored] = batch[mirrored, :, ::-1]
        x = pixels(batch).to(device)
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
