"""The command line that some tests run."""
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FSVAE = Path(os.environ.get("FSVAE", ROOT / "target" / "release" / "fsvae"))
needs_fsvae = pytest.mark.skipif(not FSVAE.exists(), reason="cargo build --release makes the command line")
