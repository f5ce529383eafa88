"""The kernels of `lif.Torch` for a GPU, in Triton, which comes with PyTorch for CUDA: all time steps of a layer in one.

One kernel serves every shape. A `torch.compile` of `lif.Torch` is made anew for each, and after eight of them PyTorch
gives up and runs every operation of every time step by itself.
"""

import torch
import triton
import triton.language as tl

THRESHOLD, DECAY, WINDOW = tl.constexpr(0.2), tl.constexpr(0.25), tl.constexpr(0.5)
#: Elements a program handles: in a kernel without sums, and in one that keeps all time steps in registers.
BLOCK, TILE = 512, 256


@triton.jit
def forward_kernel(
    x, scale, shift, coef, out, size, channels, stride, STEPS: tl.constexpr, READ: tl.constexpr, BLOCK: tl.constexpr
):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside, channel = i < size, i % channels
    a, b = tl.load(scale + channel), tl.load(shift + channel)
    u, total = a * 0, a * 0
    for t in tl.static_range(STEPS):
        u = DECAY * u + (tl.load(x + t * stride + i, inside, 0.0).to(a.dtype) * a + b)
        fires = u > THRESHOLD
        if READ:
            total += tl.where(fires, tl.load(coef + t), 0.0)
        else:
            tl.store(out + t * size + i, tl.where(fires, 1.0, 0.0), inside)
        u = tl.where(fires, 0.0, u)
    if READ:
        tl.store(out + i, total, inside)


@triton.jit
def backward_kernel(
    x,
    scale,
    shift,
    coef,
    grad,
    out,
    sums,
    rows,
    channels,
    stride,
    STEPS: tl.constexpr,
    READ: tl.constexpr,
    REPEAT: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    real = channel < channels
    inside = (row < rows)[:, None] & real[None, :]
    i = row[:, None] * channels + channel[None, :]
    size = rows * channels
    a, b = tl.load(scale + channel, real, 0.0)[None, :], tl.load(shift + channel, real, 0.0)[None, :]
    # The membranes before they are reset, of all time steps: a tuple, and the loops are unrolled.
    us = ()
    u = tl.zeros((ROWS, CHANNELS), a.dtype)
    for t in tl.static_range(STEPS):
        u = DECAY * u + (tl.load(x + t * stride + i, inside, 0.0).to(a.dtype) * a + b)
        us = us + (u,)  # noqa: RUF005, Triton has no `(*us, u)`
        u = tl.where(u > THRESHOLD, 0.0, u)
    du = tl.zeros((ROWS, CHANNELS), a.dtype)
    total = tl.zeros((ROWS, CHANNELS), a.dtype)
    total_x = tl.zeros((ROWS, CHANNELS), a.dtype)
    if READ:
        whole = tl.load(grad + i, inside, 0.0).to(a.dtype)
    for back in tl.static_range(STEPS):
        u = us[STEPS - 1 - back]
        if READ:
            g = whole * tl.load(coef + STEPS - 1 - back)
        else:
            g = tl.load(grad + (STEPS - 1 - back) * size + i, inside, 0.0).to(a.dtype)
        following = DECAY * du
        du = tl.where(u > THRESHOLD, 0.0, following) + tl.where(tl.abs(u) < WINDOW, g - following * u, 0.0)
        total += du
        if not REPEAT:
            total_x += du * tl.load(x + (STEPS - 1 - back) * stride + i, inside, 0.0).to(a.dtype)
            tl.store(out + (STEPS - 1 - back) * size + i, du, inside)
    if REPEAT:
        total_x = total * tl.load(x + i, inside, 0.0).to(a.dtype)
        tl.store(out + i, total, inside)
    at = sums + tl.program_id(0).to(tl.int64) * 2 * channels + channel
    tl.store(at, tl.sum(tl.where(inside, total, 0.0), 0), real)
    tl.store(at + channels, tl.sum(tl.where(inside, total_x, 0.0), 0), real)


@triton.jit
def combine_kernel(grad, x, a, b, d, size, channels, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside, channel = i < size, i % channels
    scale = tl.load(a + channel)
    g, y = tl.load(grad + i, inside, 0.0).to(scale.dtype), tl.load(x + i, inside, 0.0).to(scale.dtype)
    tl.store(grad + i, scale * g + tl.load(b + channel) * y + tl.load(d + channel), inside)


@triton.jit
def step_kernel(x, scale, shift, u, out, size, channels, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside, channel = i < size, i % channels
    a = tl.load(scale + channel)
    v = DECAY * tl.load(u + i, inside, 0.0) + (tl.load(x + i, inside, 0.0).to(a.dtype) * a + tl.load(shift + channel))
    fires = v > THRESHOLD
    tl.store(out + i, tl.where(fires, 1.0, 0.0), inside)
    tl.store(u + i, tl.where(fires, 0.0, v), inside)


@triton.jit
def moments_kernel(x, sums, rows, channels, KIND: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr):
    """Mean, and squares of the distances from it, of so many rows: of all rows follow without cancellation."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    real = channel < channels
    inside = (row < rows)[:, None] & real[None, :]
    y = tl.load(x + row[:, None] * channels + channel[None, :], inside, 0.0).to(KIND)
    count = tl.minimum(rows - tl.program_id(0) * ROWS, ROWS)
    mean = tl.sum(y, 0) / count
    apart = tl.where(inside, y - mean[None, :], 0.0)
    at = sums + tl.program_id(0).to(tl.int64) * 2 * channels + channel
    tl.store(at, mean, real)
    tl.store(at + channels, tl.sum(apart * apart, 0), real)


def tile(channels, elements):
    """Rows and channels of a program's share."""
    across = min(triton.next_power_of_2(channels), 64)
    return max(1, elements // across), across


class Triton:
    """Shapes as those of `lif.Torch`: x `[T or 1, rows, channels]`, scale and shift `[channels]`; all contiguous."""

    @staticmethod
    def moments(x):
        rows, channels = x.shape
        high, wide = tile(channels, 4096)
        parts = triton.cdiv(rows, high)
        kind = torch.promote_types(x.dtype, torch.float32)
        sums = torch.empty(parts, 2, channels, dtype=kind, device=x.device)
        moments_kernel[(parts, triton.cdiv(channels, wide))](
            x, sums, rows, channels, KIND=tl.float64 if kind == torch.float64 else tl.float32, ROWS=high, CHANNELS=wide
        )
        sums = sums.double()
        mean = (sums[:, 0].sum(0) * high + sums[-1, 0] * (rows - parts * high)) / rows
        apart = sums[:, 0] - mean
        # The last part may have fewer rows.
        squares = sums[:, 1].sum(0) + apart.square().sum(0) * high + apart[-1].square() * (rows - parts * high)
        return mean, squares / rows

    @staticmethod
    def forward(x, scale, shift, steps, coef):
        x = x.contiguous()
        repeated, rows, channels = x.shape
        size = rows * channels
        out = x.new_empty((rows, channels) if coef is not None else (steps, rows, channels))
        forward_kernel[(triton.cdiv(size, BLOCK),)](
            x, scale, shift, scale if coef is None else coef, out, size, channels, size if repeated > 1 else 0,
            STEPS=steps, READ=coef is not None, BLOCK=BLOCK,
        )  # fmt: skip
        return out

    @staticmethod
    def backward(x, scale, shift, steps, coef, grad):
        x, grad = x.contiguous(), grad.contiguous()
        repeated, rows, channels = x.shape
        high, wide = tile(channels, TILE)
        parts = triton.cdiv(rows, high)
        out = torch.empty_like(x)
        sums = torch.empty(parts, 2, channels, dtype=scale.dtype, device=x.device)
        repeat = repeated == 1 and steps > 1
        backward_kernel[(parts, triton.cdiv(channels, wide))](
            x, scale, shift, scale if coef is None else coef, grad, out, sums, rows, channels,
            0 if repeat else rows * channels,
            STEPS=steps, READ=coef is not None, REPEAT=repeat, ROWS=high, CHANNELS=wide,
        )  # fmt: skip
        total, total_x = sums.double().sum(0)
        return out, total, total_x

    @staticmethod
    def combine(grad, x, a, b, d):
        grad, x = grad.contiguous(), x.contiguous()
        size, channels = x.numel(), x.shape[1]
        combine_kernel[(triton.cdiv(size, BLOCK),)](grad, x, a, b, d, size, channels, BLOCK=BLOCK)
        return grad

    @staticmethod
    def step(x, scale, shift, u):
        x, out = x.contiguous(), torch.empty_like(x)
        size, channels = x.numel(), x.shape[1]
        step_kernel[(triton.cdiv(size, BLOCK),)](x, scale, shift, u, out, size, channels, BLOCK=BLOCK)
        return u, out
