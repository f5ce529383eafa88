"""The oracle's rows through NumPy, on the CPU and on the adapters there are."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import ROOT, digest, networks, open_network, picture

import fsvae

ROWS = [line.split() for line in (ROOT / "tests/conformance.rows").read_text().splitlines()]
LAYERS = [line.split() for line in (ROOT / "src/verify/layers.rows").read_text().splitlines()]
#: Rows of a model of the package that are looked at on an adapter, and of a random one.
FEW = 6


def check(generator: fsvae.Generator, rows: list[list[str]]) -> None:
    info = generator.network.info
    for _, task, seed_text, first_text, *digests in rows:
        seed, first = int(seed_text), int(first_text)
        kind, _, name = task.partition(":")
        if kind == "generate":
            images = generator.generate(seed, first)
            latents = generator.sample_latents(seed, first)
        else:
            if name.startswith("sample"):
                source = generator.generate(0, int(name.removeprefix("sample")))
            else:
                source = picture(name, info["image_side"], info["image_channels"])
            images = generator.reconstruct(source, seed, first)
            latents = generator.encode(source, seed, first)
        found = [digest(images), digest(latents)]
        assert found[: len(digests)] == digests, f"{generator}: {task} {seed} {first}"
        assert images.first == first
        np.testing.assert_array_equal(generator.decode(latents), images)


@pytest.mark.parametrize("name", networks(ROWS))
def test_the_cpu_agrees_with_the_oracle(name: str) -> None:
    rows = [row for row in ROWS if row[0] == name]
    assert len(rows) >= 27
    check(fsvae.Generator(open_network(name), backend="cpu"), rows)


@pytest.mark.parametrize("name", networks(ROWS))
def test_every_adapter_agrees_with_the_oracle(name: str, present: list[int]) -> None:
    network = open_network(name)
    rows = [row for row in ROWS if row[0] == name]
    for adapter in present:
        generator = fsvae.Generator(network, "gpu", adapter, batch=2)
        assert generator.backend != "CPU"
        check(generator, rows[:: len(rows) // FEW])


@pytest.mark.parametrize("model", dict.fromkeys(row[0] for row in LAYERS))
def test_every_layers_spikes_are_the_oracles(model: str) -> None:
    generator = fsvae.Generator(open_network(model), backend="cpu")
    info = generator.network.info
    images = np.concatenate([picture(name, info["image_side"], info["image_channels"]) for name in ("noise", "ramp")])
    expected = {layer: row for name, layer, row in LAYERS if name == model}
    checked = set()
    for source, latent in (images, "posterior"), (generator.sample_latents(7, 0, 2), "prior"):
        words = generator.spikes(source, seed=7, words=True)
        trains = generator.spikes(source, seed=7)
        for name, layer in words.items():
            row = latent if name == "latent" else name
            # The decoder's rows are of generation.
            if latent == "prior" or name.startswith(("encoder", "before", "latent")):
                assert digest(layer.astype("<u4")) == expected[row], f"{model}: {row}"
                checked.add(row)
            n, side, _, channels = layer.shape
            assert trains[name].shape == (n, info["time_steps"], side, side, channels)
            steps = np.arange(info["time_steps"], dtype=np.uint32).reshape(-1, 1, 1, 1)
            np.testing.assert_array_equal(trains[name], (layer[:, None] >> steps) & 1)
    assert checked == set(expected) - {"final_layer.1"}
