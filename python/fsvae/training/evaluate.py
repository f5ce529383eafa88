"""Measures a checkpoint as the paper does and prints the model card's table.

    fsvae-evaluate mnist.safetensors --data mnist32.npz
    fsvae-evaluate mnist.safetensors --data mnist32.npz --autoencoder mnist_64.safetensors \\
        --statistics mnist_test_64.npz --inception inception.pt --card assets/mnist/README.md

What is measured is what ships: images come from `fsvae.Generator`. The spike rates and operation counts
come from the float network of network.py, on reconstructions of test images.

- Reconstruction MSE: of test images, values in [-1, 1].
- FAED: Frechet distance between the features of samples and of real images (`--statistics`, arrays `mu` and
  `sigma`) in a convolutional autoencoder (`--autoencoder`), by default over 5,000 samples.
- Colour feature distance, of models that make colour: the like of it in an autoencoder of our own, to all of `test`.
  It is not the paper's FAED: see colour.py.
- FID and Inception Score: with `--inception`, a TorchScript Inception network as published with StyleGAN: called
  with uint8 [N, 3, H, W] it gives probabilities, with `return_features=True` features. Real images are `test`.
- Operations: see operations.py.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from . import colour, frechet, operations, pictures, runtime
from .checkpoint import load, replace
from .errors import InputError, reported

BEGIN, END = "<!-- measured by evaluate.py -->", "<!-- end -->"


def samples(generator, count):
    """uint8 `[count, side, side, channels]`: seed 0, indices 0 to count - 1."""
    return np.asarray(generator.generate(seed=0, count=count))


def reconstruction_error(generator, images):
    """Mean squared error, values in [-1, 1], of images uint8 `[n, side, side, channels]`: seed 0, index n the n-th."""
    difference = (np.asarray(generator.reconstruct(images)).astype(np.float64) - images) / 127.5
    return float(np.square(difference).mean())


@torch.inference_mode()
def inception(path, images, device):
    """Features and class probabilities of uint8 `[N, side, side, 1 or 3]`."""
    try:
        net = torch.jit.load(path, map_location=device).eval()
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{path}: not a TorchScript file: {str(error).splitlines()[0]}") from None
    features, probabilities = [], []
    for i in range(0, len(images), 100):
        x = torch.from_numpy(images[i : i + 100]).permute(0, 3, 1, 2).expand(-1, 3, -1, -1).to(device)
        features.append(net(x, return_features=True).cpu().numpy())
        probabilities.append(net(x).cpu().numpy())
    return features, np.concatenate(probabilities).astype(np.float64)


def inception_score(p, splits=10):
    scores = []
    for part in np.array_split(p, splits):
        mean = part.mean(0)
        scores.append(np.exp((part * (np.log(part + 1e-16) - np.log(mean + 1e-16))).sum(1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def layers_table(rows):
    lines = [
        "| layer | neurons | spikes a neuron and step | additions an image | multiply-adds if dense |",
        "|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        rate = "" if row["rate"] is None else f"{row['rate']:.3f}"
        lines.append(f"| {name} | {row['neurons'] or ''} | {rate} | {row['additions']:,.0f} | {row['dense']:,.0f} |")
    return lines


def counts(name, rows):
    amounts = [operations.total(rows, what) / 1e6 for what in ("additions", "multiplications", "dense")]
    found = "{:.1f} M additions, {:.1f} M multiplications ({:.0f} M multiply-adds if dense)".format(*amounts)
    return f"| operations, {name} of an image | {found} |"


def measure(a):
    """Yields the lines of the card's table as they are known."""
    net = load(a.model)
    test = pictures.for_network(a.data, "test", net)
    real = test[: a.images]
    yield "| measured | |"
    yield "|---|---|"
    generator = runtime.generator(a.model, a.backend)
    error = reconstruction_error(generator, np.ascontiguousarray(real.transpose(0, 2, 3, 1)))
    yield f"| reconstruction MSE, first {len(real):,} test images | {error:.4f} |"
    coloured = net.channels == 3 and len(test) > 1
    made = samples(generator, a.samples) if a.autoencoder or a.inception or coloured else None
    where = f"{a.samples:,} samples (seed 0, indices 0 to {a.samples - 1})"
    if a.autoencoder:
        yield f"| Frechet autoencoder distance, {where} | {frechet.faed(a.autoencoder, a.statistics, made):.1f} |"
    if coloured:
        distance = colour.distance(made, test.transpose(0, 2, 3, 1))
        yield f"| {colour.NAME} to {len(test):,} test images, {where} | {distance:.2f} |"
    if a.inception:
        features, probabilities = inception(a.inception, made, a.device)
        real_features, _ = inception(a.inception, test.transpose(0, 2, 3, 1), a.device)
        distance = frechet.distance(*frechet.moments(features), *frechet.moments(real_features))
        yield f"| Frechet Inception distance to {len(test):,} test images, {where} | {distance:.1f} |"
        score, deviation = inception_score(probabilities)
        yield f"| Inception Score, {where} | {score:.2f} +- {deviation:.2f} |"
    draws = torch.Generator().manual_seed(0)
    generated = operations.generation(net, a.counted, draws)
    pixels = torch.from_numpy(real[: a.counted]).float() / 127.5 - 1
    reconstructed = operations.reconstruction(net, pixels, draws)
    yield counts("generation", generated)
    yield counts("reconstruction", reconstructed)
    yield ""
    parts = "those of a generated image, then the encoder's and posterior's of a reconstruction"
    yield f"Layer by layer, over {a.counted} images: {parts}."
    yield ""
    yield from layers_table(generated | {n: r for n, r in reconstructed.items() if n not in generated})


def write_card(path, lines):
    """Puts the lines between the marks of the card."""
    text = Path(path).read_text()
    if BEGIN not in text or END not in text:
        raise InputError(f"{path}: expected the lines {BEGIN} and {END}")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    replace(path, lambda beside: Path(beside).write_text("\n".join([before + BEGIN, *lines, END + after])))


def main(arguments=None):
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("model", help="checkpoint, .safetensors")
    a.add_argument("--data", required=True, help="as fsvae-train's; its part `test` is used")
    a.add_argument(
        "--backend",
        choices=runtime.BACKENDS,
        default="auto",
        help="where the images are made; the pixels are the same (%(default)s)",
    )
    a.add_argument("--images", type=int, default=1000, help="test images to reconstruct (%(default)s)")
    a.add_argument("--samples", type=int, default=5000, help="images to generate (%(default)s)")
    a.add_argument("--counted", type=int, default=64, help="images over which operations are counted (%(default)s)")
    a.add_argument("--autoencoder", metavar="FILE", help="the features of the FAED, .safetensors")
    a.add_argument("--statistics", metavar="FILE", help="mu and sigma of real images for it, .npz")
    a.add_argument("--inception", metavar="FILE", help="TorchScript Inception network")
    a.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="for Inception (%(default)s)")
    a.add_argument("--card", metavar="FILE", help="Markdown file in which to replace the table")
    a = a.parse_args(arguments)
    with reported(OSError):
        if bool(a.autoencoder) != bool(a.statistics):
            raise InputError("--autoencoder and --statistics: expected both or none")
        for name in ("images", "samples", "counted"):
            if getattr(a, name) < 2:
                raise InputError(f"--{name}: expected at least 2, found {getattr(a, name)}")
        lines = []
        for line in measure(a):
            print(line, flush=True)
            lines.append(line)
        if a.card:
            write_card(a.card, lines)


if __name__ == "__main__":
    main()
