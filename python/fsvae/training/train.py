"""Trains an FSVAE or ESVAE and writes a checkpoint that fsvae and the reference implementations load.

    fsvae-train --data mnist32.npz --out mnist.safetensors --minutes 60
    fsvae-train --data photos/ --side 64 --rgb --out photos.safetensors --epochs 150

The network's shape follows from the images and the options. Beside `NAME.safetensors` it writes
`NAME.state` (everything to `--resume` from), `NAME.csv` (the losses) and `NAME.samples.png` and
`NAME.reconstructions.png` (what the network makes now). Recipes and equations: arXiv 2110.00375, section 4, and
2310.14839, section 3.

The same command with the same seed gives the same weights on the same machine and number of threads, stopped
and resumed or not, where the budget is counted in images or epochs; `--minutes` follows the clock. Name the `--precision`
then: left to itself, another run may choose another one.
"""

import math
import os
import signal
import sys
import time
from pathlib import Path

import torch
from tqdm import tqdm

from . import options, pictures
from .errors import InputError, reported
from .outputs import Outputs
from .trainer import Trainer

# glibc gives every large block back to the system and clears it anew, which costs half the time on a CPU.
# It reads this before main, so the program starts itself again with it.
TUNABLES = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=17179869184:glibc.malloc.trim_threshold=17179869184"


def parse(arguments=None):
    return options.parse(__doc__, arguments)


def train(a):
    if a.threads:
        torch.set_num_threads(a.threads)
    if not a.out.endswith(".safetensors"):
        raise InputError(f"--out: expected a name that ends in .safetensors, found {a.out}")
    folder = Path(a.out).absolute().parent
    if not folder.is_dir():
        raise InputError(f"--out: no such folder: {folder}")
    images = pictures.read(a.data, "train", a.side, a.grey)
    test = pictures.read(
        a.data, "test", a.side, None if a.grey is None and images.shape[1] == 3 else images.shape[1] == 1
    )
    trainer = Trainer(a, images)
    out = Outputs(trainer, test)
    resumed = a.resume and os.path.exists(out[".state"])
    if resumed:
        trainer.restore(out[".state"])
        out.trim_log()
    elif os.path.exists(out[".csv"]):
        os.remove(out[".csv"])
    trainer.learn_to_see()
    times = trainer.settle_precision()
    if times:
        found = ", ".join(f"{name} {1000 * seconds:.0f} ms" for name, seconds in times.items())
        print(f"{trainer.precision}, by a trial of steps: {found}")
    begins = f"resumed at step {trainer.step}" if resumed else f"seed {a.seed}"
    print(
        f"{len(images)} images of {images.shape[1]} x {images.shape[2]} x {images.shape[3]}, batch {trainer.batch}, "
        f"{trainer.device}, {trainer.dtype}, {begins}",
        flush=True,
    )

    stop = []
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.append(1))
    bar = tqdm(
        total=trainer.total and trainer.total * trainer.batch,
        initial=trainer.step * trainer.batch,
        unit="image",
        disable=not sys.stderr.isatty(),
        smoothing=0.05,
    )
    losses, logged, last = [], time.monotonic(), time.monotonic()
    while not trainer.finished() and not stop:
        losses.append(trainer.train_step())
        now = time.monotonic()
        trainer.seconds, last = trainer.seconds + now - last, now
        bar.update(trainer.batch)
        if now - logged >= 10 or trainer.finished() or stop:
            parts = {name: torch.stack([step[name] for step in losses]).mean().item() for name in losses[0]}
            row = dict(
                step=trainer.step,
                images=trainer.step * trainer.batch,
                minutes=round(trainer.seconds / 60, 3),
                **{name: round(value, 6 if name == "prior_loss" else 5) for name, value in parts.items()},
                lr=f"{trainer.rate():.3g}",
                images_per_s=round(len(losses) * trainer.batch / (now - logged), 1),
            )
            out.log(row)
            bar.write(" ".join(f"{k} {v}" for k, v in row.items()), file=sys.stdout)
            sys.stdout.flush()
            whole = sum(parts.values())
            if not math.isfinite(whole):
                raise RuntimeError(f"the loss is {whole} at step {trainer.step}; {out['.state']} is from before")
            losses, logged = [], now
        if out.due():
            out.save()
            # Saving is not training: neither the budget nor the speed count it.
            now = time.monotonic()
            logged, last = logged + now - last, now
    bar.close()
    out.save()
    exact, written = out.error(False), out.error(not a.keep_f32)
    print(
        f"{a.out}: step {trainer.step}, reconstruction MSE over {len(out.test)} images {exact:.5f}"
        + ("" if a.keep_f32 else f", with large tensors in f16 {written:.5f} ({written - exact:+.5f})")
        + (" (stopped; --resume goes on)" if stop else "")
    )


def main():
    if sys.platform == "linux" and "GLIBC_TUNABLES" not in os.environ:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, "GLIBC_TUNABLES": TUNABLES})
    with reported():
        train(parse())


if __name__ == "__main__":
    main()
