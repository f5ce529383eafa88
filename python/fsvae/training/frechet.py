"""The Frechet distance of two sets of features, and the features of an autoencoder's encoder."""

import numpy as np
import torch
import torch.nn.functional as F

from .checkpoint import tensors
from .errors import InputError


def distance(mu, sigma, mu_real, sigma_real):
    # The trace of the root of sigma @ sigma_real, by a symmetric matrix of the same eigenvalues: fewer images than
    # features make the product singular, and a general root of that is a warning or complex.
    values, vectors = np.linalg.eigh(sigma)
    half = vectors * np.sqrt(values.clip(0)) @ vectors.T
    shared = np.sqrt(np.linalg.eigvalsh(half @ sigma_real @ half).clip(0)).sum()
    return float((mu - mu_real) @ (mu - mu_real) + np.trace(sigma + sigma_real) - 2 * shared)


def moments(features):
    features = np.concatenate(features).astype(np.float64)
    return features.mean(0), np.cov(features, rowvar=False)


@torch.inference_mode()
def autoencoder_features(path, images):
    """Convolutions of stride 2 with batch norm and leaky ReLU, then a linear layer: as many as the file has."""
    w = {name: value.float() for name, value in tensors(path).items()}
    layers = [f"encoder.{i}." for i in range(64) if f"encoder.{i}.0.weight" in w]
    if not layers or "latent_layer.weight" not in w:
        raise InputError(
            f"{path}: expected encoder.0.0.weight and latent_layer.weight, found {', '.join(sorted(w)[:4])} ..."
        )
    channels = w[layers[0] + "0.weight"].shape[1]
    if channels != images.shape[3]:
        raise InputError(f"{path}: takes {channels} channels, the model makes {images.shape[3]}")
    result = []
    for i in range(0, len(images), 250):
        x = torch.from_numpy(images[i : i + 250]).float().permute(0, 3, 1, 2) / 127.5 - 1
        for p in layers:
            x = F.conv2d(x, w[p + "0.weight"], w[p + "0.bias"], 2, 1)
            norm = [w[p + "1." + name] for name in ("running_mean", "running_var", "weight", "bias")]
            x = F.leaky_relu(F.batch_norm(x, *norm))
        result.append(F.linear(x.flatten(1), w["latent_layer.weight"], w["latent_layer.bias"]).numpy())
    return result


def faed(autoencoder, statistics, images):
    """The paper's: to the moments in a file."""
    try:
        with np.load(statistics) as real:
            mu, sigma = real["mu"], real["sigma"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{statistics}: expected an .npz with mu and sigma: {error}") from None
    return distance(*moments(autoencoder_features(autoencoder, images)), mu, sigma)
