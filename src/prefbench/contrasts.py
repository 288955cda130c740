"""One condition at a time: how its domains, formats and temperatures differ, with what could not be tested."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from prefbench.blocks import make_blocks
from prefbench.effects import (
    DIFFERENCE_COLUMNS,
    EQUIVALENCE_COLUMNS,
    PROMPT,
    difference_row,
    equivalence_row,
    make_table,
    pair_cells,
)
from prefbench.statistics import (
    Correction,
    independent_difference,
    temperature_trend,
    welch_anova,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl


def _prompt_rates(cells: pl.DataFrame) -> pl.DataFrame:
    """Return one row a condition and prompt that has a rate: the mean over its temperatures."""
    import polars as pl

    return (
        cells.drop_nulls("rate")
        .group_by("condition", *PROMPT, maintain_order=True)
        .agg(pl.col("format").first(), pl.col("rate").mean())
        .sort("condition", *PROMPT)
    )


def _by_condition(table: pl.DataFrame) -> Iterable[tuple[str, pl.DataFrame]]:
    parts = table.partition_by("condition", as_dict=True)
    return sorted((str(key[0]), part) for key, part in parts.items())


def _ordered_groups(prompts: pl.DataFrame, by: str) -> list[tuple[str, pl.DataFrame]]:
    """Return the prompts of each domain or format, highest mean rate first."""
    parts = prompts.drop_nulls(by).partition_by(by, as_dict=True)
    named = [(str(key[0]), part) for key, part in parts.items()]
    return sorted(named, key=lambda item: (-float(item[1]["rate"].mean() or 0.0), item[0]))  # type: ignore[arg-type]


def rank_domains(cells: pl.DataFrame) -> pl.DataFrame:
    """Return for each condition its highest and lowest domain, and Welch's test that all have one rate."""
    kinds: dict[str, Any] = {
        "condition": str,
        "n_domains": int,
        "n_prompts": int,
        "highest": str,
        "lowest": str,
    }
    kinds |= dict.fromkeys(("gradient", "statistic", "df_between", "df_within", "p"), float) | {"method": str}
    rows = []
    for condition, prompts in _by_condition(_prompt_rates(cells)):
        groups = _ordered_groups(prompts, "domain")
        if len(groups) < 2:
            continue
        means = [float(part["rate"].mean() or 0.0) for _, part in groups]  # type: ignore[arg-type]
        row = {"condition": condition, "n_domains": len(groups), "n_prompts": prompts.height}
        row |= {"highest": groups[0][0], "lowest": groups[-1][0], "gradient": means[0] - means[-1]}
        try:
            test = welch_anova([part["rate"].to_numpy() for _, part in groups])._asdict()
        except ValueError as error:
            test = {"method": f"none: {error}"}
        rows.append(row | {"method": "welch_anova"} | test)
    return make_table(rows, kinds)


def compare_groups(cells: pl.DataFrame, by: str, *, level: float, correction: Correction) -> pl.DataFrame:
    """Return each pair of domains, or of formats within domains, in each condition: higher - lower rate."""
    kinds = {"condition": str, "higher": str, "lower": str, "n_prompts": int, "n_missing": int}
    kinds |= {
        "difference": float,
        "low": float,
        "high": float,
        "p": float,
        "p_adjusted": float,
        "method": str,
    }
    families = []
    for condition, prompts in _by_condition(_prompt_rates(cells)):
        rows = [
            {"condition": condition, **_compare_pair(one, two, within=by == "format", level=level)}
            for one, two in combinations(_ordered_groups(prompts, by), 2)
        ]
        families.append(make_table(rows, kinds, correction=correction))
    return _stack(families, kinds)


def _compare_pair(
    higher: tuple[str, pl.DataFrame], lower: tuple[str, pl.DataFrame], *, within: bool, level: float
) -> dict[str, Any]:
    one, two = (part["rate"].to_numpy() for part in (lower[1], higher[1]))
    strata = [part["domain"].to_list() if within else None for part in (lower[1], higher[1])]
    row = {"higher": higher[0], "lower": lower[0]}
    try:
        found = independent_difference(one, two, first_strata=strata[0], second_strata=strata[1], level=level)
    except ValueError as error:
        nothing = dict.fromkeys(("difference", "low", "high", "p"))
        return row | nothing | {"n_prompts": one.size + two.size, "method": f"none: {error}"}
    numbers = {"difference": found.estimate, "low": found.low, "high": found.high, "p": found.p}
    return row | numbers | {"n_prompts": found.n, "n_missing": found.n_missing, "method": found.method}


def compare_temperatures(
    cells: pl.DataFrame, *, level: float, margin: float, correction: Correction
) -> pl.DataFrame:
    """Compare each pair of temperatures in each condition (hotter - colder), and test their equivalence."""
    kinds: dict[str, Any] = {"condition": str, "colder": float, "hotter": float}
    kinds |= DIFFERENCE_COLUMNS | EQUIVALENCE_COLUMNS
    families = []
    for condition, part in _by_condition(cells):
        rows = []
        for colder, hotter in combinations(sorted(part["temperature"].unique()), 2):
            left, right = (part.filter(part["temperature"] == at) for at in (colder, hotter))
            pairs = pair_cells(left, right, on=PROMPT)
            row = {"condition": condition, "colder": colder, "hotter": hotter}
            rows.append(
                row | difference_row(pairs, level=level) | equivalence_row(pairs, margin, level=level)
            )
        families.append(make_table(rows, kinds, correction=correction))
    return _stack(families, kinds)


def judge_stability(differences: pl.DataFrame) -> pl.DataFrame:
    """Say for each condition whether all its temperatures are equivalent (intersection-union: the largest p)."""
    import polars as pl

    return (
        differences.group_by("condition", maintain_order=True)
        .agg(
            pl.len().alias("n_pairs"),
            pl.col("margin").first(),
            pl.col("difference").abs().max().alias("largest_difference"),
            pl.when(pl.col("p_equivalence").null_count() == 0).then(pl.col("p_equivalence").max()).alias("p"),
            pl.when(pl.col("equivalent").null_count() == 0).then(pl.col("equivalent").all()).alias("stable"),
        )
        .sort("condition")
    )


def fit_trend(cells: pl.DataFrame, *, level: float, correction: Correction) -> pl.DataFrame:
    """Return the mean per-prompt slope of the rate per 1.0 of temperature, over prompts that have them all.

    `p_change` is the joint test that all temperatures share one rate, `p_bend` that their rates lie on a line.
    """
    kinds = {"condition": str, "n_prompts": int, "n_missing": int}
    kinds |= dict.fromkeys(("slope", "low", "high", "p", "p_adjusted", "p_change", "p_bend"), float)
    kinds |= {"method": str}
    rows = []
    for condition, part in _by_condition(cells):
        temperatures = sorted(part["temperature"].unique())
        if len(temperatures) < 2:
            continue
        blocks = make_blocks(part, [condition])
        yes, readable = (each[:, 0] for each in blocks.by_temperature())
        rates = yes / np.where(readable > 0, readable, np.nan)
        complete = int(np.isfinite(rates).all(axis=1).sum())
        row = {"condition": condition, "n_prompts": complete, "n_missing": len(rates) - complete}
        try:
            found = temperature_trend(rates, temperatures, strata=blocks.domain, level=level)
        except ValueError as error:
            rows.append(row | {"method": f"none: {error}"})
            continue
        slope = found.slope
        row |= {"slope": slope.estimate, "low": slope.low, "high": slope.high, "p": slope.p}
        row |= {"p_change": found.change and found.change.p, "p_bend": found.bend and found.bend.p}
        rows.append(row | {"method": slope.method})
    return make_table(rows, kinds, correction=correction)


def _stack(families: list[pl.DataFrame], kinds: dict[str, Any]) -> pl.DataFrame:
    import polars as pl

    return pl.concat([make_table([], kinds), *families])
