"""A small network, small pictures to train it on, and whether two are the same."""
import numpy as np
import torch
from safetensors.torch import load_file

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


def equal(a, b):
    a, b = load_file(a), load_file(b)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
