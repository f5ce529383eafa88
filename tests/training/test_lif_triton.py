"""The neurons' kernels for a GPU, in Triton's interpreter, against the same arithmetic in PyTorch."""
import os

# Before Triton is first imported.
os.environ["TRITON_INTERPRET"] = "1"

import pytest
import torch

from fsvae.training import lif

Triton = lif.triton()
pytestmark = pytest.mark.skipif(Triton is None, reason="no Triton, which comes with PyTorch for CUDA on Linux")

# Time steps, those that x has (1: it comes again and again), rows, channels, whether spikes are summed with coefficients.
SHAPES = [(4, 4, 37, 20, False), (5, 5, 13, 3, True), (4, 1, 33, 70, False), (1, 1, 9, 8, False), (32, 32, 3, 2, False)]
KINDS = [torch.float64, torch.float32, torch.bfloat16]


def near(found, expected, tolerance):
    torch.testing.assert_close(found.double(), expected.double(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kernels_are_those_of_pytorch(shape, kind):
    steps, own, rows, channels, summed = shape
    torch.manual_seed(1)
    wide = torch.promote_types(kind, torch.float32)
    exact, rounded = (1e-12, 1e-12) if kind == torch.float64 else (1e-4, 1e-4 if kind == torch.float32 else 2e-2)
    # Away from 0, where a variance that was taken as a difference of squares would show.
    x = (torch.randn(own, rows, channels) + 3).to(kind)
    for found, expected in zip(Triton.moments(x.view(-1, channels)), lif.Torch.moments(x.view(-1, channels)), strict=True):
        near(found, expected, exact)

    scale = (torch.rand(channels) * 0.3 + 0.2).to(wide)
    shift = (torch.rand(channels) * 0.2).to(wide) - 3 * scale
    coef = torch.rand(steps).to(wide) if summed else None
    spikes = lif.Torch.forward(x, scale, shift, steps, coef)
    assert 0.05 < spikes.double().mean() < 0.95 * (coef.sum() if summed else 1)
    near(Triton.forward(x, scale, shift, steps, coef), spikes, rounded)
    grad = torch.randn_like(spikes)
    expected = lif.Torch.backward(x, scale, shift, steps, coef, grad)
    found = Triton.backward(x, scale, shift, steps, coef, grad)
    near(found[0], expected[0], rounded)
    # Their sums are made before they are rounded.
    for total, other in zip(found[1:], expected[1:], strict=True):
        near(total / own / rows, other / own / rows, max(exact, rounded))

    flat, factors = x.view(-1, channels), [torch.randn(channels).to(wide) for _ in range(3)]
    grad = torch.randn_like(flat)
    near(Triton.combine(grad.clone(), flat, *factors), lif.Torch.combine(grad, flat, *factors), rounded)
    u = torch.randn(flat.shape).to(wide)
    for found, expected in zip(
        Triton.step(flat, scale, shift, u.clone()), lif.Torch.step(flat, scale, shift, u.clone()), strict=True
    ):
        near(found, expected, exact)
