"""The files that a run of training writes."""

import csv
import os
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from .. import Images
from . import pictures
from .checkpoint import replace, rounded


def spread(images, count):
    """So many of the images, from all over: a folder's are often in the order of their classes."""
    return images[:: max(1, len(images) // count)][:count]


def pairs(real, again):
    """Rows of up to 8 images, below each a row of what became of them, the last two filled up black; and the columns."""
    columns = min(8, len(real))
    missing = -len(real) % columns
    rows = [
        np.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0))).reshape(-1, columns, *images.shape[1:])
        for images in (real, again)
    ]
    return np.stack(rows, 1).reshape(-1, *real.shape[1:]), columns


def save_grid(path, images, columns):
    """Writes uint8 `[N, channels, side, side]` as one PNG."""
    png = Images(images.transpose(0, 2, 3, 1)).to_png(columns)
    replace(path, lambda beside: Path(beside).write_bytes(png))


class Outputs:
    """The files of a run, and when they were last written."""

    def __init__(self, trainer, test):
        a = trainer.a
        self.trainer, self.stem = trainer, a.out.removesuffix(".safetensors")
        images = torch.from_numpy(test) if test is not None else trainer.images
        self.test = spread(images, 1000)
        self.saved = time.monotonic()

    def __getitem__(self, suffix):
        return self.stem + suffix

    def due(self):
        return time.monotonic() - self.saved >= self.trainer.a.save_minutes * 60

    def save(self):
        t = self.trainer
        replace(self[".state"], lambda path: torch.save(t.state(), path))
        replace(t.a.out, lambda path: save_file(rounded(t.weights(), not t.a.keep_f32), path))
        net = t.shown()
        with torch.no_grad():
            samples = net.generate(64, t.generator(t.device, 3)).float().cpu()
            real = spread(self.test, 32)
            x = t.shown_to_net(real)
            again = net.reconstruct(x, t.generator(t.device, 4)).float().cpu()
        save_grid(self[".samples.png"], pictures.pixels(samples), 8)
        save_grid(self[".reconstructions.png"], *pairs(real.numpy(), pictures.pixels(again)))
        self.saved = time.monotonic()

    def log(self, row):
        new = not os.path.exists(self[".csv"])
        with open(self[".csv"], "a", newline="") as file:
            writer = csv.DictWriter(file, row)
            if new:
                writer.writeheader()
            writer.writerow(row)

    def trim_log(self):
        """Drops the lines a killed run logged after its last save, for they will be logged again."""
        try:
            with open(self[".csv"], newline="") as file:
                rows = [row for row in csv.DictReader(file) if row.get("step", "").isdigit()]
        except FileNotFoundError:
            return
        kept = [row for row in rows if int(row["step"]) <= self.trainer.step]
        os.remove(self[".csv"])
        for row in kept:
            self.log(row)

    @torch.no_grad()
    def error(self, half):
        """Reconstruction MSE of up to 1,000 test images (of training images where there is no `test`)."""
        net, total, t = self.trainer.shown(half), 0.0, self.trainer
        for i in range(0, len(self.test), 125):
            x = t.shown_to_net(self.test[i : i + 125])
            again = net.reconstruct(x, t.generator(t.device, 5, i))
            total += (again - x).square().sum().item()
        return total / self.test.numel()
