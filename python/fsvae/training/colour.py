"""The colour feature distance: a Frechet distance of colour images in an autoencoder of our own.

`colour.safetensors`, beside this file, is an encoder of the kind that the paper's FAED has, trained on CIFAR10 and on
pixel-art faces by `train_colour.py`. Its distances compare with each other, and with no figure of a paper.
"""

from pathlib import Path

import numpy as np

from . import frechet

WEIGHTS = Path(__file__).with_name("colour.safetensors")
NAME = "colour feature distance"
SIDE = 32


def sized(images):
    """Images uint8 `[n, side, side, 3]` at side 32: smaller ones of larger pixels, larger ones by the mean."""
    side = images.shape[1]
    if side <= SIDE:
        return images.repeat(SIDE // side, 1).repeat(SIDE // side, 2)
    factor = side // SIDE
    parts = images.reshape(len(images), SIDE, factor, SIDE, factor, 3)
    return np.floor(parts.mean((2, 4)) + 0.5).astype(np.uint8)


def features(images, weights=WEIGHTS):
    return frechet.autoencoder_features(weights, sized(images))


def distance(images, real, weights=WEIGHTS):
    """Of images to real ones, both uint8 `[n, side, side, 3]`, sides powers of two."""
    return frechet.distance(*(m for each in (images, real) for m in frechet.moments(features(each, weights))))
