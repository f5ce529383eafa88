"""How far samples are from pictures, as a loss that says in which direction to go.

Two small autoencoders learn the pictures first. What they see in a picture are their features and their layers, the
layers in random directions. Two batches are compared view by view, with the sliced Wasserstein distance: the mean
squared difference of the sorted values along random directions. Each view counts twice: scaled as a whole, where what
differs most among pictures counts most, and whitened, where all counts alike.

The autoencoders are no part of the papers' FAED, and never see a test picture.
"""

import torch
import torch.nn.functional as F

from .autoencoder import Autoencoder, fit

#: Features of each autoencoder: two that see different things.
FEATURES = (48, 64)
#: Directions in which a layer is seen, and in which two batches are compared.
WIDTH, DIRECTIONS = 128, 64
#: The whitened view's share, and the least variance that is whitened, of the largest.
WHITENED, LEAST = 0.5, 1e-3
#: Pictures by which the views are scaled.
SCALED_BY = 2000


def sliced(a, b, generator):
    """Squared sliced Wasserstein distance of two batches `[N, n]`."""
    directions = torch.randn(a.shape[1], DIRECTIONS, generator=generator, device=a.device)
    directions = F.normalize(directions, dim=0)
    return ((a @ directions).sort(0).values - (b @ directions).sort(0).values).square().mean()


class Views:
    """What trained autoencoders see in pictures like `images`, uint8 `[N, channels, side, side]`."""

    def __init__(self, autoencoders, images, device="cpu"):
        self.autoencoders = [net.eval().requires_grad_(False).to(device) for net in autoencoders]
        for net in self.autoencoders:
            net.zero_grad()
        # The same in every run, for a resumed one must see the same.
        self.directions, self.random = {}, torch.Generator().manual_seed(1)
        with torch.no_grad():
            some = torch.from_numpy(images[:: max(1, len(images) // SCALED_BY)][:SCALED_BY])
            seen = self.raw(some.to(device).float() / 127.5 - 1)
            self.scales = []
            for view in seen:
                values, vectors = torch.linalg.eigh(torch.cov(view.T))
                white = vectors / values.clamp_min(values.max().clamp_min(1e-12) * LEAST).sqrt()
                self.scales.append((view.mean(0), view.var(0).mean().clamp_min(1e-12).rsqrt(), WHITENED * white))

    @classmethod
    def trained(cls, images, count, seed, flip=False, device="cpu"):
        """With autoencoders that learn from `count` pictures each, mirrored at random with `flip`."""
        nets = []
        for i, features in enumerate(FEATURES):
            torch.manual_seed(seed + i)
            net = Autoencoder(images.shape[1], images.shape[2], features).to(device, memory_format=torch.channels_last)
            size = min(100, len(images))
            fit(net, images.transpose(0, 2, 3, 1), count, size=size, seed=seed + i, flip=flip, device=device)
            nets.append(net)
        return cls(nets, images, device)

    @classmethod
    def restored(cls, states, images, device="cpu"):
        nets = []
        for state, features in zip(states, FEATURES, strict=True):
            net = Autoencoder(images.shape[1], images.shape[2], features)
            net.load_state_dict(state)
            nets.append(net.to(memory_format=torch.channels_last))
        return cls(nets, images, device)

    def state(self):
        return [net.state_dict() for net in self.autoencoders]

    def raw(self, x):
        seen = []
        for i, net in enumerate(self.autoencoders):
            y = x
            for j, block in enumerate(net.encoder):
                y = block(y)
                if j > 0:
                    flat = y.flatten(1)
                    if (i, j) not in self.directions:
                        drawn = torch.randn(flat.shape[1], WIDTH, generator=self.random) / flat.shape[1] ** 0.5
                        self.directions[i, j] = drawn.to(x.device)
                    seen.append(flat @ self.directions[i, j])
            seen.append(net.latent_layer(y.flatten(1)))
        return seen

    def __call__(self, x):
        """Views `[N, n]` of pictures `[N, channels, side, side]` in [-1, 1]."""
        views = []
        for view, (mean, scale, white) in zip(self.raw(x), self.scales, strict=True):
            views += [(view - mean) * scale, (view - mean) @ white]
        return views

    def distance(self, seen, x, generator):
        """Of pictures whose views are `seen` to the pictures `x`, as many."""
        return sum(sliced(a, b, generator) for a, b in zip(self(x), seen, strict=True)) / len(seen)
