"""`--samples-weight`: a loss that compares samples with pictures, and what it does to them."""
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fsvae.training import load, network, views
from fsvae.training.errors import InputError
from small import SMALL, firing, levels, shapes


@pytest.fixture(scope="module")
def seeing():
    images = shapes(1200)[:, None]
    return views.Views.trained(images[:800], 2000, 0), levels(images[800:])


def test_the_sliced_distance_of_shifted_and_scaled_batches_is_known():
    """Along a direction d of dimension n, a shift s adds (s . d)^2, |s|^2 / n on average, and the order does not matter."""
    generator = torch.Generator().manual_seed(1)
    a = torch.randn(500, 8, generator=generator)
    shift = torch.arange(8.0)
    mean = lambda b: np.mean([views.sliced(a, b, generator).item() for _ in range(50)])
    assert mean(a.flip(0)) == 0
    assert abs(mean(a + shift) / (shift.square().sum().item() / 8) - 1) < 0.1
    assert abs(mean(2 * a) - a.square().mean()) < 0.1


def test_it_grows_with_what_is_wrong_with_pictures(seeing):
    see, pictures = seeing
    random = torch.Generator().manual_seed(2)
    real, same = pictures[:200], pictures[200:]
    noise = torch.randn(same.shape, generator=random)
    # Half grey, as what a network is unsure of.
    blurred = torch.nn.functional.avg_pool2d(same, 3, 1, 1)
    seen = see(real)
    far = lambda images: see.distance(seen, images, random).item()
    distances = [far(images) for images in (same, same + 0.2 * noise, same + 0.5 * noise)]
    assert far(real) < 1e-10 and np.all(np.diff(distances) > 0), distances
    assert far(blurred) > 2 * distances[0] and far(same[:1].expand_as(same)) > 5 * distances[0]


def test_what_sees_does_not_change_and_comes_back_from_its_state(seeing):
    see, pictures = seeing
    before = [view.clone() for view in see(pictures[:8])]
    images = shapes(1200)[:800, None]
    again = views.Views.restored(see.state(), images)
    pictures = pictures[:8].clone().requires_grad_()
    see.distance(see(pictures.detach() * 0.5), pictures, torch.Generator().manual_seed(3)).backward()
    assert pictures.grad.abs().max() > 0 and all(p.grad is None for net in see.autoencoders for p in net.parameters())
    for one, other, third in zip(before, see(pictures), again(pictures), strict=True):
        assert torch.equal(one, other) and torch.equal(one, third)


@pytest.mark.parametrize("family", [network.FSVAE, network.ESVAE])
def test_samples_are_the_priors_and_everything_that_draws_learns_from_them(family):
    net = firing(family)
    pictures = torch.rand(16, 1, 8, 8) * 2 - 1
    *_, samples = net(pictures, torch.Generator().manual_seed(1), samples=True)
    assert samples.shape == pictures.shape
    samples.square().mean().backward()
    learns = {name.split(".")[0] for name, p in net.named_parameters() if p.grad is not None and p.grad.abs().max() > 1e-9}
    prior = "prior" if family is network.FSVAE else "sample_layer"
    assert {prior, "decoder_input", "decoder", "final_layer"} <= learns
    net.eval()
    again, *_, samples = net(pictures, torch.Generator().manual_seed(1), samples=True)
    generator = torch.Generator().manual_seed(1)
    if family is network.FSVAE:
        _, own = (net.draw(16, generator) for _ in range(2))
        expected = net.decode(net.prior.roll(own, torch.float32)[1])
        # Reconstructions are what they are without samples; ESVAE draws both at once.
        without = net(pictures, torch.Generator().manual_seed(1))[0]
        torch.testing.assert_close(again, without, rtol=0, atol=1e-6)
    else:
        rates = torch.cat([net.posterior_rates(pictures, torch.float32), net.prior_rates(16, generator)])
        expected = net.decode(net.spikes(rates, generator)[:, 16:])
    torch.testing.assert_close(samples, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("family", ["fsvae", "esvae"])
@pytest.mark.parametrize(
    "option, loss, weight, images, nearer",
    [("--samples-weight", "samples_loss", 0.5, 1000, 0.8), ("--critic-weight", "critic_loss", 0.1, 2400, 0.9)],
    ids=["views", "critics"],
)
def test_samples_come_nearer(option, loss, weight, images, nearer, family, run, data, tmp_path):
    """After as many images, from the same weights."""
    first, see = tmp_path / "first.safetensors", views.Views.trained(shapes(400)[:, None], 1500, 5)
    recipe = ["--data", data, "--family", family, *SMALL]
    run(*recipe, "--images", 1200, "--lr", 3e-3, "--out", first)
    far = {}
    for with_it in (False, True):
        out = tmp_path / f"{with_it}.safetensors"
        said = run(*recipe, "--images", images, "--warm-start", first, option, weight * with_it, "--views-images", 1500, "--out", out)
        assert (loss in said) == with_it
        assert (tmp_path / f"{with_it}.csv").read_text().splitlines()[0].count(loss) == with_it
        samples = load(out).generate(400, torch.Generator().manual_seed(1))
        far[with_it] = see.distance(see(levels(shapes(400)[:, None])), samples, torch.Generator().manual_seed(2)).item()
    assert far[True] < nearer * far[False], far


@pytest.mark.parametrize("name", ["--samples-weight", "--critic-weight", "--spikes-weight"])
@pytest.mark.parametrize("value", ["-1", "nan", "inf"])
def test_a_weight_that_is_none_is_refused(name, value, run, data, tmp_path):
    with pytest.raises(InputError, match=f"{name}: expected 0 or more, found {value}"):
        run("--data", data, "--out", tmp_path / "m.safetensors", f"{name}={value}", *SMALL)


def test_a_prior_alone_needs_what_it_is_the_prior_of(run, data, tmp_path):
    with pytest.raises(InputError, match="--only-prior: expected --warm-start with the network whose prior is to learn"):
        run("--data", data, "--out", tmp_path / "m.safetensors", "--only-prior", *SMALL)


def test_one_picture_is_too_few_and_twice_the_same_will_do(run, tmp_path):
    same, out = np.repeat(shapes(1), 2, 0), tmp_path / "m.safetensors"
    for count in (1, 2):
        np.savez(tmp_path / f"{count}.npz", train=same[:count])
    recipe = ["--out", out, "--images", 16, "--samples-weight", 1, "--views-images", 4, *SMALL]
    with pytest.raises(InputError, match="--samples-weight: expected at least 2 pictures, found 1"):
        run("--data", tmp_path / "1.npz", *recipe)
    run("--data", tmp_path / "2.npz", *recipe)
    assert all(value.isfinite().all() for value in load(out).state_dict().values())


@pytest.mark.parametrize("family", ["fsvae", "esvae"])
def test_the_prior_alone_can_learn(family, run, data, tmp_path):
    first, out = tmp_path / "first.safetensors", tmp_path / "m.safetensors"
    recipe = ["--data", data, "--family", family, "--keep-f32", *SMALL]
    run(*recipe, "--images", 400, "--lr", 3e-3, "--out", first)
    run(*recipe, "--images", 160, "--warm-start", first, "--only-prior", "--samples-weight", 1, "--views-images", 300, "--out", out)
    before, after = load_file(first), load_file(out)
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"prior" if family == "fsvae" else "sample_layer"}
