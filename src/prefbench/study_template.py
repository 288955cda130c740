"""Write a commented study file: one condition to start from, or the 2x2 of adapter and trait vectors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from prefbench.demo_model import DEMO_MODEL_NAME
from prefbench.errors import ConfigError
from prefbench.store import writing
from prefbench.study import STUDY_FILE

TRAITS = ("warmth", "curiosity", "assertiveness", "openness", "playfulness")
STARTING_DOSE = 0.05

_CONDITION = """[[conditions]]
name = "{name}"
model = "{model}"
"""
_FIRST = """# The four cells differ by treatment and nothing else: one load of the model, the same prompts and seeds.
# A cell may be left out and others added (a system_prompt, another adapter, some of the vectors).

"""
_ADAPTER = """adapter = "{adapter}"   # a LoRA adapter: a folder, relative to this file, or a hub id
"""
_MAKE_ADAPTER = """# Made by:  prefbench train dpo PAIRS.jsonl --model {model} --out {adapter}
"""
_MAKE_VECTORS = """# dose: what a vector adds, as a share of the hidden states' mean norm. {dose} is a place
# to start from; what your model stands is on the dose curve of `prefbench vectors check`. coefficient = c instead
# multiplies the raw vector.
"""


def write_study_file(folder: Path, *, model: str, conditions: str | None = None, force: bool = False) -> Path:
    """Write the study file into a folder and return its path; `conditions` replaces the template's one condition.

    Raises ConfigError if there is a study file (unless `force`), DataError if it cannot be written.
    """
    path = folder / STUDY_FILE
    if path.exists() and not force:
        raise ConfigError(f"{path}: is there already; edit it, or write over it with --force")
    _check_quotable("model", model)
    text = (files("prefbench") / "data" / "study_template.toml").read_text(encoding="utf-8")
    if conditions is not None:
        text = text[: text.index("[[conditions]]")] + conditions
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("@MODEL@", _relative_model(model, folder)), encoding="utf-8")
    return path


def factorial_conditions(
    folder: Path, *, model: str, adapter: str | None = None, vectors: Sequence[str] | None = None
) -> str:
    """Return the TOML of the 2x2 {base, + DPO} x {no vectors, + vectors}.

    Paths that exist are written relative to the study's folder. What is not given is named as the commands that
    make it would name it. Raises ConfigError for a path that TOML cannot quote plainly.
    """
    adapter = "./adapter" if adapter is None else _relative(adapter, folder)
    paths = [f"vectors/{trait}.safetensors" for trait in TRAITS] if vectors is None else list(vectors)
    paths = [_relative(path, folder) for path in paths]
    for what, value in [("model", model), ("adapter", adapter), *(("vectors", path) for path in paths)]:
        _check_quotable(what, value)
    with_adapter = _ADAPTER.format(adapter=adapter)
    with_vectors = _format_vectors(paths)
    make_adapter = _MAKE_ADAPTER.format(model=model, adapter=folder / adapter)
    make_vectors = _MAKE_VECTORS.format(dose=STARTING_DOSE)
    cells = {
        "condition_1_base": "",
        "condition_2_dpo": make_adapter + with_adapter,
        "condition_3_base_vectors": make_vectors + with_vectors,
        "condition_4_dpo_vectors": with_adapter
        + "# The same vectors as condition 3, which are the base model's: the steering is one intervention in both.\n"
        + with_vectors,
    }
    seen = _relative_model(model, folder)
    blocks = [_CONDITION.format(name=name, model=seen) + more for name, more in cells.items()]
    return _FIRST + "\n".join(blocks)


def _relative_model(model: str, folder: Path) -> str:
    """Return a model as a study file in `folder` names it."""
    return model if model == DEMO_MODEL_NAME else _relative(model, folder)


def _format_vectors(paths: Sequence[str]) -> str:
    lines = "".join(f'  {{ file = "{path}", dose = {STARTING_DOSE} }},\n' for path in paths)
    return f"vectors = [\n{lines}]\n"


def _relative(path: str, folder: Path) -> str:
    """Return a path that exists, seen from the study's folder; anything else as it is."""
    found = Path(path).expanduser()
    if not found.exists() or found.is_absolute():
        return path
    relative = Path(os.path.relpath(found, folder)).as_posix()
    return relative if relative.startswith("..") else f"./{relative}"


def _check_quotable(what: str, value: str) -> None:
    if not value or any(sign in value for sign in '"\\\n'):
        raise ConfigError(f"{what} {value!r}: give a hub id or a path, without quotes and backslashes")
