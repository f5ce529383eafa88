"""The programs under test are in assets/."""
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2] / "assets"), str(Path(__file__).parent)]
