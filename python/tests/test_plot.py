"""Plots: what is on them is what was given."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import fsvae

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

from fsvae import plot  # noqa: E402


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plot.pyplot.close("all")


def test_a_raster_has_every_spike(cpu: fsvae.Generator) -> None:
    latents = cpu.sample_latents(count=2)
    dots = plot.raster(latents, image=1, title="z").collections[0].get_offsets()
    assert len(dots) == latents[1].sum()
    assert all(latents[1, int(step), int(neuron)] for step, neuron in dots)
    layer = cpu.spikes(latents)["decoder.0"]
    assert len(plot.raster(layer).collections[0].get_offsets()) == layer[0].sum()


def test_rates_of_layers(cpu: fsvae.Generator) -> None:
    spikes = cpu.spikes(cpu.sample_latents(count=3))
    bars = plot.rates(spikes).patches
    assert [bar.get_width() for bar in bars] == [pytest.approx(layer.mean()) for layer in spikes.values()]


def test_pictures(cpu: fsvae.Generator) -> None:
    latents = cpu.sample_latents(count=4)
    frames = cpu.frames(latents)
    image = plot.forming(frames).images[0].get_array()
    assert image.shape == (4 * 32, 16 * 32)
    np.testing.assert_array_equal(image[32:64, -32:], cpu.decode(latents)[1, :, :, 0])
    way = plot.walk(cpu, latents[:2], latents[2:], steps=5).images[0].get_array()
    assert way.shape == (64, 160)
    np.testing.assert_array_equal(way[:32, :32], frames[0, -1, :, :, 0])
    np.testing.assert_array_equal(way[32:, -32:], frames[3, -1, :, :, 0])
    layer = cpu.spikes(latents)["decoder.0"]
    side = layer.shape[2] + 1
    assert plot.maps(layer, channels=4).images[0].get_array().shape == (2 * side, 2 * side)


def test_what_cannot_be_drawn() -> None:
    for draw in plot.raster, plot.maps, plot.forming:
        with pytest.raises(ValueError, match=r"expected .*, found \[2, 2\]"):
            draw(np.zeros((2, 2), np.uint8))
