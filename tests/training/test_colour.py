"""The colour feature distance of `fsvae-evaluate`, the encoder it ships with, and the program that trains that."""
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from command_line import ROOT
from fsvae.training import autoencoder, colour, evaluate, frechet, runtime, train_colour
from small import SMALL, equal, shapes


@pytest.fixture
def coloured(tmp_path):
    path = tmp_path / "coloured.npz"
    np.savez(path, train=shapes(200, channels=(3,)), test=shapes(60, channels=(3,)))
    return path


def trained(data, out, *more):
    arguments = ["--data", data, "--out", out, "--images", 600, "--batch", 20, "--floor", 100, "--threads", 1, *more]
    train_colour.main([*map(str, arguments)])


def test_pictures_of_other_sizes_are_brought_to_one():
    small = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(1, 4, 4, 3)
    large = colour.sized(small)
    assert large.shape == (1, 32, 32, 3) and (large[0, 8:16, 24:] == small[0, 1, 3]).all()
    assert (colour.sized(large.repeat(2, 1).repeat(2, 2)) == large).all()
    halves = np.zeros((1, 64, 64, 3), np.uint8)
    halves[:, ::2] = 5  # the mean is 2.5, rounded half up
    assert (colour.sized(halves) == 3).all()


def test_the_shipped_encoder_is_small_and_its_features_are_those_of_the_network_that_was_trained():
    assert colour.WEIGHTS.stat().st_size < 1_000_000
    net = autoencoder.Autoencoder().eval()
    found = {name: value.float() if value.is_floating_point() else value for name, value in load_file(colour.WEIGHTS).items()}
    missing, unexpected = net.load_state_dict(found, strict=False)
    assert not unexpected and all(name.startswith("decoder") for name in missing)
    images = np.random.default_rng(1).integers(0, 256, (30, 32, 32, 3), np.uint8)
    with torch.inference_mode():
        expected = net.encode(autoencoder.pixels(images)).numpy()
    np.testing.assert_allclose(np.concatenate(colour.features(images)), expected, atol=1e-4)


def test_it_grows_with_what_is_wrong_with_pictures():
    faces = runtime.generator(ROOT / "assets/faces-esvae/faces-esvae.safetensors", "cpu")
    real, same = (np.asarray(faces.generate(seed, count=400)) for seed in (1, 2))
    random = np.random.default_rng(1)
    noisy = [(same + random.normal(0, sigma, same.shape)).clip(0, 255).astype(np.uint8) for sigma in (40, 80)]
    distances = [colour.distance(images, real) for images in (real, same, *noisy)]
    assert abs(distances[0]) < 1e-4 and np.all(np.diff(distances) > 0), distances
    # One picture only, and green for blue.
    assert colour.distance(same[:1].repeat(400, 0) + (np.arange(400) % 2).astype(np.uint8)[:, None, None, None], real) > 10 * distances[1]
    assert colour.distance(same[..., [0, 2, 1]], real) > 3 * distances[1]


def test_training_writes_an_encoder_with_features_of_variance_one(coloured, tmp_path, capsys):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    trained(coloured, first)
    said = capsys.readouterr().out.splitlines()
    images = np.load(coloured)["train"]
    variance = np.concatenate(colour.features(images, first)).var(0, ddof=1).mean()
    assert abs(variance - 1) < 0.01
    assert f"{first}: 600 pictures, reconstruction MSE" in said[-2]
    floor = colour.distance(images[::2], np.load(coloured)["test"], first)
    assert said[-1] == f"{coloured}: 100 training pictures to 60 test pictures: {floor:.2f}"
    # It learns, and on one thread always the same.
    errors = [float(line.split("error ")[1]) for line in said if ", error" in line]
    assert errors[-1] < 0.6 * errors[0]
    trained(coloured, second)
    assert equal(first, second)
    assert not list(tmp_path.glob("*.part"))


def test_time_ends_it(coloured, tmp_path, capsys):
    trained(coloured, tmp_path / "m.safetensors", "--images", 10**9, "--minutes", 0.02)
    assert "m.safetensors: 1000000000 pictures" not in capsys.readouterr().out


@pytest.mark.parametrize("arguments, message", [
    (["--data", "{grey}"], "grey.npz: expected colour images, found grey ones"),
    (["--data", "{alone}"], "alone.npz: expected images called test"),
    (["--data", "nowhere.npz"], "nowhere.npz: no such file or folder"),
    (["--data", "{data}", "--batch", "1"], "--batch: expected at least 2, found 1"),
    (["--data", "{data}", "--batch", "201"], "--batch: expected at most the 200 pictures there are, found 201"),
    (["--data", "{data}", "--minutes", "0"], "--minutes: expected more than 0, found 0"),
], ids=["grey", "no test", "no file", "a batch of one", "a large batch", "no time"])
def test_bad_input_is_one_line(arguments, message, coloured, tmp_path, capsys):
    np.savez(tmp_path / "grey.npz", train=shapes(40), test=shapes(40))
    np.savez(tmp_path / "alone.npz", train=shapes(40, channels=(3,)))
    names = {"{grey}": tmp_path / "grey.npz", "{alone}": tmp_path / "alone.npz", "{data}": coloured}
    with pytest.raises(SystemExit) as exit:
        train_colour.main([*(str(names.get(a, a)) for a in arguments), "--out", str(tmp_path / "m.safetensors")])
    error = capsys.readouterr().err
    assert exit.value.code == 2 and message in error and len(error.splitlines()) == 1
    assert not list(tmp_path.glob("m.*"))


@pytest.mark.parametrize("kind", ["colour", "grey"])
def test_a_card_has_it_for_colour_alone_and_by_its_own_name(kind, run, data, coloured, tmp_path, capsys):
    images = coloured if kind == "colour" else data
    model = tmp_path / "m.safetensors"
    run("--data", images, "--out", model, "--images", 80, *SMALL)
    evaluate.main([str(model), "--data", str(images), "--backend", "cpu", "--samples", "50", "--images", "20", "--counted", "2"])
    lines = [line for line in capsys.readouterr().out.splitlines() if "distance" in line]
    if kind == "grey":
        assert not lines
        return
    made = evaluate.samples(runtime.generator(model, "cpu"), 50)
    distance = colour.distance(made, np.load(images)["test"])
    assert lines == [f"| colour feature distance to 60 test images, 50 samples (seed 0, indices 0 to 49) | {distance:.2f} |"]


def test_an_encoder_of_grey_pictures_is_not_for_colour(tmp_path):
    layer = {f"encoder.0.{name}": torch.zeros(4, 1, 3, 3) for name in ("0.weight",)}
    save_file(layer | {"latent_layer.weight": torch.zeros(2, 4)}, tmp_path / "grey.safetensors")
    with pytest.raises(frechet.InputError, match="takes 1 channels, the model makes 3"):
        colour.features(np.zeros((2, 16, 16, 3), np.uint8), tmp_path / "grey.safetensors")
