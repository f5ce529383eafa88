"""What spikes cost, as a loss: each asks for an addition for every weight that it reaches (operations.py counts them)."""

from contextlib import contextmanager

import torch

from .layers import Layer
from .operations import reached

#: Weights that an input of ones reaches, by kind of layer and shapes: found once, for a GPU would be waited for.
DENSE = {}


class Activity:
    """Watches the layers of a network while it runs."""

    def __init__(self, net):
        self.layers = [layer for layer in net.modules() if isinstance(layer, Layer)]
        self.spent = self.whole = 0.0

    @contextmanager
    def watched(self):
        """Counts the spikes that reach layers meanwhile; not a picture, whose convolution is always the same."""
        handles = [layer.register_forward_pre_hook(self.count, with_kwargs=True) for layer in self.layers]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def count(self, layer, arguments, options):
        x, _ = arguments
        if options.get("repeat", False):
            return
        key = type(layer), layer.weight.shape, x.shape[1:]
        if key not in DENSE:
            with torch.no_grad():
                DENSE[key] = reached(layer, torch.ones(1, *x.shape[1:], device=x.device))
        # All layers see the same number of steps.
        self.spent = self.spent + x.mean(dtype=torch.float32) * DENSE[key]
        self.whole += DENSE[key]

    def share(self):
        """Additions that were asked for, of the multiply-adds of a network that computes zeros too."""
        return self.spent / self.whole
