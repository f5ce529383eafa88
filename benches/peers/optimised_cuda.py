"""The optimised peer on CUDA: fused neurons as Triton kernels, TF32 where it is exact, everything in one CUDA graph.

The products of a spike (0 or 1) and a weight are exact in TF32 if 10 bits of mantissa hold the weight, as they do those
of the bundled checkpoints; sums are float32. So batch norm stays out of the weights, and is a scale and a shift of the
neurons' currents. With other weights TF32 stays off. The readout's sums are no spikes: their convolution is float32.
"""
import torch
import torch.nn.functional as F
import triton
import triton.language as tl

from model import DECAY, THRESHOLD, grey_levels, rate_spikes


@triton.jit
def lif_kernel(x, scale, shift, coef, out, T, size, channels, threshold, decay, READ: tl.constexpr, BLOCK: tl.constexpr):
    """Spikes of currents x[T][size], whose last dimension are channels; or with READ their sum weighted by coef[T]."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside, channel = i < size, i % channels
    a, b = tl.load(scale + channel), tl.load(shift + channel)
    u, total = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32)
    for t in range(T):
        u = decay * u + (tl.load(x + t * size + i, inside, 0.0) * a + b)
        s = u > threshold
        u = tl.where(s, 0.0, u)
        if READ:
            total += tl.where(s, tl.load(coef + t), 0.0)
        else:
            tl.store(out + t * size + i, tl.where(s, 1.0, 0.0), inside)
    if READ:
        tl.store(out + i, total, inside)


@triton.jit
def step_kernel(x, u, scale, shift, size, channels, threshold, decay, BLOCK: tl.constexpr):
    """One step of neurons whose membranes are kept in u[size]: x becomes the spikes."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside, channel = i < size, i % channels
    v = decay * tl.load(u + i, inside, 0.0) + (tl.load(x + i, inside, 0.0) * tl.load(scale + channel) + tl.load(shift + channel))
    s = v > threshold
    tl.store(x + i, tl.where(s, 1.0, 0.0), inside)
    tl.store(u + i, tl.where(s, 0.0, v), inside)


BLOCK = 256


def lif(x, layer, coef=None):
    """Spikes of `x` `[T, ..., channels]`, in place; with coefficients, their weighted sum over time."""
    size = x[0].numel()
    out = x if coef is None else torch.empty_like(x[0])
    lif_kernel[(triton.cdiv(size, BLOCK),)](x, layer.scale, layer.shift, x if coef is None else coef, out, x.shape[0], size,
                                            x.shape[-1], THRESHOLD, DECAY, READ=coef is not None, BLOCK=BLOCK)
    return out


def step(x, u, layer):
    step_kernel[(triton.cdiv(x.numel(), BLOCK),)](x, u, layer.scale, layer.shift, x.numel(), x.shape[-1], THRESHOLD, DECAY, BLOCK=BLOCK)
    return x


class OptimisedCuda:
    def __init__(self, model, batch, device, graph=True):
        self.model, self.tf32 = model, model.exact_in_tf32()
        if model.rates:
            self.rates = [part.to(device) for part in model.sample_layers()]
        else:
            self.prior = [p.to(device) for p in model.prior()]
        first, deconvs = model.decoder()
        # The reference's 2 x 2 map is numbered channel, y, x; here channels come last.
        order = torch.arange(first.scale.numel()).view(-1, 4).t().flatten()
        first.weight, first.scale, first.shift = first.weight[order], first.scale[order], first.shift[order]
        self.first, self.deconvs = first.to(device), [layer.to(device) for layer in deconvs]
        for layer in self.deconvs:
            layer.weight = layer.weight.contiguous(memory_format=torch.channels_last)
        last, bias = model.readout()
        # A transposed convolution with stride 1 is a convolution with the kernel turned round.
        self.last, self.bias, self.coef = last.flip(2, 3).transpose(0, 1).contiguous().to(device), bias.to(device), model.coef.to(device)
        self.draws = model.no_draws(batch, device)
        self.graph = self.record() if graph else None

    def sample(self, draws):
        """Latent spikes `[T, B, C]`."""
        if self.model.rates:
            # Normal numbers are no spikes: with TF32 one pixel in a hundred is another.
            torch.backends.cuda.matmul.allow_tf32 = False
            spikes = rate_spikes(draws, *self.rates)
            torch.backends.cuda.matmul.allow_tf32 = self.tf32
            return spikes
        z = torch.zeros_like(draws[0], dtype=torch.float32)
        us = [torch.zeros(draws.shape[1], p.scale.numel(), device=draws.device) for p in self.prior]
        out = []
        for j in draws:
            x = z
            for layer, u in zip(self.prior, us):
                x = step(F.linear(x, layer.weight), u, layer)
            z = x.view(x.shape[0], self.model.latent, self.model.k).gather(2, j.unsqueeze(2)).squeeze(2)
            out.append(z)
        return torch.stack(out)

    def decode(self, z):
        """Grey levels `[B, side, side, channels]` of latent spikes `[T, B, C]`."""
        steps, batch, _ = z.shape
        x = lif(F.linear(z, self.first.weight), self.first).view(steps * batch, 2, 2, -1)
        for i, layer in enumerate(self.deconvs):
            x = F.conv_transpose2d(x.permute(0, 3, 1, 2), layer.weight, None, 2, 1, 1).permute(0, 2, 3, 1).contiguous()
            coef = self.coef if i + 1 == len(self.deconvs) else None
            x = lif(x.unflatten(0, (steps, batch)), layer, coef)
            x = x.flatten(0, 1) if coef is None else x
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            membrane = F.conv2d(x.permute(0, 3, 1, 2), self.last, self.bias, 1, 1)
        return grey_levels(membrane).permute(0, 2, 3, 1).contiguous()

    def run(self, draws):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = self.tf32
        return self.decode(self.sample(draws))

    @torch.no_grad()
    def record(self):
        """Records everything as one CUDA graph that reads `self.draws` and writes `self.out`."""
        torch.backends.cudnn.benchmark = True
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.run(self.draws)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.out = self.run(self.draws)
        return graph

    @torch.no_grad()
    def __call__(self, draws):
        if self.graph is None:
            return self.run(draws)
        self.draws.copy_(draws)
        self.graph.replay()
        return self.out
