"""A range of images by Dask: workers of one thread each, which the generator fills with its own.

    python with_dask.py --model faces --seed 7 --count 1000000 --out faces --workers 8

What a lost worker was at is done again, by another or by the one that takes its place.
"""

from __future__ import annotations

from collections.abc import Callable

from dask.distributed import Client, as_completed
from shards import Job, arguments, finish, write_shard


def run(
    job: Job,
    workers: int,
    address: str | None = None,
    write: Callable[[Job, int], int] = write_shard,
) -> None:
    """Makes the shards of `job` that are missing."""
    missing = job.missing()
    if not missing:
        return
    # A cluster of this machine, without a page for a browser.
    local = {"n_workers": workers, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with Client(address) if address else Client(**local) as client:
        # A shard is a file in the end, so what was made before may not stand for it: it is no pure function to Dask.
        futures = [client.submit(write, job, shard, pure=False) for shard in missing]
        for future in as_completed(futures):
            future.result()


if __name__ == "__main__":
    job, found = arguments(__doc__)
    run(job, found.workers, found.address)
    print(finish(job))
