"""Scores in, tables of rates out: one row a condition, domain, temperature or format, with n and what is missing.

The prompt is the unit: a prompt's temperatures are averaged with equal weight before anything else. A prompt
that lacks a temperature is averaged over those it has, and counted as incomplete.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from prefbench.cells import AGREEMENTS, rate_cells
from prefbench.errors import ConfigError, unknown_name
from prefbench.statistics import (
    CONSISTENCY_DEFINITIONS,
    DEFAULT_THRESHOLDS,
    ConsistencyDefinition,
    LabelThresholds,
    Target,
    effective_wilson,
    max_share,
    pairwise_agreement,
    sampling_limits,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from numpy.typing import NDArray

TARGETS: tuple[Target, ...] = get_args(Target)
GROUPINGS = ("condition", "domain", "temperature", "format")
VIEWS: tuple[tuple[str, ...], ...] = (
    ("condition",),
    ("condition", "domain"),
    ("condition", "temperature"),
    ("condition", "format"),
    ("condition", "domain", "temperature"),
)
LABELS = ("consistent_preference", "mixed", "consistent_no_preference")
_MEANS = ("max_share", "pairwise_agreement", *AGREEMENTS)


@dataclass(frozen=True, eq=False, kw_only=True)
class Aggregate:
    """Tables of rates with everything needed to read them."""

    views: dict[str, pl.DataFrame]
    """One table a view: `condition`, `condition_domain`, ... Columns are told in docs/statistics.md."""
    by: tuple[str, ...]
    judge: str
    consistency: ConsistencyDefinition
    thresholds: LabelThresholds
    target: Target
    level: float
    notes: list[str]

    @property
    def table(self) -> pl.DataFrame:
        """The view that `by` asked for."""
        return self.views["_".join(self.by)]

    def to_dict(self) -> dict[str, Any]:
        """Return everything ready for JSON: a missing number is None, never NaN."""
        return {
            "judge": self.judge,
            "by": list(self.by),
            "consistency": self.consistency,
            "thresholds": self.thresholds.to_dict(),
            "target": self.target,
            "level": self.level,
            "notes": list(self.notes),
            "views": {name: table.to_dicts() for name, table in self.views.items()},
        }


def aggregate_scores(
    frame: pl.DataFrame,
    *,
    by: Sequence[str] = ("condition", "domain"),
    consistency: ConsistencyDefinition = "max_share",
    thresholds: LabelThresholds = DEFAULT_THRESHOLDS,
    target: Target = "population",
    level: float = 0.95,
) -> Aggregate:
    """Return the rates of a scores frame (one row an expected cell) in the five standard views and by `by`.

    Two rates stand side by side. `majority_rate` is the published one: the share of records with more Y than N
    (5-5 is no preference), one record one unit, temperatures pooled. `rate` is the share of responses that
    express a preference, averaged over prompts. Intervals are Wilson's on the effective sample size, between
    prompts within domains (`target="population"`), or of the sampling alone (`"fixed_prompts"`).

    Raises DataError for a frame that cannot be read as scores, ConfigError for two judges in it or an option
    that does not exist.
    """
    if consistency not in CONSISTENCY_DEFINITIONS:
        raise unknown_name("consistency", consistency, CONSISTENCY_DEFINITIONS)
    if target not in TARGETS:
        raise unknown_name("target", target, TARGETS)
    groups = _check_grouping(by)
    cells = _with_labels(rate_cells(frame), thresholds)
    views = {
        "_".join(view): _view(cells, view, target=target, level=level, consistency=consistency)
        for view in dict.fromkeys((*VIEWS, groups))
    }
    return Aggregate(
        views=views,
        by=groups,
        judge=str(frame["judge"].drop_nulls().first()),
        consistency=consistency,
        thresholds=thresholds,
        target=target,
        level=level,
        notes=missing_notes(views["condition"]),
    )


def missing_notes(overall: pl.DataFrame) -> list[str]:
    """Return what is missing in the `condition` view, a sentence for each condition and kind."""
    sentences = {
        "n_missing": "{} of {n_cells} cells are unscored: they are in no rate",
        "n_unrated": "{} scored records have no readable verdict: they are in no rate",
        "n_unreadable": "{} verdicts are unreadable: they count neither as Y nor as N",
        "n_prompts_missing": "{} prompts have no rate at all",
        "n_prompts_incomplete": "{} prompts lack a temperature: each is averaged over those it has",
    }
    return [
        f"{row['condition']}: {sentence.format(row[column], **row)}"
        for row in overall.to_dicts()
        for column, sentence in sentences.items()
        if row[column]
    ]


def _check_grouping(by: Sequence[str]) -> tuple[str, ...]:
    groups = (by,) if isinstance(by, str) else tuple(by)
    for name in groups:
        if name not in GROUPINGS:
            raise unknown_name("grouping", name, GROUPINGS)
    if "condition" not in groups or len(set(groups)) < len(groups):
        raise ConfigError(
            f"group by condition and, once each, by others: not by {', '.join(groups) or 'nothing'}"
        )
    return tuple(name for name in GROUPINGS if name in groups)


def _with_labels(cells: pl.DataFrame, thresholds: LabelThresholds) -> pl.DataFrame:
    """Add each cell's label flags, both forms of consistency and its sampling variance."""
    import polars as pl

    yes, no = (cells[name].cast(pl.Float64).to_numpy() for name in ("yes", "no"))
    rate = pl.col("rate")
    preference, none = rate >= thresholds.upper, rate <= thresholds.lower
    return cells.with_columns(
        pl.Series("max_share", max_share(yes, no)).fill_nan(None),
        pl.Series("pairwise_agreement", pairwise_agreement(yes, no)).fill_nan(None),
        noise=pl.when(pl.col("readable") > 1).then(rate * (1 - rate) / (pl.col("readable") - 1)),
        consistent_preference=preference,
        consistent_no_preference=none,
        mixed=~preference & ~none,
    )


def _view(
    cells: pl.DataFrame,
    groups: tuple[str, ...],
    *,
    target: Target,
    level: float,
    consistency: ConsistencyDefinition,
) -> pl.DataFrame:
    """Return one row a group: counts, both rates with their limits, consistency and labels."""
    import polars as pl
    from polars import selectors

    sums = _group_sums(_prompt_sums(cells, groups), groups)
    limits = _population_limits if target == "population" else _sampling_limits
    table = sums.with_columns(**limits(sums, level))
    chosen = "max_share" if consistency == "max_share" else "pairwise_agreement"
    return (
        table.with_columns(pl.col("majority_low", "majority_high", "low", "high").fill_nan(None))
        .with_columns(
            pl.when(pl.col(f"n_{name}") > 0).then(pl.col(name) / pl.col(f"n_{name}")).alias(name)
            for name in _MEANS
        )
        .with_columns(consistency=pl.col(chosen))
        .select(*groups, *_table_columns())
        .with_columns(selectors.integer().cast(pl.Int64))
        .sort(groups, nulls_last=True)
    )


def _table_columns() -> list[str]:
    counts = [
        "cells",
        "prompts",
        "prompts_missing",
        "prompts_incomplete",
        "records",
        "missing",
        "unrated",
        "unreadable",
    ]
    rates = ["majority_rate", "majority_low", "majority_high", "rate", "low", "high", "method", "consistency"]
    means = [column for name in _MEANS for column in (name, f"n_{name}")]
    return [*(f"n_{name}" for name in counts), *rates, *means, *LABELS]


def _prompt_sums(cells: pl.DataFrame, groups: tuple[str, ...]) -> pl.DataFrame:
    """Return one row a group and prompt: its rate (mean over temperatures) and sums over its cells."""
    import polars as pl

    keys = list(dict.fromkeys((*groups, "domain", "id")))
    scored = pl.col("status") == "scored"
    return (
        cells.group_by(keys, maintain_order=True)
        .agg(
            pl.col("rate").mean(),
            (pl.col("noise").sum() / pl.col("rate").count() ** 2).alias("noise"),
            (pl.col("rate").is_not_null() & pl.col("noise").is_null()).sum().alias("n_noiseless"),
            pl.len().alias("n_cells"),
            pl.col("rate").count().alias("n_rated"),
            scored.sum().alias("n_records"),
            (~scored).sum().alias("n_missing"),
            pl.col("unreadable").sum().alias("n_unreadable"),
            pl.col("readable").sum(),
            pl.col("majority", *_MEANS, *LABELS).sum(),
            pl.col(*_MEANS).count().name.prefix("n_"),
        )
        .with_columns(
            rated=pl.col("n_rated") > 0,
            n_prompts_incomplete=(pl.col("n_rated") > 0) & (pl.col("n_rated") < pl.col("n_cells")),
        )
    )


def _group_sums(prompts: pl.DataFrame, groups: tuple[str, ...]) -> pl.DataFrame:
    """Return one row a group: sums over prompts, mean rates, residual sums of squares about domain means."""
    import polars as pl

    within = list(dict.fromkeys((*groups, "domain", "rated")))
    share = pl.col("majority").sum() / pl.col("n_rated").sum()
    counted = [name for name in prompts.columns if name.startswith("n_")]
    return (
        prompts.with_columns(
            deviation=pl.col("rate") - pl.col("rate").mean().over(within),
            residual=pl.col("majority") - share.over(groups) * pl.col("n_rated"),
        )
        .with_columns(  # apart from the residual, whose window would otherwise be taken inside this one
            majority_deviation=pl.when("rated").then(
                pl.col("residual") - pl.col("residual").mean().over(within)
            )
        )
        .group_by(groups, maintain_order=True)
        .agg(
            pl.col("rate").mean(),
            share.fill_nan(None).alias("majority_rate"),
            pl.col(*counted, "readable", *_MEANS, *LABELS).sum(),
            pl.col("rated").sum().alias("n_prompts"),
            (~pl.col("rated")).sum().alias("n_prompts_missing"),
            pl.col("domain").filter("rated").n_unique().alias("n_strata"),
            (pl.col("deviation") ** 2).sum().alias("squares"),
            (pl.col("majority_deviation") ** 2).sum().alias("majority_squares"),
            (pl.col("noise").filter("rated").sum() / pl.col("rated").sum() ** 2).alias("noise"),
        )
        .with_columns(n_unrated=pl.col("n_records") - pl.col("n_rated"))
    )


def _population_limits(sums: pl.DataFrame, level: float) -> dict[str, Any]:
    import polars as pl

    prompts, strata = _floats(sums, "n_prompts"), _floats(sums, "n_strata")
    records, samples = _floats(sums, "n_rated"), _floats(sums, "readable")
    df = prompts - strata
    free = np.where(df > 0, df, np.nan)
    low, high = effective_wilson(
        _floats(sums, "rate"),
        _floats(sums, "squares") / free / prompts,
        df,
        prompts=prompts,
        samples=samples,
        level=level,
    )
    majority_low, majority_high = effective_wilson(
        _floats(sums, "majority_rate"),
        prompts / free * _floats(sums, "majority_squares") / records**2,
        df,
        prompts=prompts,
        samples=records,
        level=level,
    )
    method = np.where(
        df > 0, "wilson_effective", np.where(prompts > 0, "none: one prompt a domain", "none: no record")
    )
    names = {"low": low, "high": high, "majority_low": majority_low, "majority_high": majority_high}
    return {name: pl.Series(name, values) for name, values in names.items()} | {
        "method": pl.Series(method.tolist())
    }


def _sampling_limits(sums: pl.DataFrame, level: float) -> dict[str, Any]:
    import polars as pl

    known = (_floats(sums, "n_noiseless") == 0) & (_floats(sums, "n_prompts") > 0)
    low, high = sampling_limits(
        _floats(sums, "rate"),
        np.where(known, _floats(sums, "noise"), np.nan),
        samples=_floats(sums, "readable"),
        level=level,
    )
    nothing = np.full(known.shape, np.nan)
    method = np.where(known, "wilson_sampling", "none: one response a prompt, or no record")
    names = {"low": low, "high": high, "majority_low": nothing, "majority_high": nothing}
    return {name: pl.Series(name, values) for name, values in names.items()} | {
        "method": pl.Series(method.tolist())
    }


def _floats(table: pl.DataFrame, name: str) -> NDArray[np.float64]:
    """Return a column as floats with NaN for null, and for a count of zero, by which nothing is divided."""
    import polars as pl

    values: NDArray[np.float64] = table[name].cast(pl.Float64).to_numpy()
    countable = name in {"n_prompts", "n_rated", "readable"}
    return np.where(values == 0, np.nan, values) if countable else values
