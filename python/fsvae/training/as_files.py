"""Writes images of an .npz file as PNG files, for `fsvae reconstruct DIRECTORY`.

    python assets/test_images.py mnist32.npz DIRECTORY --count 1000

The array `test` is u8 [n, height, width] or [n, height, width, 3]. Needs numpy and pillow.
"""
import argparse
import os

import numpy as np
from PIL import Image

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("npz")
arguments.add_argument("directory")
arguments.add_argument("--array", default="test")
arguments.add_argument("--count", type=int, default=1000)
arguments = arguments.parse_args()

os.makedirs(arguments.directory, exist_ok=True)
for index, image in enumerate(np.load(arguments.npz)[arguments.array][: arguments.count]):
    Image.fromarray(image).save(os.path.join(arguments.directory, f"{index:05}.png"))
