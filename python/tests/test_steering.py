"""Rates and directions: the oracle's rows through NumPy, on the CPU and on the adapters there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import ROOT, digest, networks, open_network, picture

import fsvae

ROWS = [line.split() for line in (ROOT / "tests/rates.rows").read_text().splitlines()]
#: The pictures that rates come from, in the order of their indices.
UNIFORM = ["uniform0", "uniform1", "uniform37", "uniform127", "uniform128", "uniform254", "uniform255"]
PICTURES = [*UNIFORM, "ramp", "noise", "disc"]
#: Rows of a model that are looked at on an adapter.
FEW = 6


def check(generator: fsvae.Generator, rows: list[list[str]]) -> None:
    info = generator.network.info
    pictures = [picture(name, info["image_side"], info["image_channels"]) for name in PICTURES]
    encoded: dict[int, np.ndarray] = {}
    for _, task, seed_text, index_text, *digests in rows:
        seed, index = int(seed_text), int(index_text)
        if seed not in encoded:
            each = [generator.encode_rates(pixels, seed, at) for at, pixels in enumerate(pictures)]
            encoded[seed] = np.concatenate(each)
        rates = encoded[seed]
        kind, _, rest = task.partition(":")
        if kind in ("rates", "mean", "mix"):
            numbers: Any
            if kind == "rates":
                numbers = rates[PICTURES.index(rest)][None]
            elif kind == "mean":
                numbers = fsvae.mean_rates(rates)
            else:
                step, steps = map(int, rest.split("/"))
                noise, disc = rates[PICTURES.index("noise")][None], rates[PICTURES.index("disc")][None]
                numbers = fsvae.interpolate(noise, disc, steps)[step]
            latents = generator.sample_latents(seed, index, rates=numbers)
            images = generator.generate(seed, index, rates=numbers)
        else:
            numbers = fsvae.direction(rates[len(UNIFORM) :], rates[: len(UNIFORM)])
            ramp = pictures[PICTURES.index("ramp")]
            start = generator.sample_latents(seed, index) if kind == "prior" else generator.encode(ramp, seed, index)
            latents = fsvae.along(start, numbers, float(rest.rpartition(":")[2]), seed, index)
            images = generator.decode(latents)
        little = numbers.astype(numbers.dtype.newbyteorder("<"))
        assert [digest(little), digest(latents), digest(images)] == digests, f"{generator}: {task} {seed} {index}"


@pytest.mark.parametrize("name", networks(ROWS))
def test_the_cpu_agrees_with_the_oracle(name: str) -> None:
    rows = [row for row in ROWS if row[0] == name]
    assert len(rows) == 42
    check(fsvae.Generator(open_network(name), backend="cpu"), rows)


@pytest.mark.parametrize("name", networks(ROWS))
def test_every_adapter_agrees_with_the_oracle(name: str, present: list[int]) -> None:
    network, rows = open_network(name), [row for row in ROWS if row[0] == name]
    for adapter in present:
        check(fsvae.Generator(network, "gpu", adapter, batch=2), rows[:: len(rows) // FEW])


def test_an_index_has_its_row(cpu: fsvae.Generator) -> None:
    rates = cpu.encode_rates(cpu.generate(count=3))
    assert (rates.shape, rates.dtype) == ((3, 128), np.uint16)
    np.testing.assert_array_equal(rates, fsvae.rates_of(cpu.encode(cpu.generate(count=3))))
    images = cpu.generate(5, 7, 8, rates=rates)
    assert images.first == 7
    for at, index in enumerate(range(7, 15)):
        np.testing.assert_array_equal(cpu.generate(5, index, rates=rates[index % 3][None])[0], images[at])
    streamed = np.concatenate(list(cpu.stream(5, 7, 3, count=8, rates=rates)))
    np.testing.assert_array_equal(streamed, images)
    np.testing.assert_array_equal(cpu.decode(cpu.sample_latents(5, 7, 8, rates=rates)), images)
    assert (images != cpu.generate(5, 7, 8)).any()


def test_strides_do_not_matter(cpu: fsvae.Generator) -> None:
    latents = cpu.sample_latents(count=2)
    way = np.arange(-6400, 6400, 100).astype(np.int32)
    spread = np.zeros(256, np.int32)
    spread[::2] = way
    moved = fsvae.along(latents, way, 2.0, seed=1)
    np.testing.assert_array_equal(fsvae.along(latents, spread[::2], 2.0, seed=1), moved)
    assert (moved[:, :, :40] <= latents[:, :, :40]).all() and (moved[:, :, 80:] >= latents[:, :, 80:]).all()
    np.testing.assert_array_equal(fsvae.along(latents, way, 0.0), latents)
    np.testing.assert_array_equal(fsvae.along(latents[1:], way, 2.0, seed=1, first=1), moved[1:])


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda g: g.generate(rates=np.zeros((1, 7), np.uint16)), ValueError,
         r"rates: expected uint16 \[n, 128\], found uint16 \[1, 7\]"),
        (lambda g: g.generate(rates=np.zeros((1, 128))), TypeError, r"expected uint16 \[n, 128\], found float64"),
        (lambda g: g.generate(rates=np.zeros((0, 128), np.uint16)), ValueError, "0 numbers are no rates"),
        (lambda g: g.encode_rates(np.zeros((0, 32, 32, 1), np.uint8)), ValueError, "no rates"),
        (lambda g: g.encode_rates(np.zeros((1, 9, 9, 1), np.uint8)), ValueError, "images: expected uint8"),
        (lambda g: fsvae.mean_rates(np.zeros(3, np.uint16)), ValueError, r"rates: expected uint16 \[n, C\]"),
        (lambda g: fsvae.rates_of(np.zeros((3, 3), np.uint8)), ValueError, r"latents: expected uint8 \[n, T, C\]"),
        (lambda g: fsvae.direction(np.zeros((1, 3), np.uint16), np.zeros((1, 4), np.uint16)), ValueError,
         r"lacking: expected uint16 \[n, 3\], found uint16 \[1, 4\]"),
        (lambda g: fsvae.along(g.sample_latents(), np.zeros(3, np.int32)), ValueError,
         r"direction: expected int32 \[128\], found int32 \[3\]"),
        (lambda g: fsvae.along(g.sample_latents(), np.zeros(128)), TypeError, "direction: expected int32"),
        (lambda g: fsvae.along(g.sample_latents(), np.full(128, 70_000, np.int32)), ValueError, "channel 0 of a dir"),
        (lambda g: fsvae.along(g.sample_latents(), np.zeros(128, np.int32), float("nan")), ValueError, "NaN times"),
        (lambda g: fsvae.along(g.sample_latents(), np.zeros(128, np.int32), "2"), TypeError, "amount: expected a num"),
        (lambda g: fsvae.along(g.sample_latents(), np.zeros(128, np.int32), None), TypeError, "amount: expected a num"),
        (lambda g: fsvae.interpolate(np.zeros((1, 3), np.uint16), np.zeros((2, 3), np.uint16)), ValueError,
         "from 1 rows of rates to 2"),
    ],
)  # fmt: skip
def test_wrong_inputs(cpu: fsvae.Generator, call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call(cpu)
