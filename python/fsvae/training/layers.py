"""The layers of both families, for training: weights, tdBN and spiking neurons, in time folded into the batch."""

import torch
import torch.nn.functional as F
from torch import nn

from . import lif

MOMENTUM = 0.1
#: Spikes of a hidden unit that make 1, and the most there are.
ONE, MOST = 64, 255
#: What a time step counts in the readout beside the one after it.
READOUT = 0.8


class Layer(nn.Module):
    """Weights, tdBN and leaky integrate-and-fire neurons. The base of the three kinds of layers.

    The batch norm takes away whatever the bias adds, so that while training the bias only shifts the running mean.
    """

    def __init__(self, shape, outputs, fan_in, alpha=1.0):
        super().__init__()
        bound = fan_in**-0.5
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound))
        self.bn = nn.BatchNorm1d(outputs)
        self.alpha = alpha

    def current(self, x):
        raise NotImplementedError

    def affine(self, dtype):
        """The running statistics as scale and shift of a current without bias."""
        bn = self.bn
        return lif.affine(bn.weight, bn.bias, bn.running_mean - self.bias, bn.running_var, dtype, self.alpha)[:2]

    def forward(self, x, steps, repeat=False, coef=None):
        """Spikes at all time steps; `repeat`, `coef`: see `lif.Spiking`."""
        x = self.current(x)
        bn = self.bn
        if self.training:
            s, mean, variance = lif.Spiking.apply(x, bn.weight, bn.bias, self.alpha, steps, repeat, coef)
            with torch.no_grad():
                count = x.numel() / x.shape[1]
                bn.running_mean.lerp_(mean.to(bn.running_mean.dtype) + self.bias, MOMENTUM)
                bn.running_var.lerp_((variance * (count / max(count - 1, 1))).to(bn.running_var.dtype), MOMENTUM)
                bn.num_batches_tracked += 1
            return s
        return lif.Fixed.apply(x, *self.affine(x.dtype), steps, repeat, coef)


class Linear(Layer):
    def __init__(self, inputs, outputs, alpha=1.0):
        super().__init__((outputs, inputs), outputs, inputs, alpha)

    def current(self, x):
        return F.linear(x, self.weight.to(x.dtype))


class Conv(Layer):
    """3 x 3, stride 2, padding 1."""

    def __init__(self, inputs, outputs):
        super().__init__((outputs, inputs, 3, 3, 1), outputs, inputs * 9)

    def current(self, x):
        weight = self.weight[..., 0].to(x.dtype, memory_format=torch.channels_last)
        return F.conv2d(x, weight, None, 2, 1)


class Deconv(Layer):
    """Transposed, 3 x 3, stride 2, padding 1, output padding 1."""

    def __init__(self, inputs, outputs):
        super().__init__((inputs, outputs, 3, 3, 1), outputs, outputs * 9)

    def current(self, x):
        weight = self.weight[..., 0].to(x.dtype, memory_format=torch.channels_last)
        return F.conv_transpose2d(x, weight, None, 2, 1, 1)


class Readout(nn.Module):
    """The last transposed convolution, stride 1, without norm or neurons."""

    def __init__(self, inputs, outputs):
        super().__init__()
        bound = (outputs * 9) ** -0.5
        self.weight = nn.Parameter(torch.empty(inputs, outputs, 3, 3, 1).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound))

    def forward(self, x, total):
        """The membrane potentials read out; `x` are sums over time with coefficients whose sum is `total`."""
        return F.conv_transpose2d(x, self.weight[..., 0].to(x.dtype), None, 1, 1) + (self.bias * total).view(1, -1, 1, 1)


class Coefficients(nn.Module):
    def __init__(self, steps):
        super().__init__()
        self.register_buffer("coef", (READOUT ** torch.arange(steps - 1, -1, -1.0)).view(1, 1, 1, 1, -1))


class Bernoulli(torch.autograd.Function):
    """A spike where the rate is above a uniform number; the derivative is taken as 1 where they are near."""

    @staticmethod
    def forward(ctx, rates, uniform):
        ctx.save_for_backward(rates, uniform)
        return (rates > uniform).to(rates.dtype)

    @staticmethod
    def backward(ctx, grad):
        rates, uniform = ctx.saved_tensors
        return grad * ((rates - uniform).abs() < lif.WINDOW).to(grad.dtype), None


class Counted(torch.autograd.Function):
    """How often an integrate-and-fire neuron without a leak fires in 255 steps of the same current, in 64ths: floor, and
    0 to 255 of them. The derivative is taken as 1 in between, as if there were no floor."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x * ONE).floor().clamp(0, MOST) / ONE

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * ((x > 0) & (x < (MOST + 1) / ONE)).to(grad.dtype)


class Units(nn.Module):
    """A hidden layer's neurons, in front of an ESVAE's rates (integer machine, section 8b)."""

    def forward(self, x):
        return Counted.apply(x)
