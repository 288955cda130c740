"""A pilot's scores in, the size of a study out: smallest detectable effects, and the cheapest designs for one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from prefbench.blocks import Blocks, make_blocks
from prefbench.cells import rate_cells
from prefbench.effects import make_table
from prefbench.errors import ConfigError, DataError
from prefbench.factors import Design, find_design
from prefbench.folders import ConditionFolder
from prefbench.manifest import read_manifest
from prefbench.statistics import (
    ContrastVariance,
    cheapest_designs,
    contrast_variance,
    smallest_effect,
)

if TYPE_CHECKING:
    import polars as pl

ASSUMED_CORRELATION = 0.8
SHOWN_DESIGNS = 5
CONDITIONS_OF_PAIR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What answers cost. With no price at all the number of answers decides."""

    judge_call: float = 0.0
    """Money for one call of the judge."""
    answers_per_call: int = 1
    """Answers that the judge reads in one call."""
    gpu_hour: float = 0.0
    """Money for one GPU hour."""
    answer_seconds: float | None = None
    """GPU seconds for one answer; None if not known."""

    def __post_init__(self) -> None:
        numbers = (self.judge_call, self.gpu_hour, self.answer_seconds or 0.0)
        if not all(0 <= number < math.inf for number in numbers) or self.answers_per_call < 1:
            raise ConfigError("prices and seconds are 0 or more, and a call reads one answer or more")

    def judge_calls(self, cells: int, samples: int) -> int:
        """Return the calls that cells of so many answers take; a call reads answers of one cell."""
        return cells * -(-samples // self.answers_per_call)

    def gpu_hours(self, cells: int, samples: int) -> float | None:
        """Return the GPU hours that cells of so many answers take."""
        return None if self.answer_seconds is None else cells * samples * self.answer_seconds / 3600

    def money(self, cells: int, samples: int) -> float:
        """Return what cells of so many answers cost."""
        hours = (self.gpu_hours(cells, samples) or 0.0) * self.gpu_hour
        return self.judge_calls(cells, samples) * self.judge_call + hours


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """What a study of some size would find, and what size finds a wanted effect."""

    pilot: list[str]
    judge: str
    variances: pl.DataFrame
    """One row a contrast: variance between prompts, and of sampling at one answer; share of sampling at m."""
    detectable: pl.DataFrame
    """Smallest effect by contrast, prompts and samples."""
    designs: pl.DataFrame
    """The cheapest designs for the wanted effect, a few for each contrast; empty if none was wanted."""
    power: float
    level: float
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return everything ready for JSON."""
        tables = {name: getattr(self, name).to_dicts() for name in ("variances", "detectable", "designs")}
        plain = {name: getattr(self, name) for name in ("pilot", "judge", "power", "level", "notes")}
        return {**plain, **tables}


def plan_study(  # noqa: PLR0913 - the words of `prefbench power`
    frame: pl.DataFrame,
    *,
    design: Design | None = None,
    prompts: Sequence[int] = (100, 300, 1000, 1500),
    samples: Sequence[int] = (1, 5, 10, 20),
    effect: float | None = None,
    power: float = 0.8,
    level: float = 0.95,
    correlation: float = ASSUMED_CORRELATION,
    costs: Costs | None = None,
    most_prompts: int = 100_000,
) -> Plan:
    """Plan a study with the variances of a pilot: a scores frame of one condition or several.

    With two conditions or more the variance of each contrast is measured. With one, a difference to a second
    condition is planned on an *assumption*: that a prompt's true rates in both correlate by `correlation`. The
    pilot's temperatures are kept. `effect` is in rate (.05 is five points).

    Raises ConfigError for options that cannot be, DataError for a pilot without two answers to each of two prompts.
    """
    if effect is not None and not 0 < abs(effect) < 2:
        raise ConfigError(f"an effect is a difference of rates such as .05, not {effect}")
    if not 0 <= correlation < 1 or not 0.05 < power < 1 or not 0.5 < level < 1:
        raise ConfigError(
            f"need 0 <= correlation < 1, .05 < power < 1 and .5 < level < 1, not {correlation}, {power} and {level}"
        )
    if not prompts or not samples or min(*prompts, *samples) < 1:
        raise ConfigError("numbers of prompts and of samples are 1 or more")
    cells = rate_cells(frame)
    names = sorted(cells["condition"].unique().to_list())
    design = find_design(names) if design is None else design
    blocks = make_blocks(cells, design.conditions)
    try:
        variances, notes = _variances(blocks, design, correlation)
        detectable = _detectable(variances, prompts, samples, power=power, level=level)
        cells_each = {name: _cells_of(blocks, design, name) for name in variances}
        found = (
            []
            if effect is None
            else _designs(
                variances,
                effect,
                cells_each,
                costs=costs or Costs(),
                power=power,
                level=level,
                most=most_prompts,
            )
        )
    except ValueError as error:
        raise DataError(f"{', '.join(names)}: {error}; sample a larger pilot") from error
    return Plan(
        pilot=names,
        judge=str(frame["judge"].drop_nulls().first()),
        variances=_variance_table(variances, blocks),
        detectable=detectable,
        designs=make_table(found, _DESIGN_COLUMNS),
        power=power,
        level=level,
        notes=[*notes, *_impossible(variances, found, effect, most_prompts)],
    )


def measure_answer_seconds(folders: Sequence[ConditionFolder]) -> float | None:
    """Return the seconds that one answer took by the conditions' manifests; None where they do not say."""
    seconds = answers = 0.0
    for folder in folders:
        if not folder.manifest.exists():
            continue
        content = read_manifest(folder.manifest)
        for run in content.get("runs", []):
            written = run.get("records_written") or 0
            if run.get("seconds") and written and content["settings"].get("n_samples"):
                seconds += float(run["seconds"])
                answers += written * content["settings"]["n_samples"]
    return seconds / answers if answers else None


_DESIGN_COLUMNS: dict[str, Any] = {
    "name": str,
    "effect": float,
    "n_prompts": int,
    "n_samples": int,
    "power": float,
    "answers": int,
    "judge_calls": int,
    "money": float,
    "gpu_hours": float,
}


def _variances(
    blocks: Blocks, design: Design, correlation: float
) -> tuple[dict[str, ContrastVariance], list[str]]:
    yes, readable = blocks.by_temperature()
    if len(design.conditions) > 1:
        contrasts = design.whole or design.contrasts
        found = {
            each.name: contrast_variance(yes, readable, each.weights, strata=blocks.domain)
            for each in contrasts
        }
        return found, list(design.notes)
    own = contrast_variance(yes, readable, [1.0], strata=blocks.domain)
    pair = ContrastVariance(
        between=2 * (1 - correlation) * own.between,
        within=2 * own.within,
        strata=own.strata,
        n_pilot=own.n_pilot,
    )
    note = (
        f"the pilot has one condition: how much effects vary between prompts is assumed, by a correlation of "
        f"{correlation:g} between a prompt's rates in both; a pilot of two conditions measures it"
    )
    return {f"second condition - {design.conditions[0]}": pair}, [note]


def _cells_of(blocks: Blocks, design: Design, name: str) -> int:
    """Return how many cells of a prompt the contrast needs: conditions x temperatures."""
    weights = next((each.weights for each in design.contrasts if each.name == name), None)
    conditions = CONDITIONS_OF_PAIR if weights is None else int((weights != 0).sum())
    return conditions * int(np.unique(blocks.temperature).size)


def _variance_table(variances: dict[str, ContrastVariance], blocks: Blocks) -> pl.DataFrame:
    answers = round(float(np.nanmean(blocks.readable)))
    rows = [
        {
            "name": name,
            "n_pilot": each.n_pilot,
            "between": each.between,
            "within": each.within,
            "samples": answers,
            "sampling_share": each.within / answers / (each.between + each.within / answers)
            if each.between + each.within
            else None,
        }
        for name, each in variances.items()
    ]
    kinds = {"name": str, "n_pilot": int, "between": float, "within": float, "samples": int}
    return make_table(rows, kinds | {"sampling_share": float})


def _detectable(
    variances: dict[str, ContrastVariance],
    prompts: Sequence[int],
    samples: Sequence[int],
    *,
    power: float,
    level: float,
) -> pl.DataFrame:
    rows = [
        {
            "name": name,
            "n_prompts": count,
            "n_samples": each,
            "standard_error": variance.standard_error(count, each),
            "smallest_effect": smallest_effect(
                variance, prompts=count, samples=each, power=power, level=level
            ),
        }
        for name, variance in variances.items()
        for count in prompts
        if count > variance.strata
        for each in samples
    ]
    kinds = {"name": str, "n_prompts": int, "n_samples": int}
    return make_table(rows, kinds | {"standard_error": float, "smallest_effect": float})


def _designs(
    variances: dict[str, ContrastVariance],
    effect: float,
    cells: dict[str, int],
    *,
    costs: Costs,
    power: float,
    level: float,
    most: int,
) -> list[dict[str, Any]]:
    rows = []
    for name, variance in variances.items():
        each = cells[name]
        priced = costs.money(each, 1) > 0

        def cost(samples: int, each: int = each, priced: bool = priced) -> float:
            return costs.money(each, samples) if priced else float(each * samples)

        sizes = cheapest_designs(effect, variance, prompt_cost=cost, power=power, level=level, most=most)
        for size in sizes[:SHOWN_DESIGNS]:
            count = size.prompts * each
            row: dict[str, Any] = {"name": name, "effect": effect, "n_prompts": size.prompts}
            row |= {"n_samples": size.samples, "power": size.power, "answers": count * size.samples}
            row |= {"judge_calls": costs.judge_calls(count, size.samples)}
            row |= {"money": costs.money(count, size.samples)}
            rows.append(row | {"gpu_hours": costs.gpu_hours(count, size.samples)})
    return rows


def _impossible(
    variances: dict[str, ContrastVariance], found: list[dict[str, Any]], effect: float | None, most: int
) -> list[str]:
    if effect is None:
        return []
    reached = {row["name"] for row in found}
    return [
        f"{name}: no design of up to {most:,} prompts and 50 samples finds an effect of {100 * effect:g} points"
        for name in variances
        if name not in reached
    ]
