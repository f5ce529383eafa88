"""The plain network under `torch.compile` (inductor), on a CPU or with CUDA.

On CUDA the whole batch goes through one graph in the mode "max-autotune", which records CUDA graphs as well.
"""
from dataclasses import dataclass

import torch

from plain import Plain


@dataclass
class Options:
    convolution: str = "mkldnn"  # or "product", see plain.py; on CUDA the former is cuDNN
    part: int = 4  # images that are decoded at once on a CPU
    drawn: int = 1  # up to this batch only the prior's drawn neurons are computed
    mode: str = ""  # of torch.compile; empty is its default on a CPU, and "max-autotune" on CUDA
    freezing: bool = True  # weights as constants, which inductor packs for mkldnn


class Compiled:
    def __init__(self, model, batch, device, options=None):
        o = options or Options()
        torch._inductor.config.freezing = o.freezing
        self.cuda, self.part = device.type == "cuda", o.part
        mode = o.mode or ("max-autotune" if self.cuda else None)
        network = Plain(model, o.convolution, batch <= o.drawn).to(device)
        self.whole = torch.compile(network, dynamic=False, mode=mode)
        self.sample = torch.compile(network.sample, dynamic=False, mode=mode)
        self.decode = torch.compile(network.decode, dynamic=False, mode=mode)

    @torch.no_grad()
    def __call__(self, draws):
        if self.cuda or draws.shape[1] <= self.part:
            return self.whole(draws)
        # The last part may be smaller, which compiles a second time.
        return torch.cat([self.decode(z.contiguous()) for z in self.sample(draws).split(self.part, 1)])
