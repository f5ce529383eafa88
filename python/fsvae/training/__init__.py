"""Training of spiking variational autoencoders with PyTorch: what `fsvae-train` and its sisters are made of.

`FSVAE` and `ESVAE` are the networks, `load` reads one from a checkpoint; `fsvae.Network.from_state_dict` runs it. The
modules `train`, `evaluate`, `fit_prior` and `compare` are the programs.
"""

try:
    import torch  # noqa: F401
except ImportError as error:
    raise ImportError("fsvae.training needs PyTorch and a few small packages: pip install 'fsvae[train]'") from error

from .checkpoint import load
from .errors import InputError
from .network import ESVAE, FSVAE

__all__ = ["ESVAE", "FSVAE", "InputError", "load"]
