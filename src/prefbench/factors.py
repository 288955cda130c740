"""Which treatments each condition has: from the study file, from --factors or from the names of the conditions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from prefbench.errors import ConfigError
from prefbench.folders import match_condition
from prefbench.statistics import Contrast, factorial_contrasts

if TYPE_CHECKING:
    from prefbench.study import Condition

FINETUNING, STEERING = "finetuning", "steering"
_WORDS = {
    **dict.fromkeys(("dpo", "finetuned", "ft", "lora", "sft"), FINETUNING),
    **dict.fromkeys(("vector", "vectors", "steered", "steering", "cv"), STEERING),
    **dict.fromkeys(("base", "baseline", "only"), None),
}


@dataclass(frozen=True, eq=False)
class Design:
    """The conditions of a study, in order, with the questions that they can answer."""

    conditions: tuple[str, ...]
    factors: tuple[str, ...]
    """Empty if the treatments are not known: the questions are then the pairs of conditions."""
    contrasts: tuple[Contrast, ...]
    source: str
    """Where the factors come from: `study file`, `--factors`, `names` or `none`."""
    notes: tuple[str, ...] = ()

    @property
    def whole(self) -> tuple[Contrast, ...]:
        """Main effects and interactions; empty unless all combinations of the factors are there."""
        return tuple(contrast for contrast in self.contrasts if contrast.kind != "simple")


def find_design(
    conditions: Sequence[str],
    *,
    factors: Mapping[str, Sequence[str]] | None = None,
    configured: Sequence[Condition] = (),
) -> Design:
    """Return the design of these conditions.

    `factors` names the conditions that have each treatment ({"steering": ["3", "4"]}); without it the study
    file's conditions may say theirs (`factors = ["steering"]`); otherwise the names are read: parts such as
    dpo, vectors and base. Raises ConfigError for factors that give two conditions the same treatments, or an
    unknown condition.
    """
    names = tuple(conditions)
    if factors:
        return _design(names, _given(names, factors), tuple(factors), "--factors")
    known = {name: _configured(name, configured) for name in names}
    if any(known.values()) and all(value is not None for value in known.values()):
        table = {name: frozenset(value or ()) for name, value in known.items()}
        order = dict.fromkeys(factor for each in configured for factor in each.factors or ())
        return _design(names, table, tuple(order), "study file")
    read = {name: _read_name(name) for name in names}
    if all(value is not None for value in read.values()) and any(read.values()):
        table = {name: value or frozenset() for name, value in read.items()}
        found = tuple(each for each in (FINETUNING, STEERING) if any(each in row for row in table.values()))
        if len(set(table.values())) == len(names):
            return _design(names, table, found, "names")
    return _pairs(names)


def _design(
    names: tuple[str, ...], table: Mapping[str, frozenset[str]], factors: tuple[str, ...], source: str
) -> Design:
    treated: dict[frozenset[str], str] = {}
    for name in names:
        if table[name] in treated:
            what = " and ".join(sorted(table[name])) or "no treatment"
            raise ConfigError(
                f"{treated[table[name]]} and {name} both have {what} by the {source}: give factors that tell them "
                "apart, or --conditions"
            )
        treated[table[name]] = name
    used = tuple(
        factor for factor in factors if 0 < sum(factor in table[name] for name in names) < len(names)
    )
    if len(names) < 2:
        return Design(names, used, (), source)
    levels = np.array([[int(factor in table[name]) for factor in used] for name in names])
    contrasts = tuple(factorial_contrasts(levels, used))
    notes: tuple[str, ...] = ()
    if len(names) < 2 ** len(used):
        missing = 2 ** len(used) - len(names)
        notes = (
            f"no main effects and no interaction of {' and '.join(used)}: {missing} of {2 ** len(used)} conditions of "
            "the design are not there",
        )
    elif len(used) == 1:
        notes = (f"no interaction: {used[0]} is the only factor",)
    return Design(names, used, contrasts, source, notes)


def _pairs(names: tuple[str, ...]) -> Design:
    contrasts = []
    for first, second in combinations(range(len(names)), 2):
        weights = np.zeros(len(names))
        weights[second], weights[first] = 1.0, -1.0
        contrasts.append(Contrast(f"{names[second]} - {names[first]}", "simple", weights))
    notes: tuple[str, ...] = ()
    if len(names) > 2:
        notes = (
            "no main effects and no interaction: the names do not say which condition has which treatment; name them, "
            "as in --factors finetuning=2,4 --factors steering=3,4",
        )
    return Design(names, (), tuple(contrasts), "none", notes)


def _given(names: tuple[str, ...], factors: Mapping[str, Sequence[str]]) -> dict[str, frozenset[str]]:
    having = {factor: {match_condition(each, names) for each in chosen} for factor, chosen in factors.items()}
    for factor, chosen in having.items():
        if not chosen or len(chosen) == len(names):
            which = "all conditions have it" if chosen else "no condition has it"
            raise ConfigError(f"factor {factor}: {which}, so that it tells nothing apart")
    return {name: frozenset(factor for factor in factors if name in having[factor]) for name in names}


def _configured(name: str, configured: Sequence[Condition]) -> Sequence[str] | None:
    """Return the factors that the study file gives a condition; None if it does not say."""
    return next((each.factors for each in configured if each.name == name), None)


def _read_name(name: str) -> frozenset[str] | None:
    """Return the treatments in a condition's name; None if a part of it is not understood."""
    parts = [
        part for part in re.split(r"[^a-z]+", name.lower()) if part and part not in ("condition", "cond")
    ]
    if not parts or any(part not in _WORDS for part in parts):
        return None
    return frozenset(factor for part in parts if (factor := _WORDS[part]) is not None)
