"""Neurons that have stopped listening, set apart from the threshold.

Weight decay takes the scale of some neurons' batch norm to next to nothing. Their current is their norm's bias and hardly
anything else: they fire every n-th time step, whatever they hear. Training leaves many of them where two periods meet,
and there the membrane potential stops within a millionth of the threshold: sums in single precision, in double precision
and in integers then decide differently, and the network no longer draws the same spikes everywhere. Such a neuron gets
a scale of 0 and a bias in the middle between two such places, which keeps its period.
"""

import torch

from .layers import Layer
from .lif import DECAY, THRESHOLD

#: The furthest that a clock's current strays from its bias: its standard deviation.
STRAYS = 1e-3
#: Longer periods are so near to each other that they count as silence.
LONGEST = 6
#: How far from the threshold a clock stays where it fires at every step, or at none.
CLEAR = 5e-4


def borders():
    """Constant currents, falling: above the n-th, a neuron fires within n steps."""
    return [THRESHOLD * (1 - DECAY) / (1 - DECAY**n) for n in range(1, LONGEST + 1)]


def settled(current):
    """The middle of the currents with the period of this one."""
    limits = borders()
    period = sum(current <= limit for limit in limits)
    if period == 0:
        return max(current, limits[0] + CLEAR)
    if period == LONGEST:
        return min(current, THRESHOLD * (1 - DECAY) - CLEAR)
    return (limits[period - 1] + limits[period]) / 2


@torch.no_grad()
def set_apart(net, weights):
    """The weights with clocks that are near a border settled, and how many those are."""
    weights, count = dict(weights), 0
    for name, layer in net.named_modules():
        if not isinstance(layer, Layer):
            continue
        scale, bias = (weights[f"{name}.bn.{part}"].clone() for part in ("weight", "bias"))
        # The norm's output has a variance of 1, and thus the current one of:
        strays = (layer.alpha * THRESHOLD * scale).abs()
        for neuron in (strays < STRAYS).nonzero().flatten().tolist():
            current, around = bias[neuron].item(), 4 * strays[neuron].item() + CLEAR / 10
            if any(abs(current - limit) < around for limit in [*borders(), THRESHOLD * (1 - DECAY)]):
                scale[neuron], bias[neuron] = 0, settled(current)
                count += 1
        weights[f"{name}.bn.weight"], weights[f"{name}.bn.bias"] = scale, bias
    return weights, count
