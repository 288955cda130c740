"""The built wheel, installed without extras and with the sources out of reach, does everything but sample."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from conftest import OUTSIDE
from studies import write_responses

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[1]
SIZE_LIMIT = 8 * 2**20


def run(*command: str | Path, folder: Path) -> str:
    inside = ("_proxy", "_base_url")  # the other tests are kept from the outside world
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith(inside)}
    environment = {name: value for name, value in kept.items() if not name.startswith("PYTHON")} | OUTSIDE
    found = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build the source distribution, and the wheel from it, and check both as an index would."""
    pytest.importorskip("build", reason="needs the dev extra: pip install 'prefbench[dev]'")
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", out, ROOT, folder=out)
    built = sorted(out.iterdir())
    run(sys.executable, "-m", "twine", "check", "--strict", *built, folder=out)
    (found,) = [path for path in built if path.suffix == ".whl"]
    return found


@pytest.fixture(scope="module")
def binaries(wheel, tmp_path_factory) -> Path:
    """Install the wheel by itself into a virtual environment, and return the folder of its commands."""
    home = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(home, with_pip=True)
    constraints = ROOT / "constraints.txt"
    run(home / "bin" / "pip", "install", "--quiet", "--constraint", constraints, wheel, folder=home)
    return home / "bin"


def test_the_wheel_holds_the_data_and_the_types_and_is_small(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        demo = [each.file_size for each in archive.infolist() if "/data/demo/" in each.filename]
    for needed in (
        "prefbench/py.typed",
        "prefbench/data/prompts/ethical_judgment.jsonl",
        "prefbench/data/study_template.toml",
        "prefbench/data/demo/model.safetensors",
    ):
        assert needed in names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "examples"))]
    assert not [name for name in names if name.endswith((".pkl", ".pt", ".bin"))]
    assert sum(demo) <= 5 * 2**20
    assert wheel.stat().st_size <= SIZE_LIMIT


def test_the_core_works_without_torch(binaries, tmp_path):
    installed = run(binaries / "pip", "list", "--format", "freeze", folder=tmp_path)
    assert "torch" not in installed
    where = run(binaries / "python", "-c", "import prefbench; print(prefbench.__file__)", folder=tmp_path)
    assert str(ROOT / "src") not in where

    write_responses(tmp_path / "study" / "condition_1_base", lambda *_: "YNNN")
    write_responses(
        tmp_path / "study" / "condition_2_dpo", lambda item, _: "YYYN" if item.id[-1] != "1" else "NNNN"
    )
    command = binaries / "prefbench"
    assert "Usage: prefbench" in run(command, "--help", folder=tmp_path)
    assert "24 records judged" in run(command, "judge", "--judge", "lexical", folder=tmp_path)
    assert "condition_2_dpo" in run(command, "aggregate", folder=tmp_path)
    assert "Effects of finetuning" in run(command, "stats", folder=tmp_path)
    assert "condition_2_dpo minus condition_1_base" in run(
        command, "compare", "cond1", "cond2", folder=tmp_path
    )
    assert "2,800 prompts" in run(command, "prompts", "stats", folder=tmp_path)


def test_a_missing_extra_says_what_to_install(binaries, tmp_path):
    found = subprocess.run(
        [binaries / "prefbench", "sample", "--model", "demo"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 2
    assert found.stderr.strip().endswith("pip install 'prefbench[hf]'")
    assert len(found.stderr.splitlines()) == 1
    shutil.rmtree(tmp_path / "study", ignore_errors=True)


def test_the_types_are_seen_by_a_type_checker(binaries, tmp_path):
    (tmp_path / "use.py").write_text("import prefbench\nreveal_type(prefbench.load_scores('study'))\n")
    command = [sys.executable, "-m", "mypy", "--python-executable", str(binaries / "python"), "use.py"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "DataFrame" in found.stdout, found.stdout
