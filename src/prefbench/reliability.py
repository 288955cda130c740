"""Rate cells in, how alike the answers to one prompt are out: agreement, intraclass correlation, variance shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from prefbench.effects import PROMPT, make_table
from prefbench.statistics import anova_icc, max_share, pairwise_agreement, variance_shares

if TYPE_CHECKING:
    import polars as pl

CONSISTENCY_COLUMNS: dict[str, Any] = {
    "condition": str,
    "n_records": int,
    "max_share": float,
    "pairwise_agreement": float,
    "choice_agreement": float,
    "content_agreement": float,
    "icc": float,
    "icc_low": float,
    "icc_high": float,
    "n_prompts": int,
    "n_missing": int,
    "domain_share": float,
    "prompt_share": float,
    "temperature_share": float,
    "sampling_share": float,
    "method": str,
}


def consistency_table(cells: pl.DataFrame, conditions: Sequence[str], *, level: float = 0.95) -> pl.DataFrame:
    """Return one row a condition: agreement within records, and how the variance of a single answer is shared.

    `pairwise_agreement` and the ICC (all answers to a prompt, over its temperatures) say that answers agree in
    *whether* they prefer; `choice_agreement` and `content_agreement` in *what*.
    """
    import polars as pl

    rows = []
    for condition in conditions:
        own = cells.filter(pl.col("condition") == condition)
        part = own.filter(pl.col("readable").is_not_null())
        row: dict[str, Any] = {"condition": condition, "n_records": part.height}
        yes, no = (part[name].cast(pl.Float64).to_numpy() for name in ("yes", "no"))
        for name, values in (
            ("max_share", max_share(yes, no)),
            ("pairwise_agreement", pairwise_agreement(yes, no)),
        ):
            row[name] = float(np.nanmean(values)) if np.isfinite(values).any() else None
        row |= {name: part[name].mean() for name in ("choice_agreement", "content_agreement")}
        row["n_missing"] = own.select(PROMPT).unique().height - part.select(PROMPT).unique().height
        rows.append(row | _icc(part, level) | _shares(part))
    return make_table(rows, CONSISTENCY_COLUMNS)


def _icc(part: pl.DataFrame, level: float) -> dict[str, Any]:
    import polars as pl

    prompts = part.group_by(PROMPT, maintain_order=True).agg(pl.col("yes", "readable").sum())
    row: dict[str, Any] = {"n_prompts": prompts.height}
    try:
        found = anova_icc(prompts["yes"].to_numpy(), prompts["readable"].to_numpy(), level=level)
    except ValueError as error:
        return row | {"method": f"none: {error}"}
    return row | {"icc": found.estimate, "icc_low": found.low, "icc_high": found.high, "method": found.method}


def _shares(part: pl.DataFrame) -> dict[str, float]:
    import polars as pl

    names = part.select(pl.concat_str([*PROMPT], separator="\0"))[:, 0].to_numpy()
    try:
        found = variance_shares(
            part["yes"].to_numpy(), part["readable"].to_numpy(), names, domains=part["domain"].to_numpy()
        )
    except ValueError:  # the ICC's own row says why
        return {}
    parts = ("domain", "prompt", "temperature", "sampling")
    return {f"{name}_share": getattr(found, name) for name in parts}
