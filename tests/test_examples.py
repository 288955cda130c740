"""Every example runs as it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
NEEDS_TORCH = {"whole_study.py"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs_from_an_empty_folder(path, tmp_path):
    if path.name in NEEDS_TORCH:
        pytest.importorskip("torch", reason="needs torch: pip install 'prefbench[hf]'")
    found = subprocess.run([sys.executable, path], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip()
    assert "warning" not in found.stderr.lower()
    assert list(tmp_path.iterdir()) == []


def test_the_readme_names_every_example():
    listed = (EXAMPLES[0].parent / "README.md").read_text(encoding="utf-8")
    assert EXAMPLES
    assert all(f"({path.name})" in listed for path in EXAMPLES)
