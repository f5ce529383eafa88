"""The examples of the documents do what they say."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest
from conftest import ROOT

import fsvae


def test_the_page() -> None:
    pytest.importorskip("matplotlib").use("agg")
    result = doctest.testfile(str(ROOT / "docs/python.md"), module_relative=False)
    assert result.attempted > 20 and result.failed == 0


def test_the_package() -> None:
    result = doctest.testmod(fsvae)
    assert result.attempted >= 3 and result.failed == 0


def test_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "python/PACKAGE.md").read_text()
    block = text.split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(block, names)
    assert (tmp_path / "digits.png").stat().st_size > 1000
    assert "encoder.0" in names["spikes"]  # type: ignore[operator]
