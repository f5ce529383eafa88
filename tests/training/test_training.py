"""`fsvae-train` as a user runs it: files, budgets, kills, bad input."""
import csv
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from fsvae.training import outputs
from fsvae.training.errors import InputError
from small import SMALL, equal, shapes


def command(*arguments):
    return [sys.executable, "-m", "fsvae.training.train", *map(str, arguments)]


def wait_for(process, what):
    for _ in range(1200):
        if what():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("it did not happen within a minute")


@pytest.mark.parametrize("family, hidden", [("fsvae", []), ("esvae", []), ("esvae", ["--hidden", 12, 9])], ids=str)
def test_it_learns_and_writes_everything(family, hidden, run, data, tmp_path):
    out = tmp_path / "m.safetensors"
    small = ["--family", family, *hidden, *SMALL]
    done = run("--data", data, "--out", out, "--images", 3000, *small, "--lr", 3e-3)
    with open(tmp_path / "m.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert int(rows[-1]["images"]) == 3000 and "reconstruction MSE" in done
    first = run("--data", data, "--out", tmp_path / "first.safetensors", "--images", 8, *small)
    mse = lambda text: float(text.split("images ")[-1].split()[0].strip(","))
    assert mse(done) < 0.6 * mse(first)
    for name in ("samples", "reconstructions"):
        assert Image.open(tmp_path / f"m.{name}.png").size == (128, 128)
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("count", [1, 3, 8, 12, 32])
def test_reconstructions_are_below_what_they_are_of(count, tmp_path):
    real = np.arange(1, 1 + count, dtype=np.uint8)[:, None, None, None].repeat(3, 1).repeat(4, 2).repeat(4, 3)
    outputs.save_grid(tmp_path / "pairs.png", *outputs.pairs(real, 100 + real))
    columns = min(8, count)
    rows = [np.arange(1 + start, 1 + start + columns) for start in range(0, count, columns)]
    rows = np.array([np.where(row > count, 0, row + more * (row <= count)) for row in rows for more in (0, 100)])
    with Image.open(tmp_path / "pairs.png") as image:
        assert (np.asarray(image) == rows.repeat(4, 0).repeat(4, 1)[..., None]).all()
    assert not list(tmp_path.glob("*.part"))


def test_few_pictures_are_reconstructed_too(run, tmp_path):
    np.savez(tmp_path / "few.npz", train=shapes(12))
    run("--data", tmp_path / "few.npz", "--out", tmp_path / "m.safetensors", "--images", 16, *SMALL)
    assert Image.open(tmp_path / "m.reconstructions.png").size == (128, 64)


@pytest.mark.parametrize(
    "family, more, samples",
    [("fsvae", [], 0), ("esvae", [], 0), ("fsvae", [], 0.5), ("esvae", [], 0.5), ("esvae", ["--hidden", 7], 0.5),
     ("fsvae", ["--critic-weight", 0.1], 0), ("esvae", ["--critic-weight", 0.1], 0)],
    ids=str,
)
def test_killed_and_resumed_is_uninterrupted(family, more, samples, run, data, tmp_path):
    """kill -9 in the middle, twice; then the weights are those of one run, bit for bit."""
    steps = 100 if "--critic-weight" in more else 300
    recipe = ["--data", data, "--images", 8 * steps, "--flip", "--ema", 0.9, "--warmup", 300, "--short", 2, 0.5,
              "--family", family, *more, "--samples-weight", samples, "--views-images", 640, "--spikes-weight", samples / 5, *SMALL]
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    run(*recipe, "--out", whole)
    state = tmp_path / "broken.state"
    for _ in range(2):
        written = state.stat().st_mtime_ns if state.exists() else 0
        process = subprocess.Popen(command(*recipe, "--out", broken, "--resume", "--save-minutes", 0.01),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        # The checkpoint is written after the state, the first time a moment later.
        wait_for(process, lambda: state.exists() and state.stat().st_mtime_ns > written and broken.exists())
        process.send_signal(signal.SIGKILL)
        process.wait()
        step = torch.load(state, weights_only=True)["step"]
        assert 0 < step < steps
        load_file(broken)
    done = run(*recipe, "--out", broken, "--resume")
    assert f"resumed at step {step}" in done
    assert equal(whole, broken)
    with open(tmp_path / "broken.csv", newline="") as file:
        logged = [int(row["step"]) for row in csv.DictReader(file)]
    assert logged == sorted(set(logged)) and logged[-1] == steps


def test_another_seed_gives_other_weights(run, data, tmp_path):
    for seed in (0, 1):
        run("--data", data, "--images", 80, "--seed", seed, "--out", tmp_path / f"{seed}.safetensors", *SMALL)
    assert not equal(tmp_path / "0.safetensors", tmp_path / "1.safetensors")
    # From the same first weights, too: order and draws follow the seed.
    warm = ["--warm-start", tmp_path / "0.safetensors"]
    for seed in (0, 1):
        run("--data", data, "--images", 80, "--seed", seed, *warm, "--out", tmp_path / f"warm{seed}.safetensors", *SMALL)
    assert not equal(tmp_path / "warm0.safetensors", tmp_path / "warm1.safetensors")


def test_sigterm_finishes_cleanly(data, tmp_path):
    out = tmp_path / "m.safetensors"
    process = subprocess.Popen(command("--data", data, "--out", out, "--minutes", 5, "--save-minutes", 0.01, *SMALL),
                               stdout=subprocess.PIPE, text=True)
    wait_for(process, out.exists)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "stopped; --resume goes on" in output
    load_file(out)


def test_folders_and_zips_are_the_same_images(run, tmp_path):
    (tmp_path / "pictures").mkdir()
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        for i, image in enumerate(shapes(24, 20, (3,))):
            path = tmp_path / "pictures" / f"{i:02}.png"
            Image.fromarray(image).save(path)
            archive.write(path, path.name)
    for data, name in [("pictures", "a"), ("pictures.zip", "b")]:
        done = run("--data", tmp_path / data, "--side", 16, "--images", 48, "--out", tmp_path / f"{name}.safetensors", *SMALL)
        assert "24 images of 3 x 16 x 16" in done
    assert equal(tmp_path / "a.safetensors", tmp_path / "b.safetensors")


def test_warm_start_begins_with_its_weights(run, data, tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    run("--data", data, "--images", 80, "--out", first, "--keep-f32", *SMALL)
    run("--data", data, "--images", 8, "--lr", 1e-12, "--warm-start", first, "--out", second, "--keep-f32", *SMALL)
    a, b = load_file(first), load_file(second)
    assert all(torch.allclose(a[n], b[n], atol=1e-6) for n in a if "running" not in n and "num" not in n)


def test_sharpening_scales_what_is_written_and_not_what_is_trained(run, data, tmp_path):
    recipe = ["--data", data, "--images", 80, "--keep-f32", *SMALL]
    run(*recipe, "--out", tmp_path / "plain.safetensors")
    run(*recipe, "--out", tmp_path / "sharp.safetensors", "--sharpen", 1.5)
    plain, sharp = load_file(tmp_path / "plain.safetensors"), load_file(tmp_path / "sharp.safetensors")
    for name in plain:
        assert torch.equal(sharp[name], plain[name] * (1.5 if name.startswith("final_layer.1.") else 1)), name
    # A finished run is written again with another scale.
    done = run(*recipe, "--out", tmp_path / "sharp.safetensors", "--resume")
    assert "resumed at step 10" in done and equal(tmp_path / "plain.safetensors", tmp_path / "sharp.safetensors")


def test_large_tensors_are_rounded_and_the_rest_kept(run, data, tmp_path):
    out = tmp_path / "m.safetensors"
    run("--data", data, "--images", 8, "--out", out, *SMALL, "--latent", 32, "--k", 5)
    for name, value in load_file(out).items():
        expected = torch.int64 if name.endswith("tracked") else torch.float16 if value.numel() > 4096 else torch.float32
        assert value.dtype == expected, name


@pytest.mark.parametrize("arguments, message", [
    (["--data", "nowhere.npz"], "nowhere.npz: no such file or folder"),
    (["--data", "{data}", "--out", "m.pth"], "--out: expected a name that ends in .safetensors, found m.pth"),
    (["--data", "{data}", "--out", "nowhere/m.safetensors"], "--out: no such folder"),
    (["--data", "{data}", "--side", "32"], "shapes.npz: expected images of side 32, found 16"),
    (["--data", "{data}", "--time-steps", "33"], "the time steps must be 1 to 32, found 33"),
    (["--data", "{data}", "--batch", "0"], "--batch: expected more than 0, found 0"),
    (["--data", "{data}", "--k", "256"], "--k: expected 1 to 255, found 256"),
    (["--data", "{data}", "--hidden", "8"], "--hidden: expected 1 to 2 widths from 1 on, with --family esvae, found 8"),
    (
        ["--data", "{data}", "--family", "esvae", "--hidden", "8", "8", "8"],
        "--hidden: expected 1 to 2 widths from 1 on, with --family esvae, found 8 8 8",
    ),
    (["--data", "{data}", "--warm-start", "{data}"], "not a readable safetensors file"),
    (["--data", "{text}"], "expected an .npz, a folder or a zip of pictures"),
    (["--data", "{odd}"], "expected uint8"),
], ids=lambda value: None if isinstance(value, list) else value[:30])
def test_bad_input_is_one_line(arguments, message, run, data, tmp_path):
    (tmp_path / "text.txt").write_text("no pictures")
    np.savez(tmp_path / "odd.npz", train=np.zeros((4, 16, 16), np.float32))
    names = {"{data}": data, "{text}": tmp_path / "text.txt", "{odd}": tmp_path / "odd.npz"}
    arguments = [names.get(argument, argument) for argument in arguments]
    if "--out" not in arguments:
        arguments += ["--out", tmp_path / "m.safetensors"]
    with pytest.raises(InputError) as error:
        run(*arguments)
    assert message in str(error.value) and len(str(error.value).splitlines()) == 1
    assert not list(tmp_path.glob("m.*"))


def test_bad_input_exits_with_2():
    done = subprocess.run(command("--data", "nowhere.npz", "--out", "m.safetensors"), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "error: nowhere.npz: no such file or folder\n")


def test_a_broken_state_is_refused_and_kept(run, data, tmp_path):
    state = tmp_path / "m.state"
    state.write_bytes(b"not a state")
    with pytest.raises(InputError, match="m.state: cannot resume from it"):
        run("--data", data, "--out", tmp_path / "m.safetensors", "--resume", *SMALL)
    assert state.read_bytes() == b"not a state"
