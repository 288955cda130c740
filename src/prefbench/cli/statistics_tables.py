"""The tables that `prefbench stats` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefbench.cli.corrected_tables import print_corrected
from prefbench.cli.output import note
from prefbench.cli.tables import (
    COUNTS,
    DIFFERENCE,
    RATES,
    SCALES,
    count,
    decimal,
    difference,
    estimate_columns,
    in_points,
    limits,
    p,
    print_notes,
    share,
    show,
    text,
)

if TYPE_CHECKING:
    import polars

    from prefbench.stats import Statistics


def print_statistics(result: Statistics) -> None:
    """Print the statistics of a study."""
    tables = result.tables
    condition, adjusted = text("condition"), f"adjusted by {result.correction}"
    show(f"Rates (judge: {result.judge})", tables["rates"], [condition, *COUNTS, *RATES])
    show("Rates by domain", tables["domain_rates"], [condition, text("domain"), *COUNTS, *RATES])
    if tables["format_rates"].height > len(result.conditions):
        show("Rates by format", tables["format_rates"], [condition, text("format"), *COUNTS, *RATES])
    adjusted = f"adjusted by {result.correction}"
    print_effects(result)
    gradient = [text("highest"), text("lowest"), difference("gradient", "gap"), p("p", "p")]
    show("Do domains differ?", tables["domain_tests"], [condition, count("n_domains", "domains"), *gradient])
    temperature = [condition, text("colder"), text("hotter"), *in_points(DIFFERENCE)]
    margin = f"within {100 * result.margin:.0f} points"
    show(
        f"Temperatures, paired by prompt ({adjusted})",
        tables["temperature_differences"],
        [*temperature, p("p_equivalence", f"p ({margin})")],
    )
    pairs = [condition, text("higher"), text("lower"), *in_points(DIFFERENCE)]
    show(f"Formats, within domains ({adjusted})", tables["format_differences"], pairs)
    stable = [count("n_pairs", "pairs"), difference("largest_difference", "largest"), p("p", f"p ({margin})")]
    verdict = ("<stable", lambda row: {True: "shown", False: "not shown"}.get(row["stable"], "-"))
    show(
        f"Is the rate stable over temperature, {margin}?", tables["stability"], [condition, *stable, verdict]
    )
    _print_trend(tables["temperature_trend"])
    _print_consistency(tables["consistency"])
    _print_outcomes(result)
    print_corrected(result)
    _print_bayes(result)
    _print_bounds(tables["bounds"])
    print_notes(result.notes)
    note(result.scope)


def _print_bounds(bounds: polars.DataFrame) -> None:
    """Print the worst cases where cells are missing; without any there is nothing to say."""
    if bounds["n_missing"].sum():
        against = text("baseline", "minus")
        missing = [text("condition"), against, count("n_cells", "cells"), count("n_missing", "missing")]
        show(
            "Worst cases, were all that is missing N or Y",
            bounds,
            [*missing, limits("low", "high", "bounds")],
        )


def print_effects(result: Statistics) -> None:
    """Print the factorial effects where the treatments are known, else the pairs of conditions."""
    tables, adjusted = result.tables, f"adjusted by {result.correction}"
    if result.factors:
        factorial = tables["factorial"]
        for scale, title in SCALES.items():
            show(
                f"Effects of {' and '.join(result.factors)}, in {title} ({adjusted})",
                factorial.filter(factorial["scale"] == scale),
                [text("name", "effect"), text("kind"), *estimate_columns(scale), text("method")],
            )
    else:
        pair = [text("first_condition", "from"), text("second_condition", "to")]
        rates = [share("first", "first"), share("second", "second"), *in_points(DIFFERENCE)]
        show(
            f"Effects between conditions ({adjusted})",
            tables["effects"],
            [*pair, *rates, p("p_sign_flip", "sign-flip p")],
        )
    show(
        f"Effects by domain ({adjusted} over the domains)",
        tables["domain_effects"],
        [text("name", "effect"), text("domain"), *estimate_columns("rate_difference")],
    )
    tests = [text("name", "effect"), difference("smallest", "smallest"), difference("largest", "largest")]
    show("Do domains share an effect?", tables["domain_effect_tests"], [*tests, p("p", "p")])


def _print_trend(trend: polars.DataFrame) -> None:
    slope = [count("n_prompts", "prompts"), difference("slope", "per 1.0"), limits("low", "high", "interval")]
    tests = [p("p", "p (slope)"), p("p_change", "p (any change)"), p("p_bend", "p (not a line)")]
    show("Trend over temperature", trend, [text("condition"), *in_points(slope), *tests])


def _print_consistency(table: polars.DataFrame) -> None:
    icc = (
        "interval",
        lambda row: "-" if row["icc"] is None else f"[{row['icc_low']:.2f}, {row['icc_high']:.2f}]",
    )
    agreement = [decimal("pairwise_agreement", "pairwise"), decimal("icc", "ICC"), icc]
    shares = [share(f"{part}_share", part) for part in ("domain", "prompt", "temperature", "sampling")]
    show(
        "How alike the answers to a prompt are, and where the variance of an answer lies",
        table,
        [text("condition"), *agreement, decimal("choice_agreement", "same choice"), *shares],
    )


def _print_outcomes(result: Statistics) -> None:
    if "co_outcomes" not in result.tables:
        return
    counts = [count("n_answers", "answers"), count("n_flagged", "found"), share("rate", "share")]
    outcome = text("outcome", "answers that are")
    show(
        "Refused, truncated and incoherent answers",
        result.tables["co_outcomes"],
        [text("condition"), outcome, *counts, limits("low", "high", "95% interval")],
    )
    named = {"share": "share of such answers", "rate_without": "rate among the others"}
    quantity = ("<effect on", lambda row: named[row["quantity"]])
    show(
        "Effects on them, and effects on the rate without them",
        result.tables["co_outcome_effects"],
        [
            outcome,
            quantity,
            text("name", "effect"),
            *estimate_columns("rate_difference"),
            difference("change", "change"),
        ],
    )


def _print_bayes(result: Statistics) -> None:
    table = result.tables.get("bayes")
    if table is None or table.is_empty():  # a note says why
        return
    for scale, title in SCALES.items():
        part = table.filter(table["scale"] == scale)
        default = part.select("name", *(f"default{end}" for end in ("", "_low", "_high")))
        names = {"default": "estimate", "default_low": "low", "default_high": "high"}
        # the columns of one estimate, once for each method
        methods = {"bayes_hierarchical": part, "default": default.rename(names)}
        rows = [
            {"name": row["name"], "method": method, **{name: row.get(name) for name in _BAYES}}
            for pair in zip(*(each.to_dicts() for each in methods.values()), strict=True)
            for method, row in zip(methods, pair, strict=True)
        ]
        columns = [text("name", "effect"), text("method"), *estimate_columns(scale)[2:4]]
        columns += [share("p_direction", "P(sign)"), decimal("r_hat", "R-hat", 3)]
        columns += [decimal("ess_bulk", "bulk ESS", 0), decimal("ess_tail", "tail ESS", 0)]
        show(f"Bayesian check, in {title}", part.__class__(rows, infer_schema_length=None), columns)


_BAYES = ("estimate", "low", "high", "p_direction", "r_hat", "ess_bulk", "ess_tail")
