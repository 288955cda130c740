"""Two sets of cells side by side in, tables of differences paired within prompts out."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

from prefbench.statistics import Correction, adjust_p_values, mean_difference, paired_equivalence, sign_flip_p

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

PROMPT = ("domain", "id")
NO_INTERVAL = "none: no two prompts in a domain"
DIFFERENCE_COLUMNS: dict[str, Any] = {
    "n_prompts": int,
    "n_missing": int,
    "first": float,
    "second": float,
    "difference": float,
    "low": float,
    "high": float,
    "p": float,
    "p_adjusted": float,
    "method": str,
}
"""The columns of every table of paired differences, second - first."""
EQUIVALENCE_COLUMNS: dict[str, Any] = {"margin": float, "p_equivalence": float, "equivalent": bool}
"""The columns that say whether a difference is shown to lie within a margin."""


def pair_conditions(cells: pl.DataFrame, first: str, second: str) -> pl.DataFrame:
    """Return the cells (of `rate_cells`) of two conditions side by side, one row a prompt and temperature."""
    return pair_cells(
        cells.filter(cells["condition"] == first),
        cells.filter(cells["condition"] == second),
        on=(*PROMPT, "temperature"),
    )


def pair_cells(first: pl.DataFrame, second: pl.DataFrame, *, on: Sequence[str]) -> pl.DataFrame:
    """Return rates and majorities of two sets of cells side by side, null where a side is missing."""
    import polars as pl

    values = ("rate", "majority", "format")
    joined = first.select(*on, *values).join(
        second.select(*on, *values), on=on, how="full", coalesce=True, suffix="_second"
    )
    return joined.select(
        *on,
        pl.coalesce("format", "format_second").alias("format"),
        pl.col("rate").alias("first"),
        pl.col("rate_second").alias("second"),
        pl.col("majority").alias("first_majority"),
        pl.col("majority_second").alias("second_majority"),
    ).sort(on)


def average_pairs(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return one row a prompt: its two rates, averaged over the paired cells, most moved first."""
    import polars as pl

    return (
        pairs.drop_nulls(("first", "second"))
        .group_by(PROMPT, maintain_order=True)
        .agg(
            pl.col("format").first(),
            pl.len().alias("n_temperatures"),
            pl.col("first", "second").mean(),
        )
        .with_columns(difference=pl.col("second") - pl.col("first"))
        .sort(pl.col("difference").abs().round(12), *PROMPT, descending=[True, False, False])
    )


def count_unpaired(pairs: pl.DataFrame) -> tuple[int, int]:
    """Return how many prompts without a pair have a rate on the first side, and on the second."""
    import polars as pl

    sides = pairs.group_by(PROMPT, maintain_order=True).agg(
        pl.col("first", "second").count(),
        paired=(pl.col("first").is_not_null() & pl.col("second").is_not_null()).any(),
    )
    alone = sides.filter(~pl.col("paired"))
    return alone.filter(pl.col("first") > 0).height, alone.filter(pl.col("second") > 0).height


def count_missing(pairs: pl.DataFrame) -> int:
    """Return how many expected prompts have no pair."""
    return pairs.select(PROMPT).unique().height - average_pairs(pairs).height


def difference_table(
    pairs: pl.DataFrame, by: str, *, margin: float, level: float = 0.95, correction: Correction = "holm"
) -> pl.DataFrame:
    """Return one row a value of `by` (domain, temperature or format): the paired difference and its adjusted p.

    `p_equivalence` and `equivalent` say whether it is shown to lie within the margin, each row for itself.
    """
    known = pairs.filter(pairs[by].is_not_null())
    groups = known.partition_by(by, as_dict=True, maintain_order=True)
    rows = [
        {by: key[0], **difference_row(group, level=level), **equivalence_row(group, margin, level=level)}
        for key, group in sorted(groups.items())
    ]
    kinds = {by: pairs.schema[by], **DIFFERENCE_COLUMNS, **EQUIVALENCE_COLUMNS}
    return make_table(rows, kinds, correction=correction)


def equivalence_row(pairs: pl.DataFrame, margin: float, *, level: float = 0.95) -> dict[str, Any]:
    """Return the columns of one equivalence test; null without two prompts in a domain."""
    prompts = average_pairs(pairs)
    if prompts.height <= prompts["domain"].n_unique():
        return {"margin": margin, "p_equivalence": None, "equivalent": None}
    test = paired_equivalence(
        prompts["difference"].to_numpy(), margin, strata=prompts["domain"].to_list(), level=level
    )
    return {"margin": margin, "p_equivalence": test.p, "equivalent": test.equivalent}


def difference_row(pairs: pl.DataFrame, *, level: float = 0.95) -> dict[str, Any]:
    """Return the columns of one paired difference; the interval is null without two prompts in a domain."""
    prompts = average_pairs(pairs)
    row: dict[str, Any] = dict.fromkeys(DIFFERENCE_COLUMNS)
    row |= {"n_prompts": prompts.height, "method": NO_INTERVAL if prompts.height else "none: no pair"}
    row["n_missing"] = pairs.select(PROMPT).unique().height - prompts.height
    if prompts.height:
        row |= prompts.select("first", "second", "difference").mean().row(0, named=True)
    if prompts.height > prompts["domain"].n_unique():
        estimate = mean_difference(
            prompts["difference"].to_numpy(), strata=prompts["domain"].to_list(), level=level
        )
        row |= {"low": estimate.low, "high": estimate.high, "p": estimate.p, "method": estimate.method}
    return row


def make_table(
    rows: Sequence[Mapping[str, Any]], schema: Mapping[str, Any], *, correction: Correction = "holm"
) -> pl.DataFrame:
    """Return rows as a table, with `p` adjusted over its rows as the family in `p_adjusted`; NaN becomes null."""
    import polars as pl

    table = pl.DataFrame(
        list(rows), schema={name: _dtype(kind) for name, kind in schema.items()}, strict=False
    )
    if "p_adjusted" in schema:
        p_values = table["p"].cast(pl.Float64).to_numpy()
        table = table.with_columns(
            p_adjusted=pl.Series(adjust_p_values(p_values, correction), dtype=pl.Float64)
        )
    return table.with_columns(pl.col(pl.Float64).fill_nan(None))


def compare_pairs(
    cells: pl.DataFrame, conditions: Sequence[str], *, level: float, correction: Correction, seed: int
) -> pl.DataFrame:
    """Compare each pair of conditions (second - first), with the sign-flip p as a check."""
    kinds: dict[str, Any] = {"first_condition": str, "second_condition": str, **DIFFERENCE_COLUMNS}
    kinds |= {"p_sign_flip": float}
    rows = []
    for first, second in combinations(conditions, 2):
        pairs = pair_conditions(cells, first, second)
        differences = average_pairs(pairs)["difference"].to_numpy()
        row = {"first_condition": first, "second_condition": second, **difference_row(pairs, level=level)}
        rows.append(row | {"p_sign_flip": sign_flip_p(differences, seed=seed) if differences.size else None})
    return make_table(rows, kinds, correction=correction)


def _dtype(kind: Any) -> Any:
    import polars as pl

    return {int: pl.Int64, float: pl.Float64, str: pl.String, bool: pl.Boolean}.get(kind, kind)
