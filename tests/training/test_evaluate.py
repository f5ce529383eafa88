"""`fsvae-evaluate`, its counts, `fsvae-compare`, and that fsvae runs what was trained as PyTorch does."""
import json
import subprocess

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from command_line import FSVAE, ROOT, needs_fsvae
from fsvae.training import checkpoint, compare, evaluate, frechet, layers, network, operations, runtime, train
from fsvae.training.errors import InputError
from small import SMALL, shapes

COUNT, SEED = 40, 7


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small network after 3,000 rectangles, and its data."""
    folder = tmp_path_factory.mktemp("trained")
    data, out = folder / "shapes.npz", folder / "m.safetensors"
    np.savez(data, train=shapes(64), test=shapes(40))
    train.train(train.parse(["--data", str(data), "--out", str(out), "--images", "3000", "--lr", "3e-3", *SMALL]))
    return out, data


def test_fsvae_and_the_trained_network_agree_on_the_same_draws(trained):
    model, _ = trained
    generator = runtime.generator(model, "cpu")
    z = torch.from_numpy(generator.sample_latents(SEED, count=COUNT)).float().transpose(0, 1)  # [T, n, C]
    net = checkpoint.load(model)
    draws = torch.stack([torch.stack([compare.draws(SEED, index, t, 0, net.latent, net.k) for index in range(COUNT)])
                         for t in range(net.steps)])
    inputs, drawn = net.prior.roll(draws, torch.float32)
    assert 0.01 < z.mean() < 0.99
    assert torch.equal(drawn, z)
    with torch.no_grad():
        pixels = evaluate.pictures.pixels(net.decode(z))
    made = np.asarray(generator.generate(SEED, count=COUNT)).astype(int)
    assert np.abs(made[..., 0] - pixels[:, 0]).max() <= 1


@pytest.mark.parametrize("kind", ["generated", "reconstructed"])
def test_the_plain_network_agrees_too(kind, trained, tmp_path, capsys):
    model, data = trained
    arguments = [str(model), "--backend", "cpu"]
    if kind == "reconstructed":
        for index, image in enumerate(np.load(data)["test"]):
            Image.fromarray(image).save(tmp_path / f"{index:02}.png")
        arguments += ["--images", str(tmp_path)]
    with pytest.raises(SystemExit) as exit:
        compare.main(arguments)
    assert not exit.value.code and f"40 images: 0 of {40 * 4 * 8} latent spikes differ" in capsys.readouterr().out


def test_the_plain_network_tells_another_one(trained, tmp_path, capsys, monkeypatch):
    """Other weights behind the same name: the comparison fails."""
    model, _ = trained
    changed = load_file(model)
    changed["prior.layers.2.weight"] = -changed["prior.layers.2.weight"]
    save_file(changed, tmp_path / "changed.safetensors")
    right = compare.tensors
    monkeypatch.setattr(compare, "tensors", lambda _: right(tmp_path / "changed.safetensors"))
    with pytest.raises(SystemExit) as exit:
        compare.main([str(model), "--backend", "cpu"])
    assert exit.value.code == 1 and "40 images: 0 of" not in capsys.readouterr().out


@pytest.mark.parametrize("arguments, message", [
    (["nowhere.safetensors"], "nowhere.safetensors"),
    ([str(ROOT / "assets/faces-esvae/faces-esvae.safetensors")], "expected an FSVAE, found no prior.layers.2.weight"),
    (["{model}", "--count", "0"], "--count: expected at least 1, found 0"),
    (["{model}", "--seed", "-1"], "--seed: expected 0 to 18446744073709551615, found -1"),
    (["{model}", "--seed", str(2**64)], "--seed: expected 0 to 18446744073709551615, found 18446744073709551616"),
    (["{pth}"], "m.pth: not a readable safetensors file"),
    (["{model}", "--images", "{folder}"], "expected a folder of pictures, found none"),
    (["{model}", "--images", "{large}"], "large.png: expected [16, 16, 1], found [20, 20, 1]"),
], ids=["no file", "another family", "no image", "no seed", "no seed of 64 bits", "no safetensors", "no picture", "another size"])
def test_what_cannot_be_compared_is_one_line(arguments, message, trained, tmp_path, capsys):
    empty, large = tmp_path / "empty", tmp_path / "large"
    empty.mkdir()
    large.mkdir()
    Image.fromarray(shapes(1, 20)[0]).save(large / "large.png")
    torch.save(load_file(trained[0]), tmp_path / "m.pth")
    names = {"{model}": trained[0], "{pth}": tmp_path / "m.pth", "{folder}": empty, "{large}": large}
    with pytest.raises(SystemExit) as exit:
        compare.main(["--backend", "cpu", *(str(names.get(argument, argument)) for argument in arguments)])
    error = capsys.readouterr().err
    assert exit.value.code == 2 and message in error and len(error.splitlines()) == 1


def test_the_card_gets_what_was_measured(trained, tmp_path, capsys):
    model, data = trained
    features, side = 5, 16
    torch.manual_seed(2)
    layer = {"0.weight": torch.randn(4, 1, 3, 3), "0.bias": torch.randn(4), "1.weight": torch.rand(4), "1.bias": torch.randn(4),
             "1.running_mean": torch.zeros(4), "1.running_var": torch.ones(4)}
    encoder = {f"encoder.0.{name}": value for name, value in layer.items()}
    save_file(encoder | {"latent_layer.weight": torch.randn(features, 4 * (side // 2) ** 2) / 16, "latent_layer.bias": torch.zeros(features)},
              tmp_path / "autoencoder.safetensors")
    real = np.load(data)["test"][..., None]
    mu, sigma = frechet.moments(frechet.autoencoder_features(tmp_path / "autoencoder.safetensors", real))
    np.savez(tmp_path / "statistics.npz", mu=mu, sigma=sigma)
    card = tmp_path / "card.md"
    card.write_text(f"before\n{evaluate.BEGIN}\nold\n{evaluate.END}\nafter\n")
    arguments = [model, "--data", data, "--backend", "cpu", "--samples", 50, "--images", 40, "--counted", 8, "--card", card,
                 "--autoencoder", tmp_path / "autoencoder.safetensors", "--statistics", tmp_path / "statistics.npz"]
    evaluate.main([*map(str, arguments)])
    text = card.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert capsys.readouterr().out.strip() in text
    figure = lambda start: float(next(line for line in text.splitlines() if line.startswith(start)).split("|")[2])
    assert 0 < figure("| reconstruction MSE, first 40 test images") < 0.5
    distance = figure("| Frechet autoencoder distance, 50 samples")
    made = evaluate.samples(runtime.generator(model, "cpu"), 50)
    assert abs(distance - frechet.faed(tmp_path / "autoencoder.safetensors", tmp_path / "statistics.npz", made)) < 0.06
    own = frechet.faed(tmp_path / "autoencoder.safetensors", tmp_path / "statistics.npz", real)
    assert abs(own) < 1e-6 < distance


@needs_fsvae
def test_the_error_is_that_of_the_command_line(trained, tmp_path):
    model, data = trained
    images = np.load(data)["test"]
    for index, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{index:02}.png")
    done = subprocess.run([FSVAE, "reconstruct", tmp_path, "--model", model, "--backend", "cpu", "--json"], capture_output=True, check=True)
    expected = json.loads(done.stdout)["mean_squared_error"]
    assert abs(evaluate.reconstruction_error(runtime.generator(model, "cpu"), images[..., None]) - expected) < 1e-9


def test_frechet_distance_of_known_gaussians():
    a, b = np.array([4.0, 9.0]), np.array([1.0, 16.0])
    distance = frechet.distance(np.array([1.0, 2.0]), np.diag(a), np.array([0.0, 4.0]), np.diag(b))
    assert abs(distance - (1 + 4 + ((a**0.5 - b**0.5) ** 2).sum())) < 1e-9


def test_frechet_distance_of_fewer_images_than_features():
    """Their covariances are singular; on a line it is that of numbers."""
    line = np.outer([3.0, 4.0], [3.0, 4.0]) / 25
    assert abs(frechet.distance(np.zeros(2), 4 * line, np.zeros(2), 9 * line) - (4**0.5 - 9**0.5) ** 2) < 1e-5
    few = frechet.moments([np.random.default_rng(1).normal(size=(20, 64))])
    assert abs(frechet.distance(*few, *few)) < 1e-5


def test_inception_score_of_known_probabilities():
    certain = np.tile(np.eye(4), (25, 1))
    assert abs(evaluate.inception_score(certain, splits=5)[0] - 4) < 1e-6
    assert abs(evaluate.inception_score(np.full((100, 4), 0.25))[0] - 1) < 1e-9


def test_inception_features_come_from_a_torchscript_file(tmp_path):
    class Network(torch.nn.Module):
        def forward(self, x: torch.Tensor, return_features: bool = False) -> torch.Tensor:
            flat = x.float().mean((2, 3))
            return flat if return_features else torch.softmax(flat, 1)

    torch.jit.script(Network()).save(str(tmp_path / "inception.pt"))
    images = shapes(120)[..., None]
    features, probabilities = evaluate.inception(tmp_path / "inception.pt", images, "cpu")
    assert np.concatenate(features).shape == (120, 3) and np.allclose(probabilities.sum(1), 1)


def additions_one_by_one(layer, x):
    """Every pair of a spike and a weight it meets, counted with loops over positions."""
    if isinstance(layer, layers.Linear):
        return x.sum().item() * layer.weight.shape[0]
    transposed = isinstance(layer, layers.Deconv)
    outputs, side = layer.weight.shape[1 if transposed else 0], x.shape[2]
    count = 0
    for _, _, a, b in x.nonzero().tolist():
        for ky in range(3):
            for kx in range(3):
                y, z = (2 * a + ky - 1, 2 * b + kx - 1) if transposed else (a + 1 - ky, b + 1 - kx)
                fits = 0 <= y < 2 * side and 0 <= z < 2 * side if transposed else y % 2 == z % 2 == 0 and 0 <= y < side and 0 <= z < side
                count += outputs * fits
    return count


@pytest.mark.parametrize("layer, shape", [
    (layers.Linear(6, 5), (7, 6)), (layers.Conv(3, 5), (4, 3, 8, 8)), (layers.Deconv(3, 5), (4, 3, 4, 4)),
], ids=["linear", "convolution", "transposed"])
def test_additions_are_those_that_spikes_cause(layer, shape):
    x = (torch.rand(shape, generator=torch.Generator().manual_seed(1)) < 0.3).float()
    before = layer.weight.data.clone()
    assert operations.reached(layer, x) == additions_one_by_one(layer, x)
    assert torch.equal(layer.weight.data, before)


def test_operations_of_a_network_add_up():
    net = network.FSVAE(side=8, channels=1, steps=4, latent=6, k=3, width=4).eval()
    generator = torch.Generator().manual_seed(1)
    rows = operations.generation(net, 5, generator)
    names = [name for name, module in net.named_modules() if isinstance(module, layers.Layer)]
    expected = {name for name in names if name.split(".")[0] in ("prior", "decoder_input", "decoder", "final_layer")}
    assert set(rows) == expected | {"final_layer.1"}
    first = rows["prior.layers.0"]
    assert first["dense"] == 4 * 12 * 6 and first["neurons"] == 12 and first["multiplications"] == 2 * 4 * 12
    both = operations.reconstruction(net, torch.zeros(5, 1, 8, 8), generator)
    picture = both["encoder.0"]
    assert picture["additions"] == 0 and picture["dense"] == 4 * (picture["multiplications"] - 2 * 4 * 64)


@pytest.mark.parametrize("arguments, message", [
    (["nowhere.safetensors", "--data", "{data}"], "nowhere.safetensors: not a readable safetensors file"),
    (["{model}", "--data", "nowhere.npz"], "nowhere.npz: no such file"),
    (["{model}", "--data", "{data}", "--autoencoder", "a"], "--autoencoder and --statistics: expected both or none"),
    (["{model}", "--data", "{data}", "--images", "1"], "--images: expected at least 2, found 1"),
], ids=lambda value: None if isinstance(value, list) else value[:30])
def test_bad_input_is_one_line(arguments, message, trained, capsys):
    names = {"{model}": trained[0], "{data}": trained[1]}
    with pytest.raises(SystemExit) as exit:
        evaluate.main([str(names.get(argument, argument)) for argument in arguments])
    error = capsys.readouterr().err
    assert exit.value.code == 2 and message in error and len(error.splitlines()) == 1


def test_a_card_without_marks_is_refused_and_kept(tmp_path):
    card = tmp_path / "card.md"
    card.write_text("mine")
    with pytest.raises(InputError, match="expected the lines"):
        evaluate.write_card(card, ["x"])
    assert card.read_text() == "mine"
