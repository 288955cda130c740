"""The tables that `judge calibrate` and `judge compare` print for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefbench.cli.output import note, number, points
from prefbench.cli.tables import (
    Column,
    count,
    decimal,
    difference,
    limits,
    p,
    print_notes,
    share,
    show,
    text,
)

if TYPE_CHECKING:
    from prefbench.calibration import Calibration, JudgeComparison


def decimals(low: str, high: str, title: str) -> Column:
    """Return a column of intervals of coefficients, with two digits."""
    return title, lambda row: "-" if row[low] is None else f"[{number(row[low])}, {number(row[high])}]"


def point_limits(name: str, title: str) -> Column:
    """Return a column of intervals of a difference, in percentage points."""
    low, high = f"{name}_low", f"{name}_high"
    return title, lambda row: "-" if row[low] is None else f"[{points(row[low])}, {points(row[high])}]"


def print_calibration(result: Calibration) -> None:
    """Print how far a judge can be trusted."""
    from prefbench.cli.tables import count, limits, print_notes, share, show, text

    tables, level = result.tables, f"{result.level:.0%}"
    scope = (text("by"), text("group"), count("n_labels", "labels"), count("n_prompts", "prompts"))
    rates = (count("n_missing", "missing"), share("base_rate", "labels Y"), share("judge_rate", "judge Y"))
    constant = (
        text("constant", "always"),
        share("constant_accuracy", "is right"),
        decimal("constant_ac1", "AC1"),
    )
    show(
        f"Labels, and the best constant answer, whose kappa is 0 (judge: {result.judge})",
        tables["agreement"],
        [*scope, *rates, *constant],
    )
    ratings = [share("accuracy", "accuracy"), limits("accuracy_low", "accuracy_high", level)]
    for name, title in (("kappa", "kappa"), ("ac1", "AC1"), ("alpha", "alpha")):
        ratings += [decimal(name, title), decimals(f"{name}_low", f"{name}_high", level)]
    show("Agreement with the labels", tables["agreement"], [scope[0], scope[1], *ratings])
    errors = []
    for name, title in (("sensitivity", "Y found"), ("specificity", "N found")):
        errors += [share(name, title), limits(f"{name}_low", f"{name}_high", level)]
    show("Which way it errs", tables["agreement"], [scope[0], scope[1], *errors])
    counts = [text("label"), count("Y", "judge Y"), count("N", "judge N"), count("missing", "missing")]
    show("Labels by verdicts", tables["confusion"], counts)
    _print_position(result, level)
    _print_checks(result, level)
    print_notes(result.notes)
    different = tables["disagreements"].height
    if different:
        note(
            f"note: {different:,} verdicts differ from the label; --out FILE.csv lists them with their texts"
        )


def _print_position(result: Calibration, level: str) -> None:
    tables = result.tables
    if "positions" in tables:
        columns = [
            count("position", "place"),
            share("rate", "Y"),
            count("n", "verdicts"),
            count("n_missing", "missing"),
        ]
        show("Verdicts by the place of the response in its record", tables["positions"], columns)
        test = [
            count("n_prompts", "prompts"),
            difference("last_minus_first", "last - first"),
            point_limits("last_minus_first", level),
            p("p_slope", "p (slope)"),
            p("p_any", "p (any place)"),
        ]
        show("Does the place matter? (slope, in points)", tables["position_test"], test)
    slope = [text("of"), difference("slope", "slope"), point_limits("slope", level), p("p", "p")]
    show("Rate of Y, in points for each doubling of a response's length", tables["length"], slope)


def _print_checks(result: Calibration, level: str) -> None:
    tables = result.tables
    if "repeat" in tables:
        columns = [count("n", "verdicts"), count("n_changed", "changed"), count("n_missing", "missing")]
        columns += [share("agreement", "agreement"), limits("agreement_low", "agreement_high", level)]
        columns += [decimal("kappa", "kappa"), decimals("kappa_low", "kappa_high", level)]
        show("Asked again", tables["repeat"], columns)
    if "canaries" in tables:
        named = [text(name) for name in ("name", "question", "expected", "verdicts", "outcome", "reason")]
        show("Canaries", tables["canaries"], named)


def print_judges(result: JudgeComparison) -> None:
    """Print how far several judges agree."""
    tables, level = result.tables, f"{result.level:.0%}"
    rates = [text("condition"), text("judge"), count("n_prompts", "prompts"), count("n", "answers")]
    rates += [count("n_missing", "missing"), share("rate", "rate"), limits("rate_low", "rate_high", level)]
    show("Rates, on the answers that all judges could read", tables["rates"], rates)
    pairs = [text("first"), text("second"), count("n", "answers")]
    pairs += [count("first_only", "Y by first only"), count("second_only", "by second only")]
    pairs += [share("agreement", "agree"), limits("agreement_low", "agreement_high", level)]
    for name, title in (("kappa", "kappa"), ("ac1", "AC1")):
        pairs += [decimal(name, title), decimals(f"{name}_low", f"{name}_high", level)]
    pairs += [difference("difference", "second - first"), point_limits("difference", level), p("p", "p")]
    show("Pairs of judges", tables["pairs"], pairs)
    overall = [count("n_complete", "answers"), share("all_agree", "all agree")]
    for name, title in (("ac1", "AC1"), ("alpha", "alpha")):
        overall += [decimal(name, title), decimals(f"{name}_low", f"{name}_high", level)]
    show("All judges at once", tables["overall"], overall)
    shares = [share(f"share_{judge}", judge) for judge in result.judges]
    record = [
        text("condition"),
        text("domain"),
        text("id"),
        decimal("temperature", "t"),
        count("n_differ", "differ"),
    ]
    show("Records that differ most (share of Y by judge)", tables["records"], [*record, *shares])
    print_notes(result.notes)
