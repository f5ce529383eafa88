"""The commands of docs/training.md, with a budget of seconds, and its examples."""
import doctest
import importlib
import os
import re
import shlex
import subprocess
import sys
import tomllib

import numpy as np
import pytest
from PIL import Image

from command_line import FSVAE, ROOT, needs_fsvae

PAGE = (ROOT / "docs" / "training.md").read_text()
COMMANDS = [line.split("  #")[0].strip() for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
PROJECT = tomllib.loads((ROOT / "python" / "pyproject.toml").read_text())["project"]
# Minutes of the page, and what is as true of few images as of thousands.
SMALLER = {"--minutes 60": "--images 96 --batch 32 --latent 8 --width 4", "--data photos/": "--data {photos}",
           "--minutes 30": "--images 96 --batch 32 --latent 8 --width 4 --views-images 96",
           "--images 2500000": "--images 96 --batch 32 --latent 8 --width 4",
           "--minutes 20": "--minutes 0.02",
           "fsvae-evaluate mine.safetensors": "fsvae-evaluate mine.safetensors --samples 100"}


@needs_fsvae
def test_the_commands_of_the_page(tmp_path):
    random = np.random.default_rng(3)
    photos = tmp_path / "photos"
    for part, count in (("train", 96), ("test", 8)):
        (photos / part).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(random.integers(0, 256, (40, 40, 3), np.uint8)).save(photos / part / f"{i}.png")
    ran = []
    for command in COMMANDS:
        for whole, smaller in SMALLER.items():
            command = command.replace(whole, smaller.format(photos=photos))
        words = shlex.split(command)
        if words[0] == "pip":  # what runs this test has been installed
            folder, extra = words[-1].rstrip("]").split("[")
            assert (ROOT / folder / "pyproject.toml").exists() and extra in PROJECT["optional-dependencies"]
            continue
        if words[0] == "cargo":  # as needs_fsvae has it
            assert words == ["cargo", "install", "--path", "."]
            continue
        program = words[0]
        if program in PROJECT["scripts"]:
            module, function = PROJECT["scripts"][program].split(":")
            words = [sys.executable, "-c", f"from {module} import {function}; {function}()", *words[1:]]
            if program == "fsvae-evaluate":
                words += ["--backend", "cpu", "--images", "8", "--samples", "16", "--counted", "2"]
        elif words[0] == "fsvae":
            words[0] = str(FSVAE)
        else:
            pytest.fail(f"nothing runs {command}")
        done = subprocess.run(words, cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        ran.append(program)
    first = ["fsvae-train", "fsvae", "fsvae-evaluate", "fsvae-train", "fsvae-train", "fsvae-train"]
    assert ran == [*first, "fsvae-fit-prior", "fsvae-fit-prior", "fsvae-fit-prior"]


def test_the_examples_of_the_page():
    result = doctest.testfile(str(ROOT / "docs" / "training.md"), module_relative=False)
    assert result.attempted > 15 and result.failed == 0


@pytest.mark.parametrize("script", PROJECT["scripts"])
def test_every_program_of_the_package_is_there_and_helps(script, capsys, monkeypatch):
    module, function = PROJECT["scripts"][script].split(":")
    monkeypatch.setenv("GLIBC_TUNABLES", "")  # or fsvae-train starts itself again
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    with pytest.raises(SystemExit) as exit:
        getattr(importlib.import_module(module), function)()
    assert not exit.value.code and f"usage: {script}" in capsys.readouterr().out
