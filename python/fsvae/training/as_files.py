"""Writes images of an .npz file as PNG files, for `fsvae reconstruct DIRECTORY`.

    python -m fsvae.training.as_files mnist32.npz DIRECTORY --count 1000

The array `test` is u8 [n, height, width] or [n, height, width, 3].
"""

import argparse
import os

import numpy as np
from PIL import Image


def main(arguments=None):
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("npz")
    a.add_argument("directory")
    a.add_argument("--array", default="test")
    a.add_argument("--count", type=int, default=1000)
    a = a.parse_args(arguments)
    os.makedirs(a.directory, exist_ok=True)
    with np.load(a.npz) as file:
        for index, image in enumerate(file[a.array][: a.count]):
            Image.fromarray(image).save(os.path.join(a.directory, f"{index:05}.png"))


if __name__ == "__main__":
    main()
