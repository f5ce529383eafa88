"""Which precision trains faster on this machine: found by a trial of two seconds or little more."""

import time

PRECISIONS = ("float32", "bfloat16")
#: The share of the time that bfloat16 must save to be taken: it rounds what the layers keep, and timings scatter.
MARGIN = 0.1


def trial(step, seconds=2.0, clock=time.perf_counter):
    """Seconds that `step(precision)` takes in each precision, the least of several times by turns."""
    for precision in PRECISIONS:
        step(precision)  # compiles kernels, fetches memory
    times = {precision: [] for precision in PRECISIONS}
    start = clock()
    while len(times["float32"]) < 2 or clock() - start < seconds:
        for precision in PRECISIONS:
            before = clock()
            step(precision)
            times[precision].append(clock() - before)
    return {precision: min(found) for precision, found in times.items()}


def faster(times):
    """The precision to train in, by what `trial` found."""
    return "bfloat16" if times["bfloat16"] < (1 - MARGIN) * times["float32"] else "float32"
