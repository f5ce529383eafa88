"""`fsvae.bench()`."""

from __future__ import annotations

import hashlib
import time

import pytest
from conftest import ROOT

import fsvae


def test_the_cpu_is_measured(mnist: fsvae.Network) -> None:
    told: list[tuple[str, str]] = []
    report = fsvae.bench(mnist, "cpu", plan="quick", seed=3, progress=lambda *news: told.append(news))
    assert (report["schema"], report["version"], report["fsvae"]) == ("fsvae-bench", 1, fsvae.__version__)
    weights = (ROOT / "assets/mnist/mnist.safetensors").read_bytes()
    assert report["model"] == {"name": "mnist", "sha256": hashlib.sha256(weights).hexdigest(), "family": "fsvae"}
    assert mnist.info["sha256"] == report["model"]["sha256"]
    assert report["options"]["seed"] == 3 and report["options"]["quick"] and report["machine"]["logical_cores"] >= 1
    layers = {layer["name"]: layer for layer in report["operations"]["layers"]}
    counted = fsvae.Generator(mnist, "cpu").operations(3, 0, report["operations"]["images"])
    assert {name: layer["additions"] for name, layer in layers.items()} == {n: o.additions for n, o in counted.items()}
    (result,) = report["results"]
    assert (result["backend"], result["status"]) == ("CPU", "ok")
    # The oracle knows this model's images.
    assert result["verified"]["with_oracle"] > 0
    assert [point["batch"] for point in result["throughput"]] == [1, 16]
    assert {backend for backend, _ in told} == {"CPU"}
    assert told[0][1] == "opening" and ("CPU", "throughput at batch 16") in told


def test_an_adapter_is_measured(mnist: fsvae.Network, present: list[int]) -> None:
    (result,) = fsvae.bench(mnist, "gpu", present[0], plan="quick", batches=[2])["results"]
    assert result["status"] == "ok" and result["adapter"]["name"] == fsvae.devices()[present[0]]["name"]
    assert [point["batch"] for point in result["throughput"]] == [2]


def test_what_progress_raises_ends_it(mnist: fsvae.Network) -> None:
    def stop(backend: str, step: str) -> None:
        raise LookupError(step)

    before = time.perf_counter()
    with pytest.raises(LookupError, match="opening"):
        fsvae.bench(mnist, "cpu", plan="thorough", progress=stop)
    assert time.perf_counter() - before < 10


def test_wrong_inputs(mnist: fsvae.Network) -> None:
    with pytest.raises(ValueError, match='plan: expected "quick", "short" or "thorough", found "slow"'):
        fsvae.bench(mnist, "cpu", plan="slow")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="batches: expected some"):
        fsvae.bench(mnist, "cpu", batches=[])
    with pytest.raises(ValueError, match="batches: expected 1"):
        fsvae.bench(mnist, "cpu", batches=[0])
    with pytest.raises(TypeError, match="progress: expected a function, found int"):
        fsvae.bench(mnist, "cpu", progress=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"network: expected a fsvae.Network or a name, found int"):
        fsvae.bench(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no GPU adapter matches"):
        fsvae.bench(mnist, "gpu", "no such")
    with pytest.raises(ValueError, match="backend: expected"):
        fsvae.bench(mnist, "tpu")  # type: ignore[arg-type]
