"""The programs under test are in the package `fsvae`, which is installed: CONTRIBUTING.md says how."""
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from fsvae.training import train  # noqa: E402
from small import shapes  # noqa: E402


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "shapes.npz"
    np.savez(path, train=shapes(64), test=shapes(40))
    return path


@pytest.fixture
def run(capsys):
    """Trains in this process, which saves importing PyTorch again, and gives what was printed."""
    handlers = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGINT)}

    def run(*arguments):
        train.train(train.parse([*map(str, arguments)]))
        return capsys.readouterr().out

    yield run
    for name, handler in handlers.items():
        signal.signal(name, handler)
