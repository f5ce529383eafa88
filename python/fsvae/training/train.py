"""Trains an FSVAE or ESVAE and writes a checkpoint that fsvae and the reference implementations load.

    python assets/train.py --data mnist32.npz --out mnist.safetensors --minutes 60
    python assets/train.py --data photos/ --side 64 --rgb --out photos.safetensors --epochs 150

The network's shape follows from the images and the options. Beside `NAME.safetensors` it writes
`NAME.state` (everything to `--resume` from), `NAME.csv` (the losses) and `NAME.samples.png` and
`NAME.reconstructions.png` (what the network makes now). Recipes and equations: arXiv 2110.00375, section 4, and 2310.14839, section 3.

The same command with the same seed gives the same weights on the same machine and number of threads, stopped
and resumed or not, where the budget is counted in images or epochs; `--minutes` follows the clock.
"""
import argparse
import copy
import csv
import math
import os
import signal
import sys
import time
from pathlib import Path

# glibc gives every large block back to the system and clears it anew, which costs half the time on a CPU.
# It reads this before main, so the program starts itself again with it.
TUNABLES = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=17179869184:glibc.malloc.trim_threshold=17179869184"

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tqdm import tqdm

import network
import pictures
from pictures import InputError

HALF_FROM = 4096


def parse(arguments=None):
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    g = a.add_argument_group("data")
    g.add_argument("--data", required=True, help=".npz with uint8 `train` [N, side, side(, 3)], a folder or a zip of pictures")
    g.add_argument("--side", type=int, help="resize pictures to this side, a power of two (32; an .npz has its own)")
    colour = g.add_mutually_exclusive_group()
    colour.add_argument("--grey", action="store_const", const=True, dest="grey", help="pictures as 1 channel")
    colour.add_argument("--rgb", action="store_const", const=False, dest="grey", help="pictures as 3 channels (default: as they are)")
    g.add_argument("--flip", action="store_true", help="mirror half of the images")
    g = a.add_argument_group("network")
    g.add_argument("--family", choices=["fsvae", "esvae"], default="fsvae",
                   help="how latent spikes are drawn: by autoregressive networks, or by a rate for each channel (%(default)s)")
    g.add_argument("--time-steps", type=int, default=16, help="T (%(default)s)")
    g.add_argument("--latent", type=int, default=128, help="latent channels C (%(default)s)")
    g.add_argument("--k", type=int, default=20, help="neurons a latent channel, of FSVAE (%(default)s)")
    g.add_argument("--width", type=int, default=32, help="channels of the first encoder layer (%(default)s)")
    g.add_argument("--warm-start", metavar="FILE", help="begin with the weights of this checkpoint")
    g.add_argument("--readout-scale", type=float, default=0.1, metavar="X",
                   help="scale of the last layer's first weights; 1 is PyTorch's, which saturates tanh (%(default)s)")
    g = a.add_argument_group("recipe")
    g.add_argument("--epochs", type=float, default=150, help="%(default)s")
    g.add_argument("--images", type=int, help="budget in images seen, instead of epochs")
    g.add_argument("--minutes", type=float, help="budget in minutes, instead of epochs")
    g.add_argument("--batch", type=int, default=250, help="%(default)s")
    g.add_argument("--lr", type=float, default=1e-3, help="AdamW's rate (%(default)s)")
    g.add_argument("--schedule", choices=["constant", "cosine"], default="cosine", help="of the rate (%(default)s)")
    g.add_argument("--warmup", type=int, default=0, metavar="N", help="raise the rate over the first N images (%(default)s)")
    g.add_argument("--weight-decay", type=float, default=1e-3, help="%(default)s")
    g.add_argument("--ema", type=float, default=0.0, metavar="D", help="average the weights, D of them kept each step (off)")
    g.add_argument("--loss", choices=["mmd", "kld"], default="mmd", help="what ties FSVAE's posterior to its prior (%(default)s)")
    g.add_argument("--prior-weight", type=float, metavar="X", help="of that loss (mmd: 1, kld: 1e-4, ESVAE: 1e-3)")
    g.add_argument("--scheduled", type=float, nargs=2, default=[0.1, 0.3], metavar=("FROM", "TO"),
                   help="probability that the prior sees its own draw from step 6 on (0.1 0.3)")
    g.add_argument("--short", type=float, nargs=2, action="append", default=[], metavar=("STEPS", "UNTIL"),
                   help="train with only so many time steps, which takes less time, until that share of the budget is spent; "
                   "once or several times (off)")
    g.add_argument("--seed", type=int, default=0)
    g = a.add_argument_group("run")
    g.add_argument("--out", required=True, help="checkpoint to write, NAME.safetensors")
    g.add_argument("--resume", action="store_true", help="go on from NAME.state if it is there")
    g.add_argument("--save-minutes", type=float, default=5, help="save this often (%(default)s)")
    g.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    g.add_argument("--threads", type=int, help="CPU threads (all)")
    g.add_argument("--precision", choices=["bfloat16", "float32"], help="of what the layers compute and keep (float32 on a CPU, bfloat16 on a GPU that has it)")
    g.add_argument("--sharpen", type=float, default=1.0, metavar="X",
                   help="scale the last layer in what is written, not in what is trained: above 1, what the network is unsure of "
                   "comes out sharp rather than grey, for a larger MSE and, to a point, a smaller FAED (%(default)s)")
    g.add_argument("--keep-f32", action="store_true", help=f"do not round tensors of more than {HALF_FROM} elements to f16")
    a = a.parse_args(arguments)
    positive = dict(batch=a.batch, sharpen=a.sharpen, k=a.k, latent=a.latent, width=a.width, epochs=a.epochs, save_minutes=a.save_minutes)
    for name, value in positive.items() | dict(minutes=a.minutes, images=a.images, threads=a.threads).items():
        if value is not None and value <= 0:
            raise InputError(f"--{name.replace('_', '-')}: expected more than 0, found {value}")
    for steps, until in a.short:
        if not (1 <= steps <= a.time_steps and steps == int(steps) and 0 <= until <= 1):
            raise InputError(f"--short: expected 1 to {a.time_steps} time steps and a share from 0 to 1, found {steps:g} {until:g}")
    if a.k > 255:
        raise InputError(f"--k: expected 1 to 255, found {a.k}")
    return a


def replace(path, write):
    """Calls `write(beside)` and renames: whatever happens, `path` is the old file or the new one."""
    beside = f"{path}.part"
    write(beside)
    with open(beside, "rb") as file:
        os.fsync(file.fileno())
    # safetensors writes for the owner alone; everyone else expects what the umask says.
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(beside, 0o666 & ~mask)
    os.replace(beside, path)


def rounded(state, half):
    """A state dict as it is written: contiguous on the CPU, large tensors in f16 where that was asked."""
    narrow = lambda v: v.half() if half and v.dtype == torch.float32 and v.numel() > HALF_FROM else v
    return {name: narrow(value.detach().cpu()).contiguous() for name, value in state.items()}


def load_weights(net, path):
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: not a readable checkpoint: {error}") from None
    for name, value in net.state_dict().items():
        if name not in found or found[name].shape != value.shape:
            shape = list(found[name].shape) if name in found else "nothing"
            raise InputError(f"{path}: {name}: expected {list(value.shape)}, found {shape}")
    net.load_state_dict({name: found[name].to(value.dtype) for name, value in net.state_dict().items()})


class Trainer:
    """The network, its optimizer and where the run stands. `state` and `restore` are all of it."""

    def __init__(self, a, images):
        self.a, self.device = a, torch.device(a.device)
        self.images = torch.from_numpy(images)
        # CPUs with bfloat16 instructions were seen to be a fifth slower with than without.
        fast_bfloat16 = self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        self.dtype = getattr(torch, a.precision or ("bfloat16" if fast_bfloat16 else "float32"))
        torch.manual_seed(a.seed)
        try:
            sizes = images.shape[2], images.shape[1], a.time_steps, a.latent
            self.net = network.ESVAE(*sizes, a.width) if a.family == "esvae" else network.FSVAE(*sizes, a.k, a.width)
        except ValueError as error:
            raise InputError(str(error)) from None
        with torch.no_grad():
            for parameter in self.net.final_layer[1].parameters():
                parameter.mul_(a.readout_scale)
        if a.warm_start:
            load_weights(self.net, a.warm_start)
        self.net.to(self.device).train()
        groups = [dict(params=parameters, factor=factor) for parameters, factor in self.net.trained()]
        self.optimizer = torch.optim.AdamW(groups, a.lr, betas=(0.9, 0.999), weight_decay=a.weight_decay, fused=True)
        self.batch = min(a.batch, len(images))
        self.a_epoch = len(images) // self.batch
        budget = a.images / self.batch if a.images else a.epochs * self.a_epoch
        self.total = None if a.minutes else max(1, round(budget))
        self.step, self.seconds = 0, 0.0
        self.average = copy.deepcopy(self.net.state_dict()) if a.ema else None

    def generator(self, device, *numbers):
        """Randomness is a function of the seed and the step, so that a resumed run draws the same."""
        seed = int(np.random.SeedSequence([self.a.seed, *numbers]).generate_state(1, np.uint64)[0] >> 1)
        return torch.Generator(device).manual_seed(seed)

    def next_batch(self):
        epoch, at = divmod(self.step, self.a_epoch)
        if at == 0 or not hasattr(self, "order"):
            self.order = torch.randperm(len(self.images), generator=self.generator("cpu", 0, epoch))
        chosen = self.images[self.order[at * self.batch:(at + 1) * self.batch]].to(self.device)
        x = chosen.float() / 127.5 - 1
        if self.a.flip:
            flipped = torch.rand(len(x), generator=self.generator("cpu", 1, self.step)) < 0.5
            x = torch.where(flipped.to(self.device).view(-1, 1, 1, 1), x.flip(3), x)
        return x

    def progress(self):
        return min(1.0, self.step / self.total if self.total else self.seconds / (self.a.minutes * 60))

    def time_steps(self):
        now = [int(steps) for steps, until in sorted(self.a.short, key=lambda stage: stage[1]) if self.progress() < until]
        return now[0] if now else self.net.steps

    def rate(self):
        rate = self.a.lr * (0.5 + 0.5 * math.cos(math.pi * self.progress()) if self.a.schedule == "cosine" else 1)
        return rate * min(1.0, (self.step + 1) * self.batch / self.a.warmup) if self.a.warmup else rate

    def losses(self, x, generator):
        """Reconstructions, the loss that ties the latents to the prior, and its weight."""
        a, weight = self.a, self.a.prior_weight
        if a.family == "esvae":
            reconstructed, q, p = self.net(x, generator, dtype=self.dtype)
            return reconstructed, network.gaussian_mmd(q, p), 1e-3 if weight is None else weight
        scheduled = a.scheduled[0] + (a.scheduled[1] - a.scheduled[0]) * self.progress()
        reconstructed, q, p = self.net(x, generator, scheduled, dtype=self.dtype)
        tie = network.mmd(q, p) if a.loss == "mmd" else network.kld(q, p)
        return reconstructed, tie, weight if weight is not None else 1.0 if a.loss == "mmd" else 1e-4

    def train_step(self):
        """One batch; returns the losses as tensors, so that a GPU is not waited for."""
        a, x = self.a, self.next_batch()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate() * group["factor"]
        generator = self.generator(self.device, 2, self.step)
        with self.net.shortened(self.time_steps()):
            reconstructed, tie, weight = self.losses(x, generator)
        mse = (reconstructed - x).square().mean()
        self.optimizer.zero_grad(set_to_none=True)
        (mse + weight * tie).backward()
        self.optimizer.step()
        self.step += 1
        if self.average:
            keep = min(a.ema, (1 + self.step) / (10 + self.step))
            for name, value in self.net.state_dict().items():
                if value.is_floating_point():
                    self.average[name].lerp_(value, 1 - keep)
                else:
                    self.average[name].copy_(value)
        return torch.stack([mse.detach(), tie.detach()])

    def finished(self):
        return self.step >= self.total if self.total else self.seconds >= self.a.minutes * 60

    def weights(self):
        """What is written: the trained or averaged weights, sharpened."""
        weights = dict(self.average or self.net.state_dict())
        for name in ("final_layer.1.weight", "final_layer.1.bias"):
            weights[name] = weights[name] * self.a.sharpen
        return weights

    def state(self):
        return dict(net=self.net.state_dict(), optimizer=self.optimizer.state_dict(), average=self.average,
                    step=self.step, seconds=self.seconds)

    def restore(self, path):
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            self.net.load_state_dict(state["net"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.average:
                self.average = state["average"] or copy.deepcopy(self.net.state_dict())
            self.step, self.seconds = state["step"], state["seconds"]
        except Exception as error:  # noqa: BLE001, a pickle fails in any way it likes
            raise InputError(f"{path}: cannot resume from it: {str(error).splitlines()[0]}") from None

    def shown(self, half=False):
        """The network as it would be written, for inference in single precision."""
        net = copy.deepcopy(self.net).eval()
        net.load_state_dict({n: v.float() if v.is_floating_point() else v for n, v in rounded(self.weights(), half).items()})
        return net


def spread(images, count):
    """So many of the images, from all over: a folder's are often in the order of their classes."""
    return images[::max(1, len(images) // count)][:count]


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
            x = real.to(t.device).float() / 127.5 - 1
            again = net.reconstruct(x, t.generator(t.device, 4)).float().cpu()
        pictures.save_grid(self[".samples.png"], pictures.pixels(samples), 8)
        pairs = np.stack([real.numpy().reshape(4, 8, *real.shape[1:]), pictures.pixels(again).reshape(4, 8, *real.shape[1:])], 1) \
            if len(real) == 32 else real.numpy()
        pictures.save_grid(self[".reconstructions.png"], pairs.reshape(-1, *real.shape[1:]), 8)
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
            x = self.test[i:i + 125].to(t.device).float() / 127.5 - 1
            again = net.reconstruct(x, t.generator(t.device, 5, i))
            total += (again - x).square().sum().item()
        return total / self.test.numel()


def train(a):
    if a.threads:
        torch.set_num_threads(a.threads)
    if not a.out.endswith(".safetensors"):
        raise InputError(f"--out: expected a name that ends in .safetensors, found {a.out}")
    folder = Path(a.out).absolute().parent
    if not folder.is_dir():
        raise InputError(f"--out: no such folder: {folder}")
    images = pictures.read(a.data, "train", a.side, a.grey)
    test = pictures.read(a.data, "test", a.side, None if a.grey is None and images.shape[1] == 3 else images.shape[1] == 1)
    trainer = Trainer(a, images)
    out = Outputs(trainer, test)
    resumed = a.resume and os.path.exists(out[".state"])
    if resumed:
        trainer.restore(out[".state"])
        out.trim_log()
    elif os.path.exists(out[".csv"]):
        os.remove(out[".csv"])
    print(f"{len(images)} images of {images.shape[1]} x {images.shape[2]} x {images.shape[3]}, batch {trainer.batch}, "
          f"{trainer.device}, {trainer.dtype}, {'resumed at step ' + str(trainer.step) if resumed else 'seed ' + str(a.seed)}", flush=True)

    stop = []
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.append(1))
    bar = tqdm(total=trainer.total and trainer.total * trainer.batch, initial=trainer.step * trainer.batch, unit="image",
               disable=not sys.stderr.isatty(), smoothing=0.05)
    losses, logged, last = [], time.monotonic(), time.monotonic()
    while not trainer.finished() and not stop:
        losses.append(trainer.train_step())
        now = time.monotonic()
        trainer.seconds, last = trainer.seconds + now - last, now
        bar.update(trainer.batch)
        if now - logged >= 10 or trainer.finished() or stop:
            mse, tie = torch.stack(losses).mean(0).tolist()
            row = dict(step=trainer.step, images=trainer.step * trainer.batch, minutes=round(trainer.seconds / 60, 3), mse=round(mse, 5),
                       prior_loss=round(tie, 6), lr=f"{trainer.rate():.3g}", images_per_s=round(len(losses) * trainer.batch / (now - logged), 1))
            out.log(row)
            bar.write(" ".join(f"{k} {v}" for k, v in row.items()), file=sys.stdout)
            sys.stdout.flush()
            if not math.isfinite(mse + tie):
                raise RuntimeError(f"the loss is {mse + tie} at step {trainer.step}; {out['.state']} is from before")
            losses, logged = [], now
        if out.due():
            out.save()
            # Saving is not training: neither the budget nor the speed count it.
            now = time.monotonic()
            logged, last = logged + now - last, now
    bar.close()
    out.save()
    exact, written = out.error(False), out.error(not a.keep_f32)
    print(f"{a.out}: step {trainer.step}, reconstruction MSE over {len(out.test)} images {exact:.5f}"
          + ("" if a.keep_f32 else f", with large tensors in f16 {written:.5f} ({written - exact:+.5f})")
          + (" (stopped; --resume goes on)" if stop else ""))


def main():
    if sys.platform == "linux" and "GLIBC_TUNABLES" not in os.environ:
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "GLIBC_TUNABLES": TUNABLES})
    try:
        train(parse())
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2)


if __name__ == "__main__":
    main()
