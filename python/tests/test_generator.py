"""What a generator gives, and what it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fsvae


class Exported:
    """An array that speaks nothing but DLPack."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __dlpack__(self, **arguments: Any) -> Any:
        return self._array.__dlpack__(**arguments)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()


def test_shapes_and_types(cpu: fsvae.Generator) -> None:
    images = cpu.generate(seed=7, first=2**64 - 3, count=3)
    assert (images.shape, images.dtype, images.first) == ((3, 32, 32, 1), np.uint8, 2**64 - 3)
    latents = cpu.sample_latents(count=5)
    assert (latents.shape, latents.dtype, latents.max()) == ((5, 16, 128), np.uint8, 1)
    frames = cpu.frames(latents)
    assert frames.shape == (5, 16, 32, 32, 1)
    np.testing.assert_array_equal(frames[:, -1], cpu.decode(latents))
    one = cpu.spikes(latents, layers=["decoder.0"])
    assert list(one) == ["decoder.0"]
    assert cpu.backend == "CPU" and cpu.fallback is None and cpu.batch == 64
    assert repr(cpu) == "<fsvae.Generator of mnist on CPU>"


def test_none_is_fine(cpu: fsvae.Generator) -> None:
    none = cpu.generate(count=0)
    assert none.shape == (0, 32, 32, 1)
    assert cpu.encode(none).shape == (0, 16, 128)
    assert cpu.decode(cpu.encode(none)).shape == (0, 32, 32, 1)
    assert cpu.frames(cpu.encode(none)).shape == (0, 16, 32, 32, 1)
    assert cpu.spikes(cpu.encode(none))["decoder.0"].shape[:2] == (0, 16)
    assert cpu.operations(count=0) == {}
    assert list(cpu.stream(count=0)) == []


def test_other_peoples_arrays(cpu: fsvae.Generator) -> None:
    images = np.asarray(cpu.generate(count=4))
    # Not by way of what is tested.
    native = cpu._native.encode(np.frombuffer(images.tobytes(), np.uint8), 2, 0)
    expected = np.frombuffer(native.tobytes(), np.uint8).reshape(4, 16, 128)
    padded = np.zeros((4, 64, 32, 1), np.uint8)
    padded[:, ::2] = images
    shared = memoryview(images)
    read_only = images.copy()
    read_only.flags.writeable = False
    given: list[Any] = [images, padded[:, ::2], shared, read_only, Exported(images), np.asfortranarray(images)]
    given.append(fsvae.Images(images[::-1])[::-1])
    try:
        import torch
    except ImportError:
        pass
    else:
        given.append(torch.from_numpy(images))
        assert torch.from_dlpack(cpu.generate(count=2)).shape == (2, 32, 32, 1)
    for value in given:
        np.testing.assert_array_equal(cpu.encode(value, seed=2), expected)
    decoded = cpu._native.decode(np.frombuffer(expected.tobytes(), np.uint8)).reshape(4, 32, 32, 1)
    for latents in (expected, expected.astype(bool), np.asfortranarray(expected), expected[::-1][::-1]):
        np.testing.assert_array_equal(cpu.decode(latents), decoded)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda g: g.encode(np.zeros((1, 28, 28, 1), np.uint8)), ValueError,
         r"images: expected uint8 \[n, 32, 32, 1\], found uint8 \[1, 28, 28, 1\]"),
        (lambda g: g.encode(np.zeros((32, 32, 1), np.uint8)), ValueError, r"found uint8 \[32, 32, 1\]"),
        (lambda g: g.encode(np.zeros((1, 32, 32, 1))), TypeError, r"expected uint8 .*, found float64 \["),
        (lambda g: g.encode(None), TypeError, "images: expected uint8"),
        (lambda g: g.encode([[1, 2], [3]]), TypeError, "images: expected an array .* found list"),
        (lambda g: g.decode(np.zeros((1, 16, 127), np.uint8)), ValueError,
         r"latents: expected uint8 \[n, 16, 128\], found uint8 \[1, 16, 127\]"),
        (lambda g: g.decode(np.full((1, 16, 128), 2, np.uint8)), ValueError, "expected 0 or 1"),
        (lambda g: g.decode(np.zeros((1, 16, 128), np.float32)), TypeError, "found float32"),
        (lambda g: g.generate(seed=-1), ValueError, "seed: expected 0 to 18446744073709551615, found -1"),
        (lambda g: g.generate(seed=2**64), ValueError, "seed: expected 0 to"),
        (lambda g: g.generate(seed=0.5), TypeError, "seed: expected a whole number, found float"),
        (lambda g: g.generate(count=2**62), ValueError, "images do not fit in memory"),
        (lambda g: g.generate(first=2**64 - 1, count=2), ValueError, "2 images from index .* pass"),
        (lambda g: g.stream(batch=0), ValueError, "batch: expected 1"),
        (lambda g: g.spikes(np.zeros(3, np.uint8)), ValueError, "source: expected latents uint8 .* or images"),
        (lambda g: g.spikes(g.sample_latents(), layers=["encoder.0"]), ValueError, "encoder.0"),
        (lambda g: g.spikes(g.sample_latents(), layers=3), TypeError, "layers: expected a name or a list .*, found int"),
        (lambda g: g.generate(count=0).save("none.png"), ValueError, "none.png: expected one image or more .* none"),
        (lambda g: fsvae.Generator(g.network, None), ValueError, "backend: expected \"auto\".*found None"),
        (lambda g: fsvae.Generator("mnist"), TypeError, "network: expected a fsvae.Network, found str"),
        (lambda g: fsvae.Generator(g.network, "tpu"), ValueError, "backend: expected \"auto\""),
        (lambda g: fsvae.Generator(g.network, "cpu", "x"), ValueError, "adapter: expected None"),
        (lambda g: fsvae.Generator(g.network, "gpu", "no such"), ValueError, "no GPU adapter matches"),
        (lambda g: fsvae.Generator(g.network, batch=0), ValueError, "batch: expected 1"),
        (lambda g: fsvae.interpolate(g.sample_latents(), np.zeros((1, 2, 3), np.uint8)), ValueError,
         r"b: expected uint8 \[n, 16, 128\], found"),
        (lambda g: fsvae.interpolate(np.zeros((1, 2, 3), np.int8), np.zeros((1, 2, 3), np.uint8)), TypeError,
         r"a: expected uint8 \[n, 2, 3\], found int8"),
        (lambda g: fsvae.interpolate(np.zeros((1, 2, 3), bool), None), TypeError, "b: expected uint8"),
        (lambda g: fsvae.verify("cpu", 0), ValueError, "adapter: expected None"),
        (lambda g: fsvae.bench(g.network, "cpu", 0), ValueError, "adapter: expected None"),
        (lambda g: fsvae.Generator(g.network, "gpu", 0.5), TypeError, "adapter: expected a whole number, found float"),
    ],
)  # fmt: skip
def test_wrong_inputs(cpu: fsvae.Generator, call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call(cpu)


def test_operations_are_additions_and_less_than_dense(cpu: fsvae.Generator) -> None:
    three = cpu.operations(seed=1, first=2, count=9)
    assert list(three)[-1] == "final_layer.1"
    assert all(layer.additions <= layer.dense for layer in three.values())
    singles = [cpu.operations(seed=1, first=index)["decoder.0"].additions for index in range(2, 11)]
    assert three["decoder.0"].additions == pytest.approx(np.mean(singles))
    assert three["decoder.0"].additions > 0


def test_the_way_between_latents(cpu: fsvae.Generator) -> None:
    a, b = cpu.sample_latents(count=2), cpu.sample_latents(first=9, count=2)
    way = fsvae.interpolate(a, b, steps=5, seed=3)
    assert way.shape == (5, *a.shape)
    np.testing.assert_array_equal(way[0], a)
    np.testing.assert_array_equal(way[4], b)
    assert (way[2] != a).any() and (way[2] != b).any()


def test_devices_are_described() -> None:
    devices = fsvae.devices()
    if not devices:
        pytest.skip("no adapter here")
    for device in devices:
        assert {"number", "name", "backend", "kind", "software", "driver", "pci"} == set(device)


def test_devices_choose_adapters(mnist: fsvae.Network, present: list[int]) -> None:
    for number in present:
        device = fsvae.devices()[number]
        assert fsvae.Generator(mnist, adapter=number).backend == f"{device['name']} ({device['backend']})"


def test_auto_says_why_it_took_the_cpu(mnist: fsvae.Network) -> None:
    generator = fsvae.Generator(mnist)
    assert (generator.backend == "CPU") == (generator.fallback is not None)


def test_the_cpu_is_right() -> None:
    report = fsvae.verify("cpu")
    assert report["right"] and report["findings"] == [] and report["rounds"] == 1
    assert "all right" in report["verdict"]
    with pytest.raises(ValueError, match="backend: expected"):
        fsvae.verify("auto")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no GPU adapter matches"):
        fsvae.verify("gpu", "no such")
