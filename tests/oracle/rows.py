"""Prints the rows of tests/conformance.rows: MODEL SEED INDEX SHA256, made by the oracle.

    python tests/oracle/rows.py DIRECTORY > tests/conformance.rows

DIRECTORY holds the random models, written by
FSVAE_WRITE_MODELS=DIRECTORY cargo test --release --test conformance -- --ignored
"""
import hashlib, os, sys

import numpy as np
from safetensors.numpy import load_file

from oracle import Machine

HERE = os.path.dirname(os.path.abspath(__file__))
LAST = 2**64 - 1
# Around the carries of both 32-bit halves, and at both ends.
RANDOM = [(0, 0), (7, 1), (7, 2**32 - 1), (7, 2**32), (7, 2**32 + 1), (2**32 - 1, 2**32), (2**32, 2**32 - 1), (LAST, LAST - 1), (LAST, LAST)]
SHIPPED = [(7, i) for i in range(16)] + [(0, 0), (2**32, 2**32 - 1), (2**32, 2**32), (LAST, LAST)]


def rows(name, path, draws):
    machine = Machine(load_file(path))
    rates = []
    for seed, index in draws:
        z = machine.sample(machine.prior, index, seed, 0)
        trace = []
        image = machine.decode(z, trace)
        rates.append([z.mean()] + [layer.mean() for layer in trace])
        print(name, seed, index, hashlib.sha256(image.tobytes()).hexdigest())
    mean = " ".join(f"{rate:.2f}" for rate in np.mean(rates, 0))
    print(f"{name}: spike rates of z and each decoder layer {mean}; pixels of the last {image.min()} to {image.max()}", file=sys.stderr)


for name in ("mnist", "fashion"):
    rows(name, f"{HERE}/../../assets/{name}.safetensors", SHIPPED)
for i in range(len(os.listdir(sys.argv[1]))):
    rows(i, f"{sys.argv[1]}/{i}.safetensors", RANDOM)
