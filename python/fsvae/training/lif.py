"""Batch norm scaled to the threshold (tdBN) and leaky integrate-and-fire neurons as one autograd function.

    spikes, mean, variance = Spiking.apply(x, gamma, beta, alpha, steps, repeat, coef)

`x` is `[steps * batch, features]` or `[steps * batch, channels, height, width]` in channels_last, time step first.
The work is done by `lif.cpp` on a CPU that has a C++ compiler, by `lif_triton.py` on a GPU that has Triton, else by the
same arithmetic in PyTorch. Every dtype of float64, float32 and bfloat16 is understood.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch

THRESHOLD, DECAY, WINDOW, EPSILON = 0.2, 0.25, 0.5, 1e-5


def as_rows(x):
    """The rows and channels of a tensor, as the kernels see it."""
    if x.dim() == 4:
        x = x.permute(0, 2, 3, 1)
    return x.contiguous().view(-1, x.shape[-1])


def like(rows, x):
    """Rows as a tensor that differs from `x` at most in its first dimension."""
    if x.dim() == 4:
        _, c, h, w = x.shape
        return rows.view(-1, h, w, c).permute(0, 3, 1, 2)
    return rows.view(-1, x.shape[1])


class Torch:
    """The kernels in PyTorch. Shapes: x `[T or 1, rows, channels]`, scale and shift `[channels]`."""

    @staticmethod
    def moments(x):
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        return x.mean(0), x.var(0, unbiased=False)

    @staticmethod
    def forward(x, scale, shift, steps, coef):
        u, out = 0, []
        for t in range(steps):
            u = DECAY * u + (x[t % x.shape[0]].to(scale.dtype) * scale + shift)
            s = (u > THRESHOLD).to(scale.dtype)
            u = u * (1 - s)
            out.append(s)
        if coef is not None:
            return sum(c * s for c, s in zip(coef, out, strict=True)).to(x.dtype)
        return torch.stack(out).to(x.dtype)

    @staticmethod
    def backward(x, scale, shift, steps, coef, grad):
        before, us = 0, []
        for t in range(steps):
            u = DECAY * before + (x[t % x.shape[0]].to(scale.dtype) * scale + shift)
            us.append(u)
            before = u * (u <= THRESHOLD)
        du, dy = 0, []
        for t in reversed(range(steps)):
            u = us[t]
            g = grad.to(scale.dtype) * coef[t] if coef is not None else grad[t].to(scale.dtype)
            following = DECAY * du
            du = following * (u <= THRESHOLD) + (u.abs() < WINDOW) * (g - following * u)
            dy.append(du)
        dy = torch.stack(dy[::-1]) if x.shape[0] > 1 or steps == 1 else sum(dy)[None]
        return dy.to(x.dtype), dy.sum((0, 1)), (dy * x).sum((0, 1))

    @staticmethod
    def combine(grad, x, a, b, d):
        return (a * grad + b * x + d).to(x.dtype)

    @staticmethod
    def step(x, scale, shift, u):
        u = DECAY * u + (x.to(scale.dtype) * scale + shift)
        s = u > THRESHOLD
        return u * ~s, s.to(x.dtype)


class Neuron(ctypes.Structure):
    _fields_ = [("threshold", ctypes.c_double), ("decay", ctypes.c_double), ("window", ctypes.c_double)]


class Native:
    """The kernels of `lif.cpp`."""

    def __init__(self, library):
        self.library, self.neuron = library, Neuron(THRESHOLD, DECAY, WINDOW)

    def call(self, name, dtype, *arguments):
        def convert(a):
            if isinstance(a, Neuron):
                return a
            if a is None or isinstance(a, torch.Tensor):
                return ctypes.c_void_p(None if a is None else a.data_ptr())
            return ctypes.c_int64(a)

        getattr(self.library, f"{name}_{str(dtype)[6:]}")(*map(convert, arguments))

    def moments(self, x):
        rows, channels = x.shape
        mean, variance = torch.empty(2, channels, dtype=torch.float64)
        self.call("moments", x.dtype, x, rows, channels, torch.get_num_threads(), mean, variance)
        return mean, variance

    def forward(self, x, scale, shift, steps, coef):
        x = x.contiguous()
        repeated, rows, channels = x.shape
        out = x.new_empty((rows, channels) if coef is not None else (steps, rows, channels))
        self.call(
            "forward",
            x.dtype,
            self.neuron,
            x,
            scale,
            shift,
            steps,
            rows,
            channels,
            rows * channels if repeated > 1 else 0,
            torch.get_num_threads(),
            out,
            coef,
        )
        return out

    def backward(self, x, scale, shift, steps, coef, grad):
        x, grad = x.contiguous(), grad.contiguous()
        repeated, rows, channels = x.shape
        out, sums = torch.empty_like(x), torch.empty(2, channels, dtype=torch.float64)
        stride = rows * channels if repeated > 1 or steps == 1 else 0
        self.call(
            "backward",
            x.dtype,
            self.neuron,
            x,
            scale,
            shift,
            steps,
            rows,
            channels,
            stride,
            torch.get_num_threads(),
            grad,
            coef,
            out,
            sums[0],
            sums[1],
        )
        return out, sums[0], sums[1]

    def combine(self, grad, x, a, b, d):
        rows, channels = x.shape
        self.call("combine", x.dtype, grad, x, a, b, d, rows, channels, torch.get_num_threads())
        return grad

    def step(self, x, scale, shift, u):
        s = torch.empty_like(x)
        self.call("step", x.dtype, self.neuron, x, scale, shift, *x.shape, torch.get_num_threads(), u, s)
        return u, s


def native():
    """Compiles `lif.cpp` once a machine; None where there is no compiler for it."""
    source = Path(__file__).with_name("lif.cpp")
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if not compiler:
        return None
    flags = [
        "-std=c++17",
        "-O3",
        "-march=native",
        "-ffast-math",
        "-fno-finite-math-only",
        "-fno-trapping-math",
        "-fopenmp",
        "-shared",
        "-fPIC",
    ]
    processor = Path("/proc/cpuinfo")
    lines = processor.read_text().splitlines() if processor.exists() else []
    # What it can do; the second is ARM's name.
    features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    name = hashlib.sha256(source.read_bytes() + " ".join([compiler, *flags, features]).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fsvae-train"
    library = cache / f"lif-{name}.so"
    if not library.exists():
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=cache) as folder:
                built = Path(folder) / "lif.so"
                subprocess.run([compiler, *flags, str(source), "-o", str(built)], check=True, capture_output=True)
                os.replace(built, library)
        except (OSError, subprocess.CalledProcessError):
            return None
    return Native(ctypes.CDLL(str(library)))


KERNELS = {}


def triton():
    """The kernels of `lif_triton.py`; None where PyTorch came without Triton."""
    try:
        from .lif_triton import Triton
    except ImportError:
        return None
    return Triton


def kernels(device):
    if device.type not in KERNELS:
        made = native() if device.type == "cpu" else triton() if device.type == "cuda" else None
        KERNELS[device.type] = made or Torch
    return KERNELS[device.type]


def affine(gamma, beta, mean, variance, dtype, alpha):
    """tdBN as y = scale * x + shift, and 1 / sqrt(variance), in the type the kernels add in."""
    kind = torch.promote_types(dtype, torch.float32)
    inverse = (variance.double() + EPSILON).rsqrt()
    scale = alpha * THRESHOLD * gamma.detach().double() * inverse
    return scale.to(kind), (beta.detach().double() - mean.double() * scale).to(kind), inverse


class Spiking(torch.autograd.Function):
    """Spikes of a layer from its currents before the norm, by the statistics of this batch.

    With `repeat`, x holds one time step that comes `steps` times; with `coef`, the result is `sum coef_t s_t`.
    Returns the result and the batch's mean and variance.
    """

    @staticmethod
    def forward(ctx, x, gamma, beta, alpha, steps, repeat, coef):
        k, rows = kernels(x.device), as_rows(x)
        mean, variance = k.moments(rows)
        scale, shift, inverse = affine(gamma, beta, mean, variance, x.dtype, alpha)
        by_time = rows.view(1 if repeat else steps, -1, rows.shape[1])
        out = k.forward(by_time, scale, shift, steps, coef)
        ctx.save_for_backward(x, scale, shift, inverse, mean, gamma, coef)
        ctx.alpha, ctx.steps, ctx.repeat = alpha, steps, repeat
        ctx.mark_non_differentiable(mean, variance)
        return like(out, x), mean, variance

    @staticmethod
    def backward(ctx, grad, *_):
        x, scale, shift, inverse, mean, gamma, coef = ctx.saved_tensors
        k, rows, grad = kernels(x.device), as_rows(x), as_rows(grad)
        by_time = rows.view(1 if ctx.repeat else ctx.steps, -1, rows.shape[1])
        grad = grad.view(-1, rows.shape[1]) if coef is not None else grad.view(ctx.steps, -1, rows.shape[1])
        dy, total, total_x = k.backward(by_time, scale, shift, ctx.steps, coef, grad)
        total, total_x, count = total.double(), total_x.double(), rows.shape[0]
        normed = inverse * (total_x - mean.double() * total)
        b = -scale.double() * inverse * normed / count
        d = -scale.double() * total / count - b * mean.double()
        dx = k.combine(dy.view_as(rows), rows, scale, b.to(scale.dtype), d.to(scale.dtype))
        dgamma = (ctx.alpha * THRESHOLD * normed).to(gamma.dtype)
        return like(dx, x), dgamma, total.to(gamma.dtype), None, None, None, None


class Fixed(torch.autograd.Function):
    """Spikes of a layer by a scale and a shift that do not follow the batch: those of its running statistics."""

    @staticmethod
    def forward(ctx, x, scale, shift, steps, repeat, coef):
        rows = as_rows(x)
        by_time = rows.view(1 if repeat else steps, -1, rows.shape[1])
        ctx.save_for_backward(x, scale, shift, coef)
        ctx.steps, ctx.repeat = steps, repeat
        return like(kernels(x.device).forward(by_time, scale, shift, steps, coef), x)

    @staticmethod
    def backward(ctx, grad):
        x, scale, shift, coef = ctx.saved_tensors
        k, rows, grad = kernels(x.device), as_rows(x), as_rows(grad)
        by_time = rows.view(1 if ctx.repeat else ctx.steps, -1, rows.shape[1])
        grad = grad.view(-1, rows.shape[1]) if coef is not None else grad.view(ctx.steps, -1, rows.shape[1])
        dy, *_ = k.backward(by_time, scale, shift, ctx.steps, coef, grad)
        nothing = torch.zeros_like(scale)
        return like(k.combine(dy.view_as(rows), rows, scale, nothing, nothing), x), None, None, None, None, None
