"""Checkpoints: how they are read, and written so that a crash leaves the old file or the new one."""

import os

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from . import grid
from .errors import InputError
from .network import ESVAE, FSVAE

#: Tensors of more elements than that are rounded to f16.
HALF_FROM = 4096


def tensors(path):
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: not a readable safetensors file: {error}") from None


def load(path):
    """The float network of a checkpoint."""
    found = tensors(path)
    try:
        steps = found["membrane_output_layer.coef"].numel()
        latent = found["before_latent_layer.weight"].shape[0]
        depth = sum(name.startswith("encoder.") and name.endswith(".weight") and ".bn." not in name for name in found)
        width, channels = found["encoder.0.weight"].shape[:2]
        sizes = 2 ** (depth + 1), channels, steps, latent
        if "sample_layer.0.weight" in found:
            net = ESVAE(*sizes, width, hidden_widths(found))
            # The reference's files carry FSVAE's networks along.
            found = {name: value for name, value in found.items() if not name.startswith(("prior.", "posterior."))}
        else:
            net = FSVAE(*sizes, found["prior.layers.2.weight"].shape[0] // latent, width)
        net.load_state_dict(
            {name: value.float() if value.is_floating_point() else value for name, value in found.items()}
        )
    except (KeyError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: not an FSVAE or ESVAE checkpoint: {str(error).splitlines()[0]}") from None
    return net.eval()


def hidden_widths(found):
    """Of the hidden layers in front of an ESVAE's rates: linear layers take turns with what follows them."""
    return [found[f"{name}.weight"].shape[0] for name in grid.layers(found)[:-1]]


def replace(path, write):
    """Calls `write(beside)` and renames: whatever happens, `path` is the old file or the new one."""
    beside = f"{path}.part"
    write(beside)
    with open(beside, "rb") as file:
        os.fsync(file.fileno())
    # safetensors writes for the owner alone; everyone else expects what the umask says.
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(beside, 0o666 & ~mask)
    os.replace(beside, path)


def rounded(state, half):
    """A state dict as it is written: contiguous on the CPU, an ESVAE's hidden layers on the grid, large tensors in f16
    where that was asked."""

    def narrow(name, value):
        is_narrowed = half and value.dtype == torch.float32 and value.numel() > HALF_FROM and name not in wide
        return value.half() if is_narrowed else value

    state, wide = grid.on_grid(state), grid.kept(state)
    return {name: narrow(name, value.detach().cpu()).contiguous() for name, value in state.items()}


def load_weights(net, path):
    found = tensors(path)
    for name, value in net.state_dict().items():
        if name not in found or found[name].shape != value.shape:
            shape = list(found[name].shape) if name in found else "nothing"
            raise InputError(f"{path}: {name}: expected {list(value.shape)}, found {shape}")
    net.load_state_dict({name: found[name].to(value.dtype) for name, value in net.state_dict().items()})
