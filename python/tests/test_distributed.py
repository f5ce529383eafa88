"""The examples past one machine: two workers, of which one is killed."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import signal
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

import fsvae

FOLDER = ROOT / "examples/distributed"
SEED, FIRST, COUNT, SIZE = 7, 1000, 52, 10

#: The worker that comes to the third shard dies, once; who comes to it next says so.
LOSING = """
import os, pathlib, signal, sys, time
import shards
from with_{engine} import run

def write(job, shard):
    lost = pathlib.Path(job.out, "lost")
    with open(pathlib.Path(job.out, "workers"), "a") as workers:
        print(shard, os.getpid(), file=workers)
    if shard == 2 and not lost.exists():
        lost.touch()
        # The other one has begun, too.
        time.sleep(0.5)
        os.kill(os.getpid(), signal.{signal})
    return shards.write_shard(job, shard)

if __name__ == "__main__":
    job = shards.Job("faces", {seed}, {first}, {count}, {size}, sys.argv[1], "cpu")
    run(job, 2, write=write)
    print(shards.finish(job))
"""


def images() -> fsvae.Images:
    return fsvae.Generator(fsvae.Network.open("faces"), "cpu").generate(SEED, FIRST, COUNT)


def digest_of_digests() -> str:
    lines = (f"{FIRST + at} {hashlib.sha256(image.tobytes()).hexdigest()}\n" for at, image in enumerate(images()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def call(out: Path, *command: str) -> str:
    """The last line of what a program says."""
    environment = os.environ | {"PYTHONPATH": str(FOLDER), "RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}
    # A group of its own, so that nothing stays behind.
    child = subprocess.Popen(
        [sys.executable, *command], cwd=out, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        text, _ = child.communicate(timeout=120)
    except BaseException:
        os.killpg(child.pid, signal.SIGKILL)
        raise
    assert child.returncode == 0, text
    return text.splitlines()[-1]


def arguments(out: Path) -> list[str]:
    numbers = {"seed": SEED, "first": FIRST, "count": COUNT, "size": SIZE}
    options = [word for name, number in numbers.items() for word in (f"--{name}", str(number))]
    return [*options, "--out", str(out), "--backend", "cpu"]


def check_shards(out: Path) -> None:
    expected = images()
    found = []
    for shard in sorted(out.glob("*.tar")):
        with tarfile.open(shard) as archive:
            found += [(entry.name, archive.extractfile(entry).read()) for entry in archive]  # type: ignore[union-attr]
    assert [name for name, _ in found] == [f"{FIRST + at:012}.png" for at in range(COUNT)]
    pillow = pytest.importorskip("PIL.Image")
    for (_, png), image in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(pillow.open(BytesIO(png))), image)


def test_one_process_makes_every_shard(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [str(FOLDER / "shards.py"), *arguments(out)]
    assert call(tmp_path, *command) == digest_of_digests()
    check_shards(out)
    # What is there is not made again, and what is not there is.
    kept, gone = out / "000001.tar", out / "000002.digests"
    kept.write_bytes(b"kept")
    gone.unlink()
    assert call(tmp_path, *command) == digest_of_digests()
    assert kept.read_bytes() == b"kept" and gone.exists()
    assert not list(out.glob(".*")), "nothing half-written"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize("engine", ["ray", "dask"])
def test_a_lost_worker_costs_time_only(engine: str, tmp_path: Path) -> None:
    needed = {"ray": "ray", "dask": "distributed"}[engine]
    if importlib.util.find_spec(needed) is None:
        missing = pytest.fail if os.environ.get("FSVAE_REQUIRE_ENGINES") else pytest.skip
        missing(f"{needed} is not installed: pip install -r examples/distributed/requirements.txt")
    numbers = {"seed": SEED, "first": FIRST, "count": COUNT, "size": SIZE}
    (tmp_path / "losing.py").write_text(LOSING.format(engine=engine, signal="SIGKILL", **numbers))
    out = tmp_path / "out"
    out.mkdir()
    assert call(tmp_path, "losing.py", str(out)) == digest_of_digests()
    check_shards(out)
    began = [line.split() for line in (out / "workers").read_text().splitlines()]
    of_the_third = [process for shard, process in began if shard == "2"]
    assert len(of_the_third) == 2 and of_the_third[0] != of_the_third[1], began
    assert len({process for _, process in began}) >= 2
    # The program as it is finds nothing to do any more, and says the same.
    assert call(tmp_path, str(FOLDER / f"with_{engine}.py"), *arguments(out)) == digest_of_digests()
