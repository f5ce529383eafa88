"""Prints the rows that the tests compare with, made by the oracle.

    python tests/oracle/rows.py DIRECTORY tests/conformance.rows src/network.rows src/verify/layers.rows

DIRECTORY holds the random models, written by
FSVAE_WRITE_MODELS=DIRECTORY cargo test --release --test conformance -- --ignored

tests/conformance.rows: MODEL generate SEED INDEX IMAGE and MODEL reconstruct:INPUT SEED INDEX IMAGE Z,
where IMAGE is the SHA-256 of the u8 pixels and Z that of the latent spikes, u8 [T, C].
src/network.rows: MODEL LAYER SHA256 of the layer's weights, biases, thresholds and exponents as
little-endian int64 in the checkpoint's order of axes, outputs first; logits E SHA256 of an ESVAE's table, alike.
src/verify/layers.rows: MODEL LAYER SHA256 of what every layer gives for two images, encoded (noise and ramp) and
generated, indices 0 and 1 of seed 7: spike trains as little-endian u32 [images, y, x, channels], bit t = time step t;
of the last layer u8 pixels.
"""
import hashlib, os, sys

import numpy as np
from safetensors.numpy import load_file

from oracle import Machine, logits

HERE = os.path.dirname(os.path.abspath(__file__))
LAST = 2**64 - 1
# Around the carries of both 32-bit halves, and at both ends.
RANDOM = [(0, 0), (7, 1), (7, 2**32 - 1), (7, 2**32), (7, 2**32 + 1), (2**32 - 1, 2**32), (2**32, 2**32 - 1), (LAST, LAST - 1), (LAST, LAST)]
SHIPPED = [(7, i) for i in range(16)] + [(0, 0), (2**32, 2**32 - 1), (2**32, 2**32), (LAST, LAST)]
UNIFORM = [0, 1, 37, 127, 128, 254, 255]


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def inputs(machine, side, channels):
    """Name and image: uniform ones, where a membrane may graze its threshold, patterns, own samples."""
    y, x, c = np.mgrid[:side, :side, :channels]
    for level in UNIFORM:
        yield f"uniform{level}", np.full((side, side, channels), level, np.uint8)
    yield "ramp", ((7 * x + 13 * y + 29 * c) % 256).astype(np.uint8)
    yield "noise", (((374761393 * x + 668265263 * y + 2246822519 * c + 12345) % 2**32 * 2654435761 % 2**32) >> 24).astype(np.uint8)
    yield "disc", np.where((2 * x - side) ** 2 + (2 * y - side) ** 2 < side**2 // 2, 255, 0).astype(np.uint8)
    for index in range(8):
        yield f"sample{index}", machine.generate(0, index)


def words(spikes):
    """(T, channels, H, W) or (T, channels) to u32 [H, W, channels]."""
    steps = np.left_shift(1, np.arange(len(spikes)), dtype=np.int64)
    return np.moveaxis(np.tensordot(steps, spikes, 1), 0, -1).astype("<u4")


def layers(name, machine, size, file):
    """What every layer gives, of two images."""
    patterns, found = dict(inputs(machine, *size)), {}
    n = len(machine.enc)
    for index, pattern in enumerate(("noise", "ramp")):
        trace = []
        encoded = machine.encode(patterns[pattern], trace)
        z = machine.draw_posterior(encoded, 7, index)
        keep = [(f"encoder.{i}", words(layer)) for i, layer in enumerate(trace)]
        keep += [("before_latent_layer", words(encoded)), ("posterior", words(z))]
        trace, z = [], machine.draw_prior(7, index)
        image = machine.decode(z, trace)
        keep += [("prior", words(z)), ("decoder_input", words(trace[0].reshape(machine.T, machine.h, 2, 2)))]
        keep += [(f"decoder.{i}" if i < n - 1 else "final_layer.0", words(layer)) for i, layer in enumerate(trace[1:])]
        keep += [("final_layer.1", image)]
        for layer, numbers in keep:
            found.setdefault(layer, []).append(numbers)
    for layer, numbers in found.items():
        print(name, layer, digest(np.stack(numbers)), file=file)


def rows(name, path, draws, conformance, network, known):
    tensors = load_file(path)
    machine = Machine(tensors)
    for seed, index in draws:
        print(name, "generate", seed, index, digest(machine.generate(seed, index)), file=conformance)
    image = machine.generate(0, 0)
    rates = []
    for n, (kind, image) in enumerate(inputs(machine, image.shape[0], image.shape[2])):
        seed, index = draws[n % len(draws)]
        encoded = machine.encode(image)
        z = machine.draw_posterior(encoded, seed, index)
        rates.append([encoded.mean(), z.mean()])
        print(name, f"reconstruct:{kind}", seed, index, digest(machine.decode(z)), digest(z.astype(np.uint8)), file=conformance)
    print(name, "spike rates of the encoder's output and z", np.mean(rates, 0).round(2), file=sys.stderr)

    n = len(machine.enc)
    integers = {f"encoder.{i}": layer for i, layer in enumerate(machine.enc)}
    integers["before_latent_layer"] = machine.latent
    if machine.rates:
        for i, (weights, bias, exponent) in enumerate(machine.rate):
            integers[f"sample_layer.{2 * i}"] = weights, bias, np.full(len(bias), exponent)
    else:
        integers |= {f"posterior.layers.{i}": layer for i, layer in enumerate(machine.post)}
        integers |= {f"prior.layers.{i}": layer for i, layer in enumerate(machine.prior)}
    integers["decoder_input"] = machine.dec_in
    integers |= {f"decoder.{i}" if i < n - 1 else "final_layer.0": layer for i, layer in enumerate(machine.dec)}
    integers["final_layer.1"] = (*machine.fin, machine.K, machine.pix)
    if isinstance(name, str):
        layers(name, machine, machine.generate(0, 0).shape[::2], known)
        for layer, parts in integers.items():
            numbers = np.concatenate([np.asarray(part, "<i8").ravel() for part in parts])
            print(name, layer, digest(numbers), file=network)


if __name__ == "__main__":
    with open(sys.argv[2], "w") as conformance, open(sys.argv[3], "w") as network, open(sys.argv[4], "w") as known:
        for name in ("mnist", "fashion", "faces", "faces-esvae", "mnist-esvae", "fashion-esvae", "cifar10-esvae", "thumbs-esvae"):
            rows(name, f"{HERE}/../../assets/{name}/{name}.safetensors", SHIPPED, conformance, network, known)
        for exponent in range(8, 28):
            print("logits", exponent, digest(logits(exponent).astype("<i8")), file=network)
        for i in range(len(os.listdir(sys.argv[1]))):
            rows(i, f"{sys.argv[1]}/{i}.safetensors", RANDOM, conformance, network, known)
