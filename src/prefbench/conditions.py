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
    folder: Path,
    configured: Sequence[Condition],
    names: Sequence[str] | None,
    given: Mapping[str, Any],
) -> list[Condition]:
    """Return the conditions to sample: those of the study file, or the one that the arguments describe.

    Raises ConfigError for an unknown name, and for a treatment that would go to several conditions at once.
    """
    if configured:
        known = [condition.name for condition in configured]
        chosen = known if names is None else [match_condition(name, known) for name in names]
        _check_single(chosen, given)
        return [
            validate_condition(**{**condition.model_dump(), **given})
            for condition in configured
            if condition.name in chosen
        ]
    if "model" not in given:
        raise ConfigError(
            "no model: give --model, or conditions in a study file (`prefbench init` writes one)"
        )
    if names is None and (treated := [name for name in ("adapter", "vectors") if given.get(name)]):
        raise ConfigError(
            f"{treated[0]} without a name: {DEFAULT_CONDITION} is the model as it is; give --condition another, "
            f"e.g. --condition {'dpo' if treated[0] == 'adapter' else 'steered'}"
        )
    if names is not None and len(names) > 1:
        raise ConfigError(
            f"{len(names)} conditions and no study file: sample them one by one, or write them down with "
            "`prefbench init`"
        )
    return [validate_condition(name=_folder_name(folder, names[0] if names else None), **given)]


def describe_source(name: str | None) -> str | None:
    """Return a model's or an adapter's name as a manifest keeps it: a hub id, or a folder's own name.

    Where the folder lies may change; its hash, which the manifest has too, may not.
    """
    return Path(name).resolve().name if name and Path(name).is_dir() else name


def group_by_model(conditions: Sequence[Condition]) -> dict[str, list[Condition]]:
    """Return the conditions of each model, in their order, so that each model is loaded once."""
    groups: dict[str, list[Condition]] = {}
    for condition in conditions:
        groups.setdefault(condition.model, []).append(condition)
    return groups


def _check_single(chosen: Sequence[str], given: Mapping[str, Any]) -> None:
    treatments = [name for name in ("adapter", "vectors", "system_prompt") if given.get(name)]
    if treatments and len(chosen) > 1:
        raise ConfigError(
            f"{treatments[0]} would go to all of {', '.join(chosen)}: name one with --condition, or write it into the "
            "study file"
        )


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
