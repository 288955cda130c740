"""Which conditions a call samples, and each of them as a backend sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefbench.backends import Treatment, Vector
from prefbench.errors import ConfigError, DataError
from prefbench.folders import find_conditions, match_condition, new_condition_name
from prefbench.study import DEFAULT_CONDITION, Condition, validate_condition


def make_treatment(condition: Condition) -> Treatment:
    """Return a condition as a backend sees it."""
    vectors = tuple(
        Vector(
            each.file,
            each.coefficient,
            each.dose,
            tuple(each.layers) if each.layers else None,
            each.positions,
        )
        for each in condition.vectors
    )
    return Treatment(
        condition.name, condition.prompt_style, condition.system_prompt, condition.adapter, vectors
    )


def choose_conditions(
    folder: Path, configured: Sequence[Condition], name: str | None, given: Mapping[str, Any]
) -> list[Condition]:
    """Return the conditions to sample: those of the study file, or the one that the arguments describe."""
    if configured:
        names = [condition.name for condition in configured]
        chosen = names if name is None else [match_condition(name, names)]
        return [
            validate_condition(**{**condition.model_dump(), **given})
            for condition in configured
            if condition.name in chosen
        ]
    if "model" not in given:
        raise ConfigError(
            "no model: give --model, or conditions in a study file (`prefbench init` writes one)"
        )
    return [validate_condition(name=_folder_name(folder, name), **given)]


def _folder_name(folder: Path, name: str | None) -> str:
    if name is None:
        return DEFAULT_CONDITION
    try:
        known = [condition.name for condition in find_conditions(folder)]
    except DataError:  # nothing sampled yet
        known = []
    try:
        return match_condition(name, known)
    except ConfigError:
        return new_condition_name(name, known)
