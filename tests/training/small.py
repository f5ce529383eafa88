"""A small network, small pictures to train it on, and whether two are the same."""
import numpy as np
import torch
from safetensors.torch import load_file

from fsvae.training import network

SMALL = ["--batch", "8", "--latent", "8", "--k", "3", "--width", "4", "--time-steps", "4", "--threads", "1", "--device", "cpu",
         "--precision", "float32"]


def shapes(count, side=16, channels=()):
    """Bright rectangles on black."""
    random = np.random.default_rng(5)
    images = np.zeros((count, side, side, *channels), np.uint8)
    for image in images:
        x, y, w, h = random.integers(1, side // 2, 4)
        image[y:y + h, x:x + w] = random.integers(100, 256, channels or None)
    return images


def levels(images):
    return torch.from_numpy(images).float() / 127.5 - 1


def firing(family):
    """A network of this family, for pictures of 8 x 8, of which all layers fire now and then."""
    torch.manual_seed(0)
    net = family(8, 1, 6, 8, *([3] if family is network.FSVAE else []), 4).train()
    with torch.no_grad():
        for name, value in net.named_parameters():
            if name.endswith("bn.bias"):
                value.copy_(0.1 + 0.1 * torch.rand_like(value))
    return net


def equal(a, b):
    a, b = load_file(a), load_file(b)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
