"""The runtime that trained networks are measured with: `fsvae` itself."""

from pathlib import Path

import fsvae

from .errors import InputError

BACKENDS = ("auto", "gpu", "cpu")


def generator(model, backend):
    """A generator of the checkpoint `model`, which is a file and no bundled model's name."""
    try:
        return fsvae.Generator(fsvae.Network.open(Path(model)), backend=backend)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(str(error)) from None
