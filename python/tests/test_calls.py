"""Calls beside each other, interrupted, in children, awaited."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import fsvae

unix = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


def test_threads_share_a_generator(cpu: fsvae.Generator) -> None:
    expected = [np.asarray(cpu.generate(seed)) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for found, one in zip(pool.map(cpu.generate, range(8)), expected, strict=True):
            np.testing.assert_array_equal(found, one)


def test_the_gil_is_free_during_a_call(cpu: fsvae.Generator) -> None:
    ticks: list[float] = []
    done = threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.005)

    thread = threading.Thread(target=tick)
    thread.start()
    start = time.perf_counter()
    cpu.generate(count=1000)
    end = time.perf_counter()
    done.set()
    thread.join()
    during = [at for at in ticks if start < at < end]
    # With the GIL held there would be none.
    assert len(during) > (end - start) / 0.1


INTERRUPTED = """
import signal, sys, threading, time
import numpy as np
import fsvae
# Shells start what runs in the background with SIGINT ignored, and these tests with it.
signal.signal(signal.SIGINT, signal.default_int_handler)
generator = fsvae.Generator(fsvae.Network.open("faces"), backend="cpu")
latents = np.zeros((20_000, 16, generator.network.info["latent_channels"]), np.uint8)
images = np.zeros((20_000, 16, 16, 3), np.uint8)
calls = {
    "generate": lambda: generator.generate(count=1_000_000),
    "encode": lambda: generator.encode(images),
    "decode": lambda: generator.decode(latents),
    "operations": lambda: generator.operations(count=1_000_000),
    "stream": lambda: sum(len(images) for images in generator.stream()),
    "bench": lambda: fsvae.bench("mnist", "cpu", plan="thorough"),
    "verify": lambda: fsvae.verify("cpu", rounds=1000),
    "interpolate": lambda: fsvae.interpolate(latents[:1], latents[1:2], steps=200_000),
    "along": lambda: fsvae.along(latents.repeat(2, 0), np.zeros(latents.shape[2], np.int32)),
}
generator.generate()
print("ready", flush=True)
try:
    calls[sys.argv[1]]()
except KeyboardInterrupt:
    print(time.time(), flush=True)
    # It goes on afterwards.
    assert generator.generate().shape[0] == 1
    print("goes on", flush=True)
"""


def interrupted(call: str) -> float:
    """Seconds from Ctrl-C to the end of a call."""
    child = subprocess.Popen([sys.executable, "-c", INTERRUPTED, call], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(0.5)
    assert child.poll() is None
    sent = time.time()
    child.send_signal(signal.SIGINT)
    ended = float(child.stdout.readline())
    assert child.stdout.readline() == "goes on\n"
    assert child.wait(30) == 0
    return ended - sent


@unix
@pytest.mark.parametrize(
    "call",
    ["generate", "encode", "decode", "operations", "stream", "bench", "verify", "interpolate", "along"],
)
def test_ctrl_c_ends_a_call(call: str) -> None:
    # A busy machine may take its time once, but not always.
    taken: list[float] = []
    while len(taken) < 3 and not any(seconds < 0.1 for seconds in taken):
        taken.append(interrupted(call))
    assert min(taken) < 0.1, taken


def in_child(work: Any) -> Any:
    """What `work` returns in a child of fork()."""
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=lambda: queue.put(work()))
    child.start()
    child.join(60)
    if child.is_alive():
        child.kill()
        pytest.fail("it hangs")
    assert child.exitcode == 0
    return queue.get()


@unix
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_goes_on_on_the_cpu(cpu: fsvae.Generator) -> None:
    stream = cpu.stream(seed=4, count=24, batch=8)
    first = next(stream)
    expected = np.asarray(cpu.generate(4, 0, 24))

    def work() -> tuple[np.ndarray, np.ndarray]:
        rest = np.concatenate(list(stream))
        return np.asarray(cpu.generate(4, 0, 24)), rest

    found, rest = in_child(work)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.concatenate([first, rest]), expected)
    np.testing.assert_array_equal(np.concatenate(list(stream)), rest)


@unix
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_gpu_is_refused_in_a_child(mnist: fsvae.Network, present: list[int]) -> None:
    generator = fsvae.Generator(mnist, "gpu", present[0], batch=2)
    stream = generator.stream(count=8, batch=2)
    expected = np.asarray(next(stream))

    def work() -> list[str]:
        said = []
        for call in (generator.generate, lambda: next(stream)):
            try:
                call()
            except RuntimeError as error:
                said.append(str(error))
        return said

    said = in_child(work)
    assert len(said) == 2
    assert all("do not survive fork()" in text for text in said)
    np.testing.assert_array_equal(generator.generate(count=2), expected)


def test_a_stream_is_what_generate_gives(cpu: fsvae.Generator) -> None:
    expected = cpu.generate(5, 10, 50)
    stream = cpu.stream(5, 10, 16, count=50)
    batches = list(stream)
    assert [images.first for images in batches] == [10, 26, 42, 58]
    np.testing.assert_array_equal(np.concatenate(batches), expected)
    assert list(stream) == []
    with cpu.stream(5, 10) as endless:
        assert next(endless).first == 10
    assert list(endless) == []


def test_a_stream_is_awaited(cpu: fsvae.Generator) -> None:
    expected = np.asarray(cpu.generate(5, 0, 40))

    async def take(seed: int) -> np.ndarray:
        return np.concatenate([images async for images in cpu.stream(seed, batch=8, count=40)])

    async def both() -> list[np.ndarray]:
        return await asyncio.gather(take(5), take(6))

    five, six = asyncio.run(both())
    np.testing.assert_array_equal(five, expected)
    assert (six != expected).any()


def test_who_gives_up_waiting_loses_no_images() -> None:
    generator = fsvae.Generator(fsvae.Network.open("faces"), backend="cpu")

    async def take() -> tuple[int, int]:
        stream = generator.stream(batch=64, count=128)
        timeouts, images = 0, 0
        while images < 128:
            try:
                images += len(await asyncio.wait_for(anext(stream), 0.001))
            except asyncio.TimeoutError:
                timeouts += 1
        return timeouts, images

    timeouts, images = asyncio.run(take())
    assert timeouts > 0 and images == 128


def test_who_gives_up_waiting_leaves(cpu: fsvae.Generator) -> None:
    async def leave() -> fsvae.Stream:
        with cpu.stream(batch=1024) as stream:
            await asyncio.wait_for(anext(stream), 0.001)
        return stream

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(leave())

    async def close() -> None:
        stream = cpu.stream(batch=1024)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(stream), 0.001)
        stream.close()
        # Whether the batch is there by now or not.
        assert list(stream) == [] and [images async for images in stream] == []

    asyncio.run(close())


def test_what_was_given_up_comes_next(cpu: fsvae.Generator) -> None:
    expected = np.asarray(cpu.generate(3, 0, 192))
    stream = cpu.stream(3, batch=64, count=192)

    async def give_up() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(stream), 0.001)

    async def take() -> fsvae.Images:
        return await anext(stream)

    # Without an event loop, in the same one, and in another.
    asyncio.run(give_up())
    first = next(stream)
    asyncio.run(give_up())
    second = asyncio.run(take())

    async def both() -> fsvae.Images:
        await give_up()
        return next(stream)

    third = asyncio.run(both())
    assert [images.first for images in (first, second, third)] == [0, 64, 128]
    np.testing.assert_array_equal(np.concatenate([first, second, third]), expected)
    assert list(stream) == []
