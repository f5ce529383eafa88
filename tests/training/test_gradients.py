"""The fused network against a plain one: values and gradients."""
import pytest
import torch

import plain
from fsvae.training import lif, losses, network

SIZES = [
    dict(side=8, channels=1, steps=5, latent=6, k=3, width=4),
    dict(side=16, channels=3, steps=16, latent=5, k=4, width=7),
    dict(side=8, channels=3, steps=1, latent=3, k=2, width=33),  # lanes of 32 and a remainder
    dict(side=8, channels=1, steps=32, latent=8, k=1, width=2),
]
KERNELS = {"native": lif.native(), "torch": lif.Torch}


@pytest.fixture(params=KERNELS)
def kernels(request):
    if KERNELS[request.param] is None:
        pytest.skip("no C++ compiler")
    lif.KERNELS["cpu"] = KERNELS[request.param]
    yield
    lif.KERNELS.clear()


def network_and_images(size, dtype, batch=6, family=network.FSVAE):
    torch.manual_seed(1)
    net = family(**size).to(dtype).train()
    with torch.no_grad():
        for name, value in net.named_parameters():
            if ".bn." in name:  # away from 1 and 0, of both signs, and firing now and then
                value.copy_(torch.randn_like(value) * 0.5 + (1.0 if name.endswith("weight") else 0.1))
    return net, torch.rand(batch, size["channels"], size["side"], size["side"], dtype=dtype) * 2 - 1


def inputs_as_the_network_draws_them(net, images, dtype):
    """The draws of `forward`, and what it shows posterior and prior: taken from the network itself, in its order."""
    generator = torch.Generator().manual_seed(3)
    draws = net.draw(len(images), generator)
    with torch.no_grad():
        latents = plain.encode(net, images)
        q_inputs, _ = net.posterior.roll(draws, dtype, latents=latents)
        q = plain.stack(net.posterior, torch.cat([latents, q_inputs], 2))
        z = q.gather(3, draws.unsqueeze(3)).squeeze(3)
    return draws, q_inputs, torch.cat([torch.zeros_like(z[:1]), z[:-1]])


def gradients(net):
    """Of everything but the biases before a batch norm: their gradient is zero."""
    pairs = net.named_parameters()
    return {n: p.grad.clone() for n, p in pairs if p.grad is not None and p.grad.abs().max() > 1e-12}


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_gradients_equal_the_plain_network_in_double(size, kernels):
    net, images = network_and_images(size, torch.float64)
    given = inputs_as_the_network_draws_them(net, images, torch.float64)

    expected = plain.loss(net, images, *given)
    expected.backward()
    plain_gradients = gradients(net)
    net.zero_grad(set_to_none=True)

    reconstructed, q, p = net(images, torch.Generator().manual_seed(3), dtype=torch.float64)
    found = (reconstructed - images).square().mean() + losses.mmd(q, p)
    found.backward()

    assert abs(found.item() - expected.item()) < 1e-12
    fused = gradients(net)
    biases = {n for n, _ in net.named_parameters() if n.endswith(".bias") and ".bn." not in n} - {"final_layer.1.bias"}
    assert set(plain_gradients) - biases == set(fused), "a parameter without gradient"
    assert len(fused) > 20
    for name, gradient in fused.items():
        scale = plain_gradients[name].abs().max()
        assert (gradient - plain_gradients[name]).abs().max() <= 1e-9 * scale, name


@pytest.mark.parametrize("hidden", [(), (9,), (12, 7)], ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_gradients_of_esvae_equal_the_plain_network_in_double(size, hidden, kernels):
    size = {name: value for name, value in size.items() if name != "k"} | {"hidden": hidden}
    net, images = network_and_images(size, torch.float64, family=network.ESVAE)
    weight, generator = 0.3, torch.Generator().manual_seed(3)
    uniform = torch.rand(net.steps, len(images), net.latent, generator=generator, dtype=torch.float64)
    normal = torch.randn(len(images), net.latent, generator=generator).double()

    expected = plain.esvae_loss(net, images, uniform, normal, weight)
    expected.backward()
    plain_gradients = gradients(net)
    net.zero_grad(set_to_none=True)

    reconstructed, q, p = net(images, torch.Generator().manual_seed(3), dtype=torch.float64)
    found = (reconstructed - images).square().mean() + weight * losses.gaussian_mmd(q, p)
    found.backward()

    assert abs(found.item() - expected.item()) < 1e-12
    fused = gradients(net)
    layers = range(0, 2 * len(hidden) + 1, 2)
    assert {f"sample_layer.{layer}.{part}" for layer in layers for part in ("weight", "bias")} <= set(fused)
    for name, gradient in fused.items():
        scale = plain_gradients[name].abs().max()
        assert (gradient - plain_gradients[name]).abs().max() <= 1e-9 * scale, name


@pytest.mark.parametrize("dtype, least", [(torch.float32, 0.999), (torch.bfloat16, 0.8)], ids=["float32", "bfloat16"])
def test_gradients_in_training_precision_point_where_double_does(dtype, least, kernels):
    """Rounding flips spikes that graze the threshold, so gradients agree in direction, not to the last bit."""
    size = dict(side=16, channels=1, steps=8, latent=16, k=4, width=16)
    net, images = network_and_images(size, torch.float64, batch=16)
    directions = []
    for precision in (torch.float64, dtype):
        net.zero_grad(set_to_none=True)
        net.to(torch.promote_types(precision, torch.float32))
        z = (torch.rand(8, 16, 16, generator=torch.Generator().manual_seed(2)) < 0.3).to(precision)
        (net.decode(z).double() - images).square().mean().backward()
        directions.append(torch.cat([p.grad.double().flatten() for p in net.parameters() if p.grad is not None]))
    assert torch.cosine_similarity(*directions, dim=0) > least


def test_inference_equals_training_for_the_same_statistics(kernels):
    """Folded running statistics, carried membranes: the way samples are drawn, against all steps at once."""
    size = SIZES[0]
    net, images = network_and_images(size, torch.float64)
    generator = torch.Generator().manual_seed(3)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(generator=generator).mul_(0.1)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    net.eval()
    draws = net.draw(4, generator)
    inputs, z = net.prior.roll(draws, torch.float64)
    candidates = net.prior(inputs)
    assert 0.02 < z.mean() < 0.98
    assert torch.equal(candidates.gather(3, draws.unsqueeze(3)).squeeze(3), z)
    assert torch.equal(inputs[1:], z[:-1]) and not inputs[0].any()


@pytest.mark.parametrize("repeat", [False, True])
@pytest.mark.parametrize("summed", [False, True])
def test_gradients_through_a_fixed_norm_equal_plain_ones(repeat, summed, kernels):
    """What lies behind a layer that does not learn, learns through it."""
    steps, batch, channels = 6, 5, 7
    torch.manual_seed(2)
    x = torch.randn(batch if repeat else steps * batch, channels, dtype=torch.float64, requires_grad=True)
    scale, shift = torch.randn(2, channels, dtype=torch.float64) * 0.3
    coef = torch.rand(steps, dtype=torch.float64) if summed else None
    spikes = plain.neurons((x * scale + shift).view(-1, batch, channels).expand(steps, -1, -1))
    expected = (coef[:, None, None] * spikes).sum(0) if summed else spikes.flatten(0, 1)
    weights = torch.randn_like(expected)
    plain_gradient, = torch.autograd.grad((expected * weights).sum(), x)
    found = lif.Fixed.apply(x, scale, shift, steps, repeat, coef)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    gradient, = torch.autograd.grad((found * weights).sum(), x)
    assert plain_gradient.abs().max() > 0.1
    torch.testing.assert_close(gradient, plain_gradient, rtol=0, atol=1e-12)


def test_scheduled_sampling_replaces_only_where_told():
    net, _ = network_and_images(SIZES[0], torch.float64)
    net.eval()
    generator = torch.Generator().manual_seed(3)
    draws = net.draw(4, generator)
    given = (torch.rand(5, 4, 6, dtype=torch.float64, generator=generator) < 0.5).double()
    replace = torch.zeros(5, 4, dtype=torch.bool)
    inputs, _ = net.prior.roll(draws, torch.float64, given=given, replace=replace)
    assert torch.equal(inputs[1:], given[:-1])
    replace[2, 1] = True
    mixed, z = net.prior.roll(draws, torch.float64, given=given, replace=replace)
    assert torch.equal(mixed[3, 1], z[2, 1])
    mixed[3, 1] = inputs[3, 1]
    assert torch.equal(mixed, inputs)


def test_losses_are_the_papers():
    q, p = torch.rand(2, 7, 3, 4, 5, dtype=torch.float64)
    assert torch.isclose(losses.mmd(q, p), plain.mmd(q, p))
    assert losses.mmd(q, q) == 0 and losses.kld(q, q) == 0
    a, b = torch.full((1, 1, 1, 1), 0.25), torch.full((1, 1, 1, 1), 0.5)
    expected = 0.25 * torch.tensor(0.5).log() + 0.75 * torch.tensor(1.5).log()
    assert torch.isclose(losses.kld(a, b), expected)

