"""Trains the encoder in which `fsvae-evaluate` compares colour images (colour.py).

    python -m fsvae.training.train_colour --data cifar10.zip --data faces16.npz --minutes 15 --out colour.safetensors

An autoencoder like that of the paper's FAED (autoencoder.py), with 64 features, learns all pictures together, mirrored at
random. The encoder is what is written, its features scaled so that those of the training pictures have a variance of 1
on average. Then the floor is printed: the distance of training pictures to test pictures.
"""

import argparse

import numpy as np
import torch
from safetensors.torch import save_file

from . import colour, pictures
from .autoencoder import Autoencoder, fit, pixels
from .checkpoint import replace, rounded
from .errors import InputError, reported


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
        net = Autoencoder(3, colour.SIDE).to(memory_format=torch.channels_last)
        seen, error = fit(net, train, a.images, a.minutes, a.batch, a.lr, flip=True)
        state = rounded(encoder(net, train), True)
        replace(a.out, lambda path: save_file(state, path))
        print(f"{a.out}: {seen} pictures, reconstruction MSE {error:.4f}")
        for path, (images, test) in zip(a.data, parts, strict=True):
            some = images[:: max(1, len(images) // a.floor)][: a.floor]
            floor = colour.distance(some, test, a.out)
            print(f"{path}: {len(some)} training pictures to {len(test)} test pictures: {floor:.2f}")


if __name__ == "__main__":
    main()
