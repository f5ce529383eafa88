"""The commands of docs/training.md, with a budget of seconds."""
import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from command_line import FSVAE, ROOT, needs_fsvae

PAGE = (ROOT / "docs" / "training.md").read_text()
COMMANDS = [line.split("  #")[0].strip() for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
# Minutes of the page, and what is as true of few images as of thousands.
SMALLER = {"--minutes 60": "--images 96 --batch 32 --latent 8 --width 4", "--data photos/": "--data {photos}"}


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
            assert (ROOT / words[-1]).exists()
            continue
        if words[0] == "python":
            words = [sys.executable, str(ROOT / words[1]), *words[2:]]
            if "evaluate.py" in words[1]:
                words += ["--fsvae", str(FSVAE), "--images", "8", "--samples", "16", "--counted", "2"]
        elif words[0] == "fsvae":
            words[0] = str(FSVAE)
        else:
            pytest.fail(f"nothing runs {command}")
        done = subprocess.run(words, cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        ran.append(words[1])
    assert len(ran) == 3, COMMANDS
