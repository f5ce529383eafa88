"""The options of `fsvae-train`."""

import argparse
import math

import torch

from .checkpoint import HALF_FROM
from .errors import InputError
from .network import MOST_HIDDEN
from .precision import PRECISIONS


def parse(description, arguments=None):
    """What was asked for; `InputError` where no run can have it."""
    a = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    g = a.add_argument_group("data")
    g.add_argument(
        "--data", required=True, help=".npz with uint8 `train` [N, side, side(, 3)], a folder or a zip of pictures"
    )
    g.add_argument("--side", type=int, help="resize pictures to this side, a power of two (32; an .npz has its own)")
    colour = g.add_mutually_exclusive_group()
    colour.add_argument("--grey", action="store_const", const=True, dest="grey", help="pictures as 1 channel")
    colour.add_argument(
        "--rgb", action="store_const", const=False, dest="grey", help="pictures as 3 channels (default: as they are)"
    )
    g.add_argument("--flip", action="store_true", help="mirror half of the images")
    g = a.add_argument_group("network")
    g.add_argument(
        "--family",
        choices=["fsvae", "esvae"],
        default="fsvae",
        help="how latent spikes are drawn: by autoregressive networks, or by a rate for each channel (%(default)s)",
    )
    g.add_argument("--time-steps", type=int, default=16, help="T (%(default)s)")
    g.add_argument("--latent", type=int, default=128, help="latent channels C (%(default)s)")
    g.add_argument("--k", type=int, default=20, help="neurons a latent channel, of FSVAE (%(default)s)")
    g.add_argument("--width", type=int, default=32, help="channels of the first encoder layer (%(default)s)")
    g.add_argument(
        "--hidden",
        type=int,
        nargs="+",
        default=[],
        metavar="N",
        help="widths of one or two hidden layers in front of an ESVAE's rates: samples hang together better (none)",
    )
    g.add_argument("--warm-start", metavar="FILE", help="begin with the weights of this checkpoint")
    g.add_argument(
        "--readout-scale",
        type=float,
        default=0.1,
        metavar="X",
        help="scale of the last layer's first weights; 1 is PyTorch's, which saturates tanh (%(default)s)",
    )
    g = a.add_argument_group("recipe")
    g.add_argument("--epochs", type=float, default=150, help="%(default)s")
    g.add_argument("--images", type=int, help="budget in images seen, instead of epochs")
    g.add_argument("--minutes", type=float, help="budget in minutes, instead of epochs")
    g.add_argument("--batch", type=int, default=250, help="%(default)s")
    g.add_argument("--lr", type=float, default=1e-3, help="AdamW's rate (%(default)s)")
    g.add_argument("--schedule", choices=["constant", "cosine"], default="cosine", help="of the rate (%(default)s)")
    g.add_argument(
        "--warmup", type=int, default=0, metavar="N", help="raise the rate over the first N images (%(default)s)"
    )
    g.add_argument("--weight-decay", type=float, default=1e-3, help="%(default)s")
    g.add_argument(
        "--ema", type=float, default=0.0, metavar="D", help="average the weights, D of them kept each step (off)"
    )
    g.add_argument(
        "--loss", choices=["mmd", "kld"], default="mmd", help="what ties FSVAE's posterior to its prior (%(default)s)"
    )
    g.add_argument("--prior-weight", type=float, metavar="X", help="of that loss (mmd: 1, kld: 1e-4, ESVAE: 1e-3)")
    g.add_argument(
        "--samples-weight",
        type=float,
        default=0.0,
        metavar="X",
        help="of a loss that compares samples with pictures, for a smaller FAED; for the end of the training, with "
        "--warm-start; 3 is usual (off)",
    )
    g.add_argument(
        "--views-images",
        type=int,
        default=150_000,
        metavar="N",
        help="pictures that each of two autoencoders learns from first, by which that loss sees (%(default)s)",
    )
    g.add_argument(
        "--critic-weight",
        type=float,
        default=0.0,
        metavar="X",
        help="of a loss by critics, which learn to tell samples and reconstructions from pictures: details come out "
        "instead of their average, for a larger MSE; for the end of the training, with --warm-start, best on a GPU; "
        "0.0033 is usual (off)",
    )
    g.add_argument(
        "--only-prior",
        action="store_true",
        help="train what draws samples and nothing else: with --warm-start, reconstructions stay as they are",
    )
    g.add_argument(
        "--spikes-weight",
        type=float,
        default=0.0,
        metavar="X",
        help="of what spikes cost, as a share of the multiply-adds of a network that computes zeros too: fewer spikes, "
        "less work for an image; 8 is much (off)",
    )
    g.add_argument(
        "--scheduled",
        type=float,
        nargs=2,
        default=[0.1, 0.3],
        metavar=("FROM", "TO"),
        help="probability that the prior sees its own draw from step 6 on (0.1 0.3)",
    )
    g.add_argument(
        "--short",
        type=float,
        nargs=2,
        action="append",
        default=[],
        metavar=("STEPS", "UNTIL"),
        help="train with only so many time steps, which takes less time, until that share of the budget is spent; "
        "once or several times (off)",
    )
    g.add_argument("--seed", type=int, default=0)
    g = a.add_argument_group("run")
    g.add_argument("--out", required=True, help="checkpoint to write, NAME.safetensors")
    g.add_argument("--resume", action="store_true", help="go on from NAME.state if it is there")
    g.add_argument("--save-minutes", type=float, default=5, help="save this often (%(default)s)")
    g.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    g.add_argument("--threads", type=int, help="CPU threads (all)")
    g.add_argument(
        "--precision",
        choices=["auto", *PRECISIONS],
        default="auto",
        help="of what the layers compute and keep; auto: the faster, found by a trial and kept (%(default)s)",
    )
    g.add_argument(
        "--sharpen",
        type=float,
        default=1.0,
        metavar="X",
        help="scale the last layer in what is written, not in what is trained: above 1, what the network is unsure of "
        "comes out sharp rather than grey, for a larger MSE and, to a point, a smaller FAED (%(default)s)",
    )
    g.add_argument(
        "--keep-f32", action="store_true", help=f"do not round tensors of more than {HALF_FROM} elements to f16"
    )
    a = a.parse_args(arguments)
    amounts = ["batch", "sharpen", "k", "latent", "width", "epochs", "save_minutes", "minutes", "images", "threads"]
    for name in [*amounts, "views_images"]:
        value = getattr(a, name)
        if value is not None and value <= 0:
            raise InputError(f"--{name.replace('_', '-')}: expected more than 0, found {value}")
    for steps, until in a.short:
        if not (1 <= steps <= a.time_steps and steps == int(steps) and 0 <= until <= 1):
            raise InputError(
                f"--short: expected 1 to {a.time_steps} time steps and a share from 0 to 1, found {steps:g} {until:g}"
            )
    for name in ["samples_weight", "critic_weight", "spikes_weight"]:
        if not 0 <= getattr(a, name) < math.inf:
            raise InputError(f"--{name.replace('_', '-')}: expected 0 or more, found {getattr(a, name):g}")
    if a.only_prior and not a.warm_start:
        raise InputError("--only-prior: expected --warm-start with the network whose prior is to learn")
    if a.hidden and (a.family != "esvae" or len(a.hidden) > MOST_HIDDEN or min(a.hidden) < 1):
        widths = " ".join(map(str, a.hidden))
        raise InputError(f"--hidden: expected 1 to {MOST_HIDDEN} widths from 1 on, with --family esvae, found {widths}")
    if a.k > 255:
        raise InputError(f"--k: expected 1 to 255, found {a.k}")
    return a
