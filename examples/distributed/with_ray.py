"""A range of images by Ray: actors that hold a generator each.

    python with_ray.py --model faces --seed 7 --count 1000000 --out faces --workers 8

`--gpus 1` reserves a GPU for each, on machines of one GPU: Ray's choice among several does not reach fsvae, which takes
the fastest. More workers than Ray has GPUs for wait for ever.

An actor that is lost is started again, and what it was at is done again.
"""

from __future__ import annotations

from collections.abc import Callable

import ray
from ray.util import ActorPool
from shards import Job, arguments, finish, write_shard


@ray.remote(max_restarts=-1, max_task_retries=-1)
class Worker:
    """Makes shards, with a generator that it keeps."""

    def __init__(self, write: Callable[[Job, int], int]) -> None:
        self._write = write

    def write(self, job: Job, shard: int) -> int:
        return self._write(job, shard)


def run(
    job: Job,
    workers: int,
    address: str | None = None,
    gpus: float = 0,
    write: Callable[[Job, int], int] = write_shard,
) -> None:
    """Makes the shards of `job` that are missing."""
    missing = job.missing()
    if not missing:
        return
    # A cluster of this machine needs no page for a browser, and little memory for objects: there are none.
    local = {} if address else {"num_cpus": workers, "include_dashboard": False, "object_store_memory": 100 << 20}
    with ray.init(address=address, **local):
        pool = ActorPool([Worker.options(num_cpus=1, num_gpus=gpus).remote(write) for _ in range(workers)])
        for _ in pool.map_unordered(lambda worker, shard: worker.write.remote(job, shard), missing):
            pass


if __name__ == "__main__":
    job, found = arguments(__doc__)
    run(job, found.workers, found.address, found.gpus)
    print(finish(job))
