"""The precision to train in: found by a trial, kept by the run, without a trace in what is trained."""
import pytest
import torch

from fsvae.training import precision, trainer
from small import SMALL, equal

AUTO = [*SMALL[:-1], "auto"]


class Machine:
    """One that takes so many seconds for a step, by a clock of its own; the first steps take a hundred times as long."""

    def __init__(self, **seconds):
        self.seconds, self.now, self.ran = seconds, 0.0, []

    def step(self, name):
        self.now += self.seconds[name] * (1 if name in self.ran else 100)
        self.ran.append(name)

    def chosen(self):
        return precision.faster(precision.trial(self.step, clock=lambda: self.now))


@pytest.mark.parametrize("float32, bfloat16, expected", [
    (0.1, 0.05, "bfloat16"), (0.1, 0.12, "float32"), (0.1, 0.095, "float32"), (0.1, 0.085, "bfloat16"), (5.0, 3.0, "bfloat16"),
])
def test_bfloat16_has_to_be_clearly_faster(float32, bfloat16, expected):
    machine = Machine(float32=float32, bfloat16=bfloat16)
    assert machine.chosen() == expected
    # The first steps are not measured; then it takes two seconds, or two rounds where these are longer.
    measured = machine.now - 100 * (float32 + bfloat16)
    assert 2 <= measured <= max(2, float32 + bfloat16) + 2 * (float32 + bfloat16)


def test_what_hinders_a_step_or_two_decides_nothing():
    machine = Machine(float32=0.1, bfloat16=0.05)
    steps = []

    def hindered(name):
        machine.step(name)
        steps.append(name)
        machine.now += 0.3 if name == "bfloat16" and len(steps) in (4, 6) else 0

    assert precision.faster(precision.trial(hindered, clock=lambda: machine.now)) == "bfloat16"


def found(monkeypatch, times):
    """Trials find these times. Returns a list of how often there was one; each runs the steps, too."""
    trials = []

    def trial(step):
        trials.append([step(name) for name in times])
        return times

    monkeypatch.setattr(trainer, "trial", trial)
    return trials


@pytest.mark.parametrize("faster", precision.PRECISIONS)
def test_a_trial_leaves_no_trace_but_its_choice(faster, run, data, tmp_path, monkeypatch):
    trials = found(monkeypatch, {name: 0.02 - 0.01 * (name == faster) for name in precision.PRECISIONS})
    chosen, named = tmp_path / "chosen.safetensors", tmp_path / "named.safetensors"
    done = run("--data", data, "--images", 160, "--out", chosen, *AUTO)
    assert f"{faster}, by a trial of steps: float32" in done and f"torch.{faster}" in done and len(trials) == 1
    assert "by a trial" not in run("--data", data, "--images", 160, "--out", named, *SMALL[:-1], faster)
    assert equal(chosen, named)


def test_a_resumed_run_keeps_the_choice(run, data, tmp_path, monkeypatch):
    """The machine is busy otherwise when the run goes on: bfloat16 stays, and the weights are those of one run."""
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    state = tmp_path / "broken.state"
    recipe = ["--data", data, "--images", 160, "--schedule", "constant", "--scheduled", 0.2, 0.2]
    run(*recipe, "--out", whole, *SMALL[:-1], "bfloat16")
    found(monkeypatch, {"float32": 0.02, "bfloat16": 0.01})
    run(*recipe, "--out", broken, *AUTO, "--images", 80)
    assert torch.load(state, weights_only=True)["precision"] == "bfloat16"
    trials = found(monkeypatch, {"float32": 0.01, "bfloat16": 0.02})
    done = run(*recipe, "--out", broken, *AUTO, "--resume")
    assert "torch.bfloat16, resumed at step 10" in done and not trials
    assert equal(whole, broken)


def test_a_state_of_before_is_resumed_after_a_trial(run, data, tmp_path, monkeypatch):
    out, state = tmp_path / "m.safetensors", tmp_path / "m.state"
    run("--data", data, "--images", 80, "--out", out, *SMALL)
    old = torch.load(state, weights_only=True)
    del old["precision"]
    torch.save(old, state)
    trials = found(monkeypatch, {"float32": 0.01, "bfloat16": 0.02})
    assert "torch.float32, resumed at step 10" in run("--data", data, "--images", 160, "--out", out, *AUTO, "--resume")
    assert len(trials) == 1


def test_the_trial_of_this_machine(run, data, tmp_path):
    done = run("--data", data, "--images", 16, "--out", tmp_path / "m.safetensors", *AUTO)
    assert any(f"{name}, by a trial of steps: float32" in done for name in precision.PRECISIONS)
