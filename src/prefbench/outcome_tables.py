"""Co-outcomes of the cells in, tables out: how common each is, what the treatments do to it, and effects without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from prefbench.blocks import Blocks, make_blocks
from prefbench.cells import KEY
from prefbench.effects import make_table
from prefbench.factors import Design
from prefbench.outcomes import OUTCOMES
from prefbench.statistics import Correction, cell_rate
from prefbench.treatments import EFFECT_COLUMNS, adjust_families, effect_row, estimate_effect

if TYPE_CHECKING:
    import polars as pl

_CURES = {
    "refused": "it is read from the lexical judge's reasons: `prefbench judge --judge lexical`",
    "truncated": "the response files do not say why answers ended",
    "incoherent": "the response files are not there",
}


def outcome_tables(
    cells: pl.DataFrame,
    outcomes: pl.DataFrame,
    design: Design,
    *,
    level: float,
    correction: Correction,
) -> tuple[dict[str, pl.DataFrame], list[str]]:
    """Return `co_outcomes` and `co_outcome_effects`, and what could not be known.

    `co_outcome_effects` has two kinds of `quantity`: `share`, what each effect is on the share of answers that are
    the outcome; and `rate_without`, the effect on the rate of preference among the answers that are not, with
    `change`, how far it moved from the effect on all answers.
    """
    joined = cells.join(outcomes, on=KEY, how="left", maintain_order="left")
    whole = make_blocks(cells, design.conditions)
    shares: list[dict[str, Any]] = []
    effects: list[dict[str, Any]] = []
    notes = []
    for outcome in OUTCOMES:
        known = joined.filter(joined["status"] == "scored", joined[f"n_{outcome}"].is_not_null())
        without = sorted(set(design.conditions) - set(known["condition"].unique()))
        if without:
            notes.append(f"{outcome} answers are not known of {', '.join(without)}: {_CURES[outcome]}")
        if known.is_empty():
            continue
        flagged = make_blocks(_counted(known, f"n_{outcome}", "n_answers"), design.conditions)
        shares += _share_rows(flagged, outcome, level)
        if without or not np.nansum(flagged.yes):
            continue
        rest = make_blocks(
            _counted(known, f"{outcome}_yes", f"{outcome}_yes", f"{outcome}_no"), design.conditions
        )
        effects += _effect_rows(outcome, design, flagged, rest, whole, level)
    kinds: dict[str, Any] = {"condition": str, "outcome": str, "n_answers": int, "n_flagged": int}
    kinds |= {"n_prompts": int, "n_missing": int}
    share_table = make_table(shares, kinds | {"rate": float, "low": float, "high": float, "method": str})
    effect_table = make_table(effects, {"outcome": str, "quantity": str, **EFFECT_COLUMNS, "change": float})
    adjusted = adjust_families(effect_table, ("outcome", "quantity"), correction)
    return {"co_outcomes": share_table, "co_outcome_effects": adjusted}, notes


def _counted(known: pl.DataFrame, yes: str, *readable: str) -> pl.DataFrame:
    """Return the cells with other counts: Y is the column `yes`, what is readable the sum of the others."""
    import polars as pl

    return known.with_columns(yes=pl.col(yes), readable=pl.sum_horizontal(*readable)).with_columns(
        readable=pl.when(pl.col("readable") > 0).then(pl.col("readable"))
    )


def _share_rows(flagged: Blocks, outcome: str, level: float) -> list[dict[str, Any]]:
    rows = []
    for place, condition in enumerate(flagged.conditions):
        answers, count = (int(np.nansum(each[:, place])) for each in (flagged.readable, flagged.yes))
        row: dict[str, Any] = {"condition": condition, "outcome": outcome, "n_answers": answers}
        row["n_flagged"] = count
        rates = flagged.prompt_means(flagged.rates[:, place])
        try:
            found = cell_rate(rates, answers, strata=flagged.domain, level=level)
        except ValueError as error:
            rows.append(row | {"method": f"none: {error}"})
            continue
        row |= {"n_prompts": found.n, "n_missing": found.n_missing}
        limits = {"rate": found.estimate, "low": found.low, "high": found.high, "method": found.method}
        rows.append(row | limits)
    return rows


def _effect_rows(
    outcome: str, design: Design, flagged: Blocks, rest: Blocks, whole: Blocks, level: float
) -> list[dict[str, Any]]:
    rows = []
    for contrast in design.whole or design.contrasts:
        share = effect_row(contrast, lambda c=contrast: estimate_effect(flagged, c, level=level))
        rows.append({"outcome": outcome, "quantity": "share", **share})
        others = effect_row(contrast, lambda c=contrast: estimate_effect(rest, c, level=level))
        every = effect_row(contrast, lambda c=contrast: estimate_effect(whole, c, level=level))
        change = (
            others["estimate"] - every["estimate"] if "estimate" in others and "estimate" in every else None
        )
        rows.append({"outcome": outcome, "quantity": "rate_without", **others, "change": change})
    return rows
