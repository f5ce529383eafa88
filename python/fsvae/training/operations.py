"""Counts what a network does for an image: spike rates, additions, multiplications.

- Additions: one for every weight that a spike reaches, at the borders fewer than elsewhere.
- Multiplications: those of the first convolution, whose input is a picture (once an image, for it is the same at all
  time steps); two a neuron and time step, for the norm and for the decay; one a neuron and step of the last spiking
  layer, for the readout's coefficients, and those of the readout.
- Dense: the multiply-adds of the same network that computes zeros too, its first convolution at every time step.
"""

from contextlib import ExitStack

import torch

from . import layers


def reached(layer, x):
    """How many weights the ones of `x` reach."""
    channels = 0 if not isinstance(layer, layers.Deconv) else 1
    outputs = layer.weight.shape[channels]
    whole = layer.weight.data
    layer.weight.data = torch.ones_like(whole.narrow(channels, 0, 1))
    try:
        return sum(layer.current(part).double().sum().item() for part in x.split(1024)) * outputs
    finally:
        layer.weight.data = whole


def watch(net, rows, count):
    """Fills `rows` with a dict for each layer as the network runs, in values per image."""

    def observe(name):
        def hook(layer, arguments, options, _):
            x, steps = arguments
            picture = options.get("repeat", False)
            spikes = layer.forward(x, steps, repeat=picture)
            dense = reached(layer, torch.ones_like(x)) * (steps if picture else 1)
            rows[name] = dict(
                rate=spikes.mean().item(),
                neurons=spikes.numel() // (steps * count),
                additions=0.0 if picture else reached(layer, x) / count,
                multiplications=(2 * spikes.numel() + (dense / steps if picture else 0)) / count,
                dense=dense / count,
            )

        return hook

    handles = ExitStack()
    for name, layer in net.named_modules():
        if isinstance(layer, layers.Layer):
            handles.callback(layer.register_forward_hook(observe(name), with_kwargs=True).remove)
    return handles


def readout(net):
    """The readout works on the sums over time: once an image, every weight with every value."""
    layer = net.final_layer[1]
    values, inputs = net.side * net.side, layer.weight.shape[0]
    x = torch.ones(1, inputs, net.side, net.side)
    ones = torch.ones_like(layer.weight[..., 0])
    dense = torch.nn.functional.conv_transpose2d(x, ones, None, 1, 1).sum().item()
    return dict(
        rate=None,
        neurons=None,
        additions=dense,
        multiplications=dense + values * inputs * net.steps,
        dense=dense * net.steps,
    )


@torch.no_grad()
def generation(net, count, generator):
    """Rows by layer of `count` generated images."""
    rows = {}
    with watch(net, rows, count):
        net.decode(net.observed_prior(count, generator))
    return rows | {"final_layer.1": readout(net)}


@torch.no_grad()
def reconstruction(net, images, generator):
    """Rows by layer of reconstructed images `[B, channels, side, side]` in [-1, 1]."""
    rows = {}
    with watch(net, rows, len(images)):
        net.decode(net.observed_posterior(images, generator))
    return rows | {"final_layer.1": readout(net)}


def total(rows, what):
    return sum(row[what] for row in rows.values())
