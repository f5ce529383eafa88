"""What the Python package costs over the library it holds: the same batches by both, in turns.

    cargo build --release --example peer
    python benches/peers/wheel.py --peer target/release/examples/peer [--batches 1,64] [--backend cpu]

Both make mnist with all threads; each batch goes end to end, to an array in the memory of the host. The rounds are
interleaved, so that what else the machine does meets both; the overhead is the median of the rounds' ratios. Beside it
stands that of the fastest tenth of all batches, for what else the machine does only ever makes a batch slower.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import fsvae


class Library:
    """`benches/peers/peer.rs`, which waits for orders."""

    def __init__(self, program: Path, backend: str, batch: int) -> None:
        command = [program, "--backend", backend, "--batch", str(batch)]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        ready = self._child.stdout.readline()
        if not ready.startswith("ready "):
            sys.exit(f"{program}: expected a line `ready NAME`, found {ready!r}")
        self.name = ready.removeprefix("ready ").strip()

    def times(self, batches: int) -> list[int]:
        self._child.stdin.write(f"{batches}\n")
        self._child.stdin.flush()
        return [int(word) for word in self._child.stdout.readline().split()]

    def close(self) -> None:
        self._child.stdin.close()
        self._child.wait(10)


class Wheel:
    """The same through NumPy."""

    def __init__(self, backend: str, batch: int) -> None:
        network = fsvae.Network.open("mnist")
        place = {"backend": "cpu"} if backend == "cpu" else {"backend": "gpu", "adapter": backend}
        self._generator = fsvae.Generator(network, batch=batch, **place)
        self._batch, self._first = batch, 0
        self.times(3)
        self._first = 0

    def times(self, batches: int) -> list[int]:
        times = []
        for _ in range(batches):
            start = time.perf_counter_ns()
            images = self._generator.generate(7, self._first, self._batch)
            times.append(time.perf_counter_ns() - start)
            assert len(images) == self._batch
            self._first += self._batch
        return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, help="the program of benches/peers/peer.rs")
    parser.add_argument("--backend", default="cpu", help="cpu, or text of a GPU adapter's name")
    parser.add_argument("--batches", default="1,64")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=0.15, help="what a round of one of them takes, about")
    found = parser.parse_args()
    for batch in map(int, found.batches.split(",")):
        library, wheel = Library(found.peer, found.backend, batch), Wheel(found.backend, batch)
        once = statistics.median(library.times(5))
        count = max(1, round(found.seconds * 1e9 / once))
        both: list[tuple[float, float]] = []
        every: dict[Library | Wheel, list[int]] = {library: [], wheel: []}
        for turn in range(found.rounds):
            # Who goes first changes, too.
            order = [library, wheel] if turn % 2 else [wheel, library]
            times = {which: which.times(count) for which in order}
            medians = {which: statistics.median(its) for which, its in times.items()}
            for which, its in times.items():
                every[which] += its
            both.append((medians[library], medians[wheel]))
        ratios = sorted(mine / its for its, mine in both)
        quarter = len(ratios) // 4
        fast = {which: statistics.quantiles(its, n=10)[0] for which, its in every.items()}
        its, mine = (statistics.median(column) / 1000 for column in zip(*both, strict=True))
        spread = f"{100 * (ratios[quarter] - 1):+.1f} to {100 * (ratios[-1 - quarter] - 1):+.1f}"
        overhead = 100 * (statistics.median(ratios) - 1)
        print(
            f"{library.name}: batch {batch}: library {its:.1f} us, wheel {mine:.1f} us: {overhead:+.1f} % ({spread}), "
            f"{found.rounds} rounds of {count} batches; "
            f"the fastest tenth {100 * (fast[wheel] / fast[library] - 1):+.1f} %"
        )
        library.close()


if __name__ == "__main__":
    main()
