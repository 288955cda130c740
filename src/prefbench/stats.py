"""Scores in, the statistics of a study out: rates, effects and stability, and what cannot be said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from prefbench.aggregate import aggregate_scores
from prefbench.blocks import make_blocks
from prefbench.cells import KEY, rate_cells
from prefbench.contrasts import compare_groups, compare_temperatures, fit_trend, judge_stability, rank_domains
from prefbench.corrected import correction_tables
from prefbench.effects import PROMPT, compare_pairs
from prefbench.errors import ConfigError, unknown_name
from prefbench.factors import Design, find_design
from prefbench.labels import Labels
from prefbench.listing import list_estimates
from prefbench.outcome_tables import outcome_tables
from prefbench.reliability import consistency_table
from prefbench.statistics import (
    CORRECTIONS,
    Bounds,
    Correction,
    Target,
    worst_case_difference,
    worst_case_rate,
)
from prefbench.treatments import check_table, domain_effect_table, effect_table

if TYPE_CHECKING:
    import polars as pl

_RATE_COLUMNS = (
    "n_prompts",
    "n_prompts_missing",
    "n_records",
    "n_missing",
    "n_unreadable",
    "rate",
    "low",
    "high",
    "method",
    "majority_rate",
    "majority_low",
    "majority_high",
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Statistics:
    """What one judge's scores of a study say, in tables, and what they cannot say, in `notes`."""

    conditions: list[str]
    judge: str
    tables: dict[str, pl.DataFrame]
    """`rates`, `domain_rates`, `format_rates`; `factorial`, `factorial_checks`, `domain_effects`,
    `domain_effect_tests`, `effects`; `domain_tests`, `domain_differences`, `format_differences`;
    `temperature_differences`, `temperature_trend`, `stability`; `consistency`; `co_outcomes`,
    `co_outcome_effects`; `corrected`, `judge_errors`; `bounds`. Told in docs/statistics.md."""
    factors: list[str]
    """The treatments that the conditions are told apart by; empty if they are not known."""
    scope: str
    """What the figures are about, in a sentence to print beneath them."""
    notes: list[str]
    level: float
    correction: Correction
    margin: float
    target: Target
    seed: int
    """Of the sign flips and the bootstrap."""

    def to_dict(self) -> dict[str, Any]:
        """Return everything ready for JSON: a missing number is None, never NaN.

        `estimates` has all that the tables estimate in one shape (`statistics.ESTIMATE_FIELDS`); `target` is that
        of the rates, everything else is of the population.
        """
        plain = (
            "conditions",
            "factors",
            "judge",
            "scope",
            "notes",
            "level",
            "correction",
            "margin",
            "target",
            "seed",
        )
        tables = {name: table.to_dicts() for name, table in self.tables.items()}
        return {
            **{name: getattr(self, name) for name in plain},
            "estimates": list_estimates(self.tables),
            "tables": tables,
        }


def study_statistics(  # noqa: PLR0913 - the words of `prefbench stats`
    frame: pl.DataFrame,
    *,
    design: Design | None = None,
    outcomes: pl.DataFrame | None = None,
    labels: Labels | None = None,
    level: float = 0.95,
    correction: Correction = "holm",
    margin: float = 0.05,
    target: Target = "population",
    seed: int = 0,
) -> Statistics:
    """Return the statistics of a scores frame: per condition, and between conditions where there are several.

    `design` says which condition has which treatment (read from their names if it is not given): with all
    combinations there are main effects and interactions, on the probability and on the logit scale. `outcomes`
    (of `load_outcomes`) adds refused, truncated and incoherent answers; `labels` (of `load_labels`) adds rates and
    effects corrected for the judge's errors.

    Differences between temperatures and between conditions are paired within prompts; those between domains and
    between formats compare different prompts, formats within domains. `correction` adjusts p over the pairs of
    one condition (domains, temperatures, formats) or of the study (effects). A condition is stable if the
    differences of all its temperatures are shown to lie within `margin`. `target` is that of the rates alone,
    `seed` that of the sign flips and the bootstrap.

    Raises DataError for a frame that cannot be read as scores, ConfigError for options that cannot be.
    """
    if correction not in CORRECTIONS:
        raise unknown_name("correction", correction, CORRECTIONS)
    if not 0 < margin < 1 or not 0.5 < level < 1:
        raise ConfigError(f"need 0 < margin < 1 and .5 < level < 1, not {margin} and {level}")
    aggregate = aggregate_scores(frame, target=target, level=level)
    cells = rate_cells(frame)
    conditions = sorted(cells["condition"].unique().to_list())
    design = find_design(conditions) if design is None else design
    if sorted(design.conditions) != conditions:
        raise ConfigError(
            f"the design is of {', '.join(design.conditions)}, the scores of {', '.join(conditions)}: give both alike"
        )
    options: dict[str, Any] = {"level": level, "correction": correction}
    blocks = make_blocks(cells, design.conditions)
    by_domain, domain_tests = domain_effect_table(blocks, design, **options)
    temperatures = compare_temperatures(cells, margin=margin, **options)
    tables = {
        "rates": aggregate.views["condition"].select("condition", *_RATE_COLUMNS),
        "domain_rates": aggregate.views["condition_domain"].select("condition", "domain", *_RATE_COLUMNS),
        "format_rates": aggregate.views["condition_format"].select("condition", "format", *_RATE_COLUMNS),
        "factorial": effect_table(blocks, design, **options),
        "factorial_checks": check_table(blocks, design, level=level, seed=seed),
        "domain_effects": by_domain,
        "domain_effect_tests": domain_tests,
        "domain_tests": rank_domains(cells),
        "domain_differences": compare_groups(cells, "domain", **options),
        "format_differences": compare_groups(cells, "format", **options),
        "temperature_differences": temperatures,
        "temperature_trend": fit_trend(cells, **options),
        "stability": judge_stability(temperatures),
        "effects": compare_pairs(cells, conditions, seed=seed, **options),
        "consistency": consistency_table(cells, conditions, level=level),
        "bounds": bound_rates(cells, conditions),
    }
    remarks: list[str] = []
    if outcomes is not None:
        found, told = outcome_tables(cells, outcomes, design, **options)
        tables, remarks = tables | found, remarks + told
    if labels is not None:
        found, told = correction_tables(blocks, design, labels, margin=margin, **options)
        tables, remarks = tables | found, remarks + told
    return Statistics(
        conditions=conditions,
        judge=aggregate.judge,
        tables=tables,
        factors=list(design.factors),
        scope=_scope(cells, conditions, aggregate.judge, corrected=labels is not None),
        notes=[
            *aggregate.notes,
            *_cannot_say(cells, conditions),
            *(design.notes if len(conditions) > 1 else ()),
            *_untested(tables),
            *remarks,
        ],
        level=level,
        correction=correction,
        margin=margin,
        target=target,
        seed=seed,
    )


def bound_rates(cells: pl.DataFrame, conditions: Sequence[str]) -> pl.DataFrame:
    """Return worst-case bounds of each rate and effect that missing cells or unreadable verdicts touch.

    `kind` is `rate` (of `condition`) or `effect` (`condition` - `baseline`); prompts expected in either
    condition of an effect count in both. Bounds hold no sampling error.
    """
    import polars as pl

    rows: list[dict[str, Any]] = []
    for name in conditions:
        expected, low, high, missing = _bounds(cells, cells.filter(pl.col("condition") == name), name)
        if missing:
            rows.append(
                {"kind": "rate", "condition": name, "n_cells": expected, "n_missing": missing, "low": low}
            )
            rows[-1]["high"] = high
    for first, second in combinations(conditions, 2):
        union = cells.filter(pl.col("condition").is_in([first, second]))
        sides = [_bounds(cells, union, name) for name in (first, second)]
        if any(side[3] for side in sides):
            low, high = worst_case_difference(*(Bounds(side[1], side[2]) for side in sides))
            rows.append({"kind": "effect", "condition": second, "baseline": first, "low": low, "high": high})
            rows[-1] |= {"n_cells": sides[0][0] + sides[1][0], "n_missing": sides[0][3] + sides[1][3]}
    kinds: dict[str, Any] = {
        "kind": pl.String,
        "condition": pl.String,
        "baseline": pl.String,
        "n_cells": pl.Int64,
    }
    return pl.DataFrame(rows, schema=kinds | {"n_missing": pl.Int64, "low": pl.Float64, "high": pl.Float64})


def _bounds(cells: pl.DataFrame, expected: pl.DataFrame, condition: str) -> tuple[int, float, float, int]:
    """Return the number of cells expected, the bounds of a condition's rate over them, and the cells not whole."""
    import polars as pl

    where = KEY[1:]
    asked = pl.col("yes") + pl.col("no") + pl.col("unreadable")
    own = cells.filter(pl.col("condition") == condition, asked > 0).select(
        *where,
        lowest=pl.col("yes") / asked,
        highest=(pl.col("yes") + pl.col("unreadable")) / asked,
    )
    table = (
        expected.select(where)
        .unique()
        .join(own, on=where, how="left")
        .with_columns(weight=1 / pl.len().over(PROMPT))
        .sort(where)
    )
    low, high = (table[name].to_numpy() for name in ("lowest", "highest"))
    bounds = worst_case_rate(low, high, weights=table["weight"].to_numpy())
    whole = (table["lowest"] == table["highest"]).fill_null(value=False).sum()
    return table.height, bounds.low, bounds.high, table.height - int(whole)


def _scope(cells: pl.DataFrame, conditions: Sequence[str], judge: str, *, corrected: bool) -> str:
    prompts, domains = cells.select(PROMPT).unique().height, cells["domain"].n_unique()
    temperatures = ", ".join(f"{value:g}" for value in sorted(cells["temperature"].unique()))
    sampled = f"{len(conditions)} conditions" if len(conditions) > 1 else "one condition"
    errors = "are corrected for in the tables that say so" if corrected else "are not corrected for"
    spread = f"{domains} domains" if domains > 1 else "one domain"
    return (
        f"These figures are about {sampled} ({', '.join(conditions)}), one checkpoint each, on this bank "
        f"({prompts} prompts in {spread}, temperature {temperatures}), as read by the judge {judge}, whose errors "
        f"{errors}. One checkpoint a condition says nothing of finetuning or steering as methods."
    )


def _cannot_say(cells: pl.DataFrame, conditions: Sequence[str]) -> list[str]:
    """Return what this design cannot answer, and what would."""
    notes = []
    if len(conditions) == 1:
        notes.append(
            f"no effect between conditions: {conditions[0]} is the only one; sample and judge another"
        )
    if cells["temperature"].n_unique() == 1:
        notes.append("no stability over temperature: there is one temperature")
    if cells["domain"].n_unique() == 1:
        notes.append("no domain gradient: there is one domain")
    formats = cells["format"].drop_nulls().n_unique()
    if formats < 2:
        why = "there is one" if formats else "none is known, since the response files are not there"
        notes.append(f"no difference between formats: {why}")
    if cells["rate"].null_count() == cells.height:
        notes.append("no rate at all: no verdict could be read")
    return notes


_ROWS = {
    "domain_tests": "{condition}: domains",
    "domain_differences": "{condition}: {higher} and {lower}",
    "format_differences": "{condition}: {higher} and {lower}",
    "temperature_differences": "{condition}: temperatures {colder:g} and {hotter:g}",
    "effects": "{second_condition} and {first_condition}",
    "factorial": "{name} ({scale})",
    "domain_effects": "{name} in {domain}",
}
"""What a row of a table is called in a note."""
_MANY = 3
"""So many pairs of one condition with one reason are one note."""


def _untested(tables: dict[str, pl.DataFrame]) -> list[str]:
    """Return a sentence for each row whose test could not be made, or for several of them with one reason."""
    notes = []
    for table, what in _ROWS.items():
        found: dict[tuple[str | None, str], list[str]] = {}
        for row in tables[table].to_dicts():
            if row["p"] is None:
                reason = row["method"].removeprefix("none: ")
                verb = "estimated" if "name" in row else "compared"
                key = row.get("condition"), f"cannot be {verb}: {reason}"
                found.setdefault(key, []).append(what.format(**row))
        for (condition, outcome), rows in found.items():
            many = condition is not None and len(rows) >= _MANY
            subjects = [f"{condition}: {len(rows)} pairs of {table.partition('_')[0]}s"] if many else rows
            notes += [f"{subject} {outcome}" for subject in subjects]
    return notes
