"""What `prefbench stats` prints where people have labelled some answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefbench.cli.output import note
from prefbench.cli.tables import SCALES, count, decimal, estimate_columns, limits, p, share, show, text

if TYPE_CHECKING:
    import polars

    from prefbench.stats import Statistics

_EFFECTS = ("main", "interaction", "simple")


def print_corrected(result: Statistics) -> None:
    """Print the judge's errors, and the rates and effects that they are taken out of."""
    if "corrected" not in result.tables:
        return
    errors = [decimal(name, name) for name in ("agreement", "sensitivity", "specificity")]
    labels = count("n_labels", "labels")
    show(
        f"The judge {result.judge} against human labels",
        result.tables["judge_errors"],
        [text("condition"), labels, *errors, share("human_rate", "human"), share("judge_rate", "judge")],
    )
    table = result.tables["corrected"]
    whole = table.filter(table["by"].is_null())
    show(
        "Rates, as a human would read them",
        whole.filter(whole["kind"] == "rate"),
        [
            text("name", "condition"),
            labels,
            share("estimate", "rate"),
            limits("low", "high", "interval"),
            text("method"),
        ],
    )
    for scale, title in SCALES.items():
        show(
            f"Effects, as judged and as a human would read them, in {title}",
            whole.filter(whole["scale"] == scale),
            [text("name", "effect"), labels, *estimate_columns(scale), text("method")],
        )
    _print_groups(result, table.filter(table["by"].is_not_null()))


def _print_groups(result: Statistics, table: polars.DataFrame) -> None:
    labels = count("n_labels", "labels")
    columns = [labels, *estimate_columns("rate_difference")]
    for by in table["by"].unique(maintain_order=True):
        effects = table.filter((table["by"] == by) & table["kind"].is_in(_EFFECTS))
        show(f"Effects by {by}, as a human would read them", effects, [text("name", "effect"), *columns])
    within = p("p_equivalence", f"p (within {100 * result.margin:.0f} points)")
    between = table.filter((table["by"] == "temperature") & (table["kind"] == "difference"))
    show("Temperatures, as a human would read them", between, [text("name", "difference"), *columns, within])
    slopes = table.filter(table["kind"] == "slope")
    tests = [p("p_change", "p (any change)"), p("p_bend", "p (not a line)")]
    show(
        "Trend over temperature, as a human would read them",
        slopes,
        [text("name", "slope per 1.0"), *columns, *tests],
    )
    if table.height:
        note("Rates by group and the differences of domains and formats, so corrected, are in --json.")
