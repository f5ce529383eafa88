"""A range of images in shards: tar files of PNGs as WebDataset reads them, and digests. One process makes all of them:

    python shards.py --model faces --seed 7 --count 1000000 --out faces

`with_ray.py` and `with_dask.py` do the same with many. A shard is written whole or not at all, and has the same bytes
whoever writes it, as often as it is written. So a lost worker costs the time of its shard, and a program that is started
again makes what is missing.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import tarfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import fsvae


@dataclass(frozen=True)
class Job:
    """What is to be made."""

    model: str
    seed: int
    first: int
    count: int
    #: Images of a shard.
    size: int
    #: A folder that every worker sees.
    out: str
    backend: str = "auto"

    def __len__(self) -> int:
        """How many shards there are."""
        return -(-self.count // self.size)

    def name(self, shard: int) -> Path:
        return Path(self.out, f"{shard:06}")

    def missing(self) -> list[int]:
        """The shards that are still to be made."""
        return [shard for shard in range(len(self)) if not self.name(shard).with_suffix(".digests").exists()]


@cache
def generator(model: str, backend: str) -> fsvae.Generator:
    """One for each worker, made when it is first asked for."""
    return fsvae.Generator(fsvae.Network.open(model), backend)


def write_shard(job: Job, shard: int) -> int:
    """Makes a shard: its images in a tar file, and their digests. Returns its number."""
    first = job.first + shard * job.size
    count = min(job.size, job.first + job.count - first)
    tar, lines = io.BytesIO(), []
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for batch in generator(job.model, job.backend).stream(job.seed, first, count=count):
            for at, image in enumerate(batch):
                index, png = batch.first + at, image.to_png()
                # A new entry has no owner, and is from 1970: the same bytes everywhere.
                entry = tarfile.TarInfo(f"{index:012}.png")
                entry.size = len(png)
                archive.addfile(entry, io.BytesIO(png))
                lines.append(f"{index} {hashlib.sha256(image.tobytes()).hexdigest()}\n")
    name = job.name(shard)
    _write(name.with_suffix(".tar"), tar.getvalue())
    # Last: what has digests is complete.
    _write(name.with_suffix(".digests"), "".join(lines).encode())
    return shard


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)


def finish(job: Job) -> str:
    """The digest of all digests: that of `fsvae generate --digests | sha256sum`."""
    digest = hashlib.sha256()
    for shard in range(len(job)):
        digest.update(job.name(shard).with_suffix(".digests").read_bytes())
    return digest.hexdigest()


def arguments(description: str | None) -> tuple[Job, argparse.Namespace]:
    """What all three programs take."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="faces", help="a model of the package, or a checkpoint that every worker sees")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="index of the first image")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=4096, help="images of a shard")
    parser.add_argument("--out", required=True, help="a folder that every worker sees")
    parser.add_argument("--backend", default="auto", choices=["auto", "gpu", "cpu"])
    parser.add_argument("--workers", type=int, default=2, help="of a cluster of this machine, or actors of another")
    parser.add_argument("--address", help="of a cluster that runs already")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs that a worker of Ray asks for")
    found = parser.parse_args()
    if found.count < 1 or found.size < 1 or found.workers < 1:
        parser.error("--count, --size and --workers: expected 1 or more")
    out = Path(found.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    return Job(found.model, found.seed, found.first, found.count, found.size, str(out), found.backend), found


if __name__ == "__main__":
    job, _ = arguments(__doc__)
    for shard in job.missing():
        write_shard(job, shard)
    print(finish(job))
