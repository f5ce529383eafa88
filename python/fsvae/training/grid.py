"""Hidden layers in front of an ESVAE's rates, rounded so that `fsvae` has nothing to round.

A hidden unit gives whole spikes: a floor, and weights that are rounded when `fsvae` loads them come out on its other
side, now and then (8 of 163,840 spikes of a trained model were others than PyTorch's). So what is written lies on the
contract's grid already (integer machine, section 8b): PyTorch, in double precision, and `fsvae` then give the same spikes
of every unit.
"""

import math

#: Bound on a current, and the exponents there are.
LIMIT, EXPONENTS = 3 * 2.0**29 - 2.0**16, range(27, 7, -1)
#: The largest input, and what makes 1 of it: of the first layer, counted bits, and of those behind it, units' spikes.
NORMALS, UNITS = (64.0, math.sqrt(32)), (255.0, 64.0)
#: Of a step of the grid: the sum that PyTorch takes of currents lies beside it, and never at a unit's edge.
BESIDE = 0.25


def layers(state):
    """The names of an ESVAE's layers in front of its rates, the last of which has no units."""
    names = [f"sample_layer.{i}" for i in (0, 2, 4)]
    return [name for name in names if f"{name}.weight" in state]


def exponent(weight, bias, most):
    """The contract's, of weights `[outputs, inputs]` for whole numbers up to `most`; None where no exponent will do."""
    for e in EXPONENTS:
        sums = most * (weight * 2.0**e).round().abs().sum(1) + (bias * 2.0**e).round().abs()
        if (sums < LIMIT).all():
            return e
    return None


def on_grid(state):
    """The state dict with its hidden layers on the grid, in float32. What is out of range stays: `fsvae` says so."""
    state = dict(state)
    for i, name in enumerate(layers(state)[:-1]):
        most, one = NORMALS if i == 0 else UNITS
        weight, bias = (state[f"{name}.{part}"].double() for part in ("weight", "bias"))
        weight = weight / one
        e = exponent(weight, bias, most)
        if e is None:
            continue
        step = 2.0**-e
        state[f"{name}.weight"] = ((weight / step).round() * step * one).float()
        state[f"{name}.bias"] = (((bias / step).round() + BESIDE) * step).float()
    return state


def kept(state):
    """Tensors that f16 cannot hold on the grid: the first layer's, whose numbers are no fractions of 2."""
    return {f"{name}.weight" for name in layers(state)[:-1][:1]}
