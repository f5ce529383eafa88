"""The programs that fsvae's speed is compared with, as one program: checks them, and serves batches of images to run.py.

    python peers.py check optimised --fsvae ../../target/release/fsvae --batch 64
    python peers.py serve optimised --threads 1 --batch 64

`check` makes the images of a seed with fsvae's own draws and compares them with those of `fsvae generate`. `serve` prints
`ready NAME`, reads lines `N` from standard input, and answers each with the nanoseconds that each of N batches took, from
the draws to u8 pixels on the host. An option of a peer is `--set NAME=VALUE`; see its module for what there is.
"""
import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import model as common

HERE = Path(__file__).resolve().parent
NAMES = ["reference", "conv2d", "optimised", "compile", "onnx"]
# Of the pixels, the share that may differ by more than 1 of 255. In float32 an order of sums may decide a spike now and
# then; on the bundled MNIST model's first images none does.
ALLOWED = 0.001


def options(kind, settings):
    """An options object of a peer with what `--set` says."""
    result = kind()
    for setting in settings:
        name, _, value = setting.partition("=")
        if not hasattr(result, name):
            raise SystemExit(f"no option {name}; there are {', '.join(vars(result))}")
        old = getattr(result, name)
        setattr(result, name, value == "true" if isinstance(old, bool) else type(old)(value))
    return result


def make(name, model, a):
    """A peer: a function of draws (see model.py) that returns pixels `[B, side, side, channels]`."""
    device = torch.device(a.device)
    if name == "reference":
        from reference import Reference
        return Reference(model, device, a.batch)
    if name == "optimised" and device.type == "cuda":
        from optimised_cuda import OptimisedCuda
        return OptimisedCuda(model, a.batch, device)
    if name == "conv2d":
        from optimised import Optimised, Options
        # The whole batch in PyTorch's own convolutions, as most would write it.
        return Optimised(model, a.batch, options(lambda: Options(convolution="mkldnn", part=a.batch, workers=False, drawn=0), a.set))
    if name == "optimised":
        from optimised import Optimised, Options
        return Optimised(model, a.batch, options(Options, a.set))
    if name == "compile":
        from compiled import Compiled, Options
        return Compiled(model, a.batch, device, options(Options, a.set))
    from onnx_runtime import OnnxRuntime, Options
    return OnnxRuntime(model, a.batch, device, a.threads, options(Options, a.set))


def draw_device(name, a):
    """Where draws are made: ONNX Runtime takes them from the host."""
    return "cpu" if name == "onnx" else a.device


def host(pixels):
    """Pixels on the host, as u8; waits for the device."""
    return pixels.cpu().numpy()


def fsvae_images(a, count):
    """The first `count` images of the seed, made by fsvae, `[count, side, side, channels]`."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*shlex.split(a.fsvae), "generate", "--model", a.model, "--seed", str(a.seed), "--count", str(count),
                   "--out", f"{folder}/{{index}}.png"]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        return np.stack([np.atleast_3d(np.array(Image.open(f"{folder}/{i}.png"))) for i in range(count)])


def check(name, model, a):
    """Compares a peer with fsvae, in batches of the size that is timed; returns whether it is right."""
    expected, peer = fsvae_images(a, a.count), make(name, model, a)
    # A peer may be built for one size of batch: the last one is filled up with images that are not looked at.
    indices = np.arange(-(-a.count // a.batch) * a.batch)
    draws = common.exact_draws(model, a.seed, indices).to(draw_device(name, a))
    made = [host(peer(draws[:, i : i + a.batch].contiguous())).copy() for i in range(0, len(indices), a.batch)]
    difference = np.abs(np.concatenate(made)[: a.count].astype(int) - expected)
    over, right = (difference > 1).mean(), (difference > 1).mean() <= ALLOWED
    print(f"{'right' if right else 'WRONG'}: {name}, batches of {a.batch}, {a.count} images: {(difference > 0).sum()} of "
          f"{difference.size} pixels differ, {(difference > 1).sum()} ({100 * over:.3f} %) by more than 1, at most {difference.max()}",
          flush=True)
    return right


def versions():
    """What a record of timings should say about this program."""
    from importlib.metadata import PackageNotFoundError, version
    found = {}
    for package in ("torch", "onnxruntime", "onnxruntime-gpu", "onnx", "numpy", "triton"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            pass
    found["python"] = sys.version.split()[0]
    if torch.cuda.is_available():
        found["gpu"], found["cuda"] = torch.cuda.get_device_name(), torch.version.cuda
    return found


def serve(name, model, a):
    # Compilers write to standard output; the protocol keeps it to itself.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peer, device = make(name, model, a), draw_device(name, a)

    def batch():
        start = time.perf_counter_ns()
        pixels = host(peer(common.random_draws(model, a.batch, device)))
        elapsed = time.perf_counter_ns() - start
        assert pixels.dtype == np.uint8 and pixels.shape == (a.batch, model.side, model.side, model.channels)
        return elapsed

    for _ in range(3):
        batch()
    print("ready", name, file=answers, flush=True)
    for line in sys.stdin:
        print(*(batch() for _ in range(int(line))), file=answers, flush=True)


def arguments():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("what", choices=["check", "serve", "versions"])
    a.add_argument("name", nargs="?", choices=NAMES, help="the peer")
    a.add_argument("--model", default=str(HERE.parent.parent / "assets" / "mnist" / "mnist.safetensors"), help="a checkpoint")
    a.add_argument("--batch", type=int, default=64)
    a.add_argument("--threads", type=int, default=1)
    a.add_argument("--device", default="cpu", help="cpu or cuda")
    a.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the peer")
    a.add_argument("--fsvae", default="fsvae", help="check: the fsvae command line to compare with")
    a.add_argument("--seed", type=int, default=7, help="check: the seed")
    a.add_argument("--count", type=int, default=64, help="check: how many images")
    a.add_argument("--decay", type=float, default=common.DECAY, help="check: a wrong decay, to see the check fail")
    return a.parse_args()


def main():
    a = arguments()
    if a.what == "versions":
        import json
        return print(json.dumps(versions()))
    # Peers take the decay from the module when they are imported, which is later.
    common.DECAY = a.decay
    torch.set_num_threads(a.threads)
    torch.set_num_interop_threads(1)
    model = common.Model(a.model)
    if a.what == "serve":
        return serve(a.name, model, a)
    raise SystemExit(0 if check(a.name, model, a) else 1)


if __name__ == "__main__":
    main()
