"""Prints the rows of tests/rates.rs: images that are steered (src/integer_machine.md, section 8).

    python tests/oracle/steering.py DIRECTORY tests/rates.rows

DIRECTORY holds the random models, as for rows.py. Each row: MODEL TASK SEED INDEX NUMBERS Z IMAGE, SHA-256 of the rates
(u16, little-endian) or the direction (i32), of the latent spikes, u8 [T, C], and of the u8 pixels. Tasks:

rates:INPUT                  drawn from an encoded picture's rates
mean                         drawn from the mean of all encoded pictures' rates
mix:STEP/STEPS               drawn from a mixture of noise and disc
prior:AMOUNT                 what the prior draws, along the direction from uniform pictures to patterns
posterior:INPUT:AMOUNT       what the posterior draws, along the same

A picture that only gives rates has its place in the list as its index, and the row's seed.
"""
import sys

import numpy as np
from safetensors.numpy import load_file

from oracle import Machine, mean, mixture
from rows import HERE, LAST, digest, inputs

MODELS = ["faces-esvae", "1", "5", "12", "15", "18", "24"]
DRAWS = [(7, 0), (2**32, 2**32 - 1), (LAST, LAST)]
AMOUNTS = [0, 0.5, 1.5, -1, 0.001953125, -300.25]


def steered(name, path, file):
    machine = Machine(load_file(path))
    image = machine.generate(0, 0)
    pictures = dict(list(inputs(machine, image.shape[0], image.shape[2]))[:10])

    def row(task, seed, index, numbers, kind, z):
        image = machine.decode(z)
        print(name, task, seed, index, digest(numbers.astype(kind)), digest(z.astype(np.uint8)), digest(image), file=file)

    for seed, index in DRAWS:
        rates = {n: machine.encoded_rates(picture, seed, i) for i, (n, picture) in enumerate(pictures.items())}
        drawn = {f"rates:{n}": rates[n] for n in ("noise", "uniform128")}
        drawn["mean"] = mean(list(rates.values()))
        drawn |= {f"mix:{s}/{S}": mixture(rates["noise"], rates["disc"], s, S) for s, S in [(0, 4), (1, 4), (1, 3), (7, 8)]}
        for task, numbers in drawn.items():
            row(task, seed, index, numbers, "<u2", machine.draw_rates(numbers, seed, index))
        uniform = mean([numbers for n, numbers in rates.items() if n.startswith("uniform")])
        direction = mean([rates[n] for n in ("ramp", "noise", "disc")]) - uniform
        prior = machine.draw_prior(seed, index)
        posterior = machine.draw_posterior(machine.encode(pictures["ramp"]), seed, index)
        for amount in AMOUNTS:
            row(f"prior:{amount}", seed, index, direction, "<i4", machine.along(prior, direction, amount, seed, index))
        row("posterior:ramp:-2.5", seed, index, direction, "<i4", machine.along(posterior, direction, -2.5, seed, index))


with open(sys.argv[2], "w") as file:
    for name in MODELS:
        shipped = f"{HERE}/../../assets/{name}/{name}.safetensors"
        steered(name, f"{sys.argv[1]}/{name}.safetensors" if name.isdigit() else shipped, file)
