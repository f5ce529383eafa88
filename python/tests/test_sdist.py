"""The source distribution has all that it takes to build the package, and needs nothing but crates for it."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from conftest import ROOT

pytest.importorskip("maturin", reason="maturin is not installed")


def tracked(*folders: str) -> set[str]:
    files = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(files.stdout.split())


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no clone")
def test_the_source_distribution_is_whole(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "maturin", "sdist", "-m", "python/Cargo.toml", "--out", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    # Some indices take no more.
    assert archive.stat().st_size < 60_000_000
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    (folder,) = (entry for entry in tmp_path.iterdir() if entry.is_dir())
    found = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    # The package lies beside its crate there.
    package = {name.removeprefix("python/") for name in tracked("python/fsvae")}
    crates = {name for name in tracked("src", "shaders", "python/src", "assets") if not name.startswith("assets/faces/")}
    crates |= {"Cargo.toml", "python/Cargo.toml", "python/Cargo.lock", "assets/faces/faces.safetensors"}
    assert sorted((package | crates | {"pyproject.toml", "PACKAGE.md", "LICENSE-MIT"}) - found) == []
    # Its lock file fits, without asking anyone.
    tree = ["cargo", "tree", "--locked", "--offline", "--manifest-path", "python/Cargo.toml"]
    subprocess.run(tree, cwd=folder, check=True, stdout=subprocess.DEVNULL)
