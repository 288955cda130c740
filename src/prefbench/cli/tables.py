"""The tables that `aggregate`, `stats`, `compare` and `demo` print for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prefbench.cli.output import interval, note, number, p_value, percent, points, print_table

if TYPE_CHECKING:
    import polars

    from prefbench.aggregate import Aggregate
    from prefbench.compare import Comparison
    from prefbench.differences import ManifestDiff

Row = Mapping[str, Any]
Column = tuple[str, Callable[[Row], str]]

RATE_VIEWS = ("condition", "condition_domain", "condition_temperature", "condition_format")


def text(name: str, title: str | None = None) -> Column:
    """Return a column of texts; a missing one is a dash."""
    return f"<{title or name}", lambda row: "-" if row[name] is None else str(row[name])


def count(name: str, title: str) -> Column:
    """Return a column of counts."""
    return title, lambda row: "-" if row[name] is None else f"{row[name]:,}"


def share(name: str, title: str) -> Column:
    """Return a column of shares in percent."""
    return title, lambda row: percent(row[name])


def limits(low: str, high: str, title: str) -> Column:
    """Return a column of intervals in percent."""
    return title, lambda row: interval(row[low], row[high])


def decimal(name: str, title: str, digits: int = 2) -> Column:
    """Return a column of numbers with so many digits."""
    return title, lambda row: number(row[name], digits)


def difference(name: str, title: str) -> Column:
    """Return a column of differences in percentage points."""
    return title, lambda row: points(row[name])


def p(name: str, title: str) -> Column:
    """Return a column of p-values."""
    return title, lambda row: p_value(row[name])


COUNTS = (
    count("n_prompts", "prompts"),
    count("n_records", "records"),
    count("n_missing", "missing"),
    count("n_unreadable", "unreadable"),
)
RATES = (share("rate", "rate"), limits("low", "high", "95% interval"), share("majority_rate", "majority"))
CONSISTENCY = (
    decimal("max_share", "max share"),
    decimal("pairwise_agreement", "pairwise"),
    decimal("choice_agreement", "same choice"),
    decimal("content_agreement", "same content"),
)
LABELS = (
    count("consistent_preference", "prefers"),
    count("mixed", "mixed"),
    count("consistent_no_preference", "none"),
)
DIFFERENCE = (
    count("n_prompts", "prompts"),
    count("n_missing", "missing"),
    difference("difference", "difference"),
    limits("low", "high", "95% interval"),
    p("p", "p"),
    p("p_adjusted", "p (adjusted)"),
)
SCALES = {"rate_difference": "percentage points", "log_odds": "log odds ratios"}
"""The scales of an effect, and what they are called above a table."""


def show(title: str, frame: polars.DataFrame, columns: Sequence[Column]) -> None:
    """Print a frame; nothing at all if it has no rows."""
    rows = [[read(row) for _, read in columns] for row in frame.iter_rows(named=True)]
    if rows:
        print_table(title, [header for header, _ in columns], rows)


def print_aggregate(result: Aggregate, *, views: Sequence[str] = RATE_VIEWS) -> None:
    """Print the rates, one table a view, and what is missing."""
    for view in views:
        table = result.views[view]
        groups = [name for name in ("condition", "domain", "temperature", "format") if name in table.columns]
        if view == "condition" or table.height > result.views["condition"].height:
            named = [text(name) for name in groups]
            show(f"Rates by {' and '.join(groups)} (judge: {result.judge})", table, [*named, *COUNTS, *RATES])
    consistency = [text("condition"), text("domain"), count("n_records", "records"), *CONSISTENCY, *LABELS]
    show("How far the answers to one prompt agree", result.views["condition_domain"], consistency)
    note(
        "rate: share of answers that express a preference, averaged over prompts. majority: share of records with "
        "more Y than N, as published."
    )
    thresholds = result.thresholds
    note(
        f"prefers: Y in at least {thresholds.upper:.0%} of a record's answers; none: at most {thresholds.lower:.0%}; "
        "mixed: between. max share (as published) and pairwise (unbiased): agreement of the verdicts of one prompt; "
        "same choice: of what is chosen; same content: of the texts."
    )
    print_notes(result.notes)


def print_comparison(result: Comparison) -> None:
    """Print what changed between two conditions."""
    overall = result.overall
    print_table(
        f"{result.second} minus {result.first} (judge: {result.judge})",
        [
            "<",
            *(
                f"{name}"
                for name in ("prompts", "missing", "first", "second", "difference", "95% interval", "p")
            ),
        ],
        [
            [
                "all domains",
                f"{overall.n:,}",
                f"{overall.n_missing:,}",
                percent(result.first_rate),
                percent(result.second_rate),
                points(overall.estimate),
                points_interval(overall.low, overall.high),
                p_value(overall.p),
            ]
        ],
    )
    for by in ("domain", "temperature", "format"):
        if result.tables[by].height > 1:
            columns = [text(by), share("first", "first"), share("second", "second"), *in_points(DIFFERENCE)]
            columns.append(p("p_equivalence", f"p (within {100 * result.equivalence.margin:g} points)"))
            show(f"By {by} (Holm over the rows)", result.tables[by], columns)
    columns = [text("first"), text("second"), count("n_records", "records"), share("share", "share")]
    show("What most answers of a record did", result.tables["transitions"], columns)
    _print_moves(result)
    print_equivalence(result)
    note("Differences are in percentage points of the response-level rate, paired by prompt.")
    print_notes(result.notes)


def _print_moves(result: Comparison) -> None:
    how = ("<how", lambda row: row["move"].replace("_", " "))
    show(
        "How records moved",
        result.tables["moves"],
        [how, count("n_records", "records"), share("share", "share")],
    )
    prompt = [text("domain"), text("id"), share("first", "first"), share("second", "second")]
    chosen = [text("first_choice", "chosen first"), text("second_choice", "chosen then")]
    show(
        "Prompts that moved most",
        result.tables["moved"],
        [*prompt, difference("difference", "difference"), how, *chosen],
    )


def print_equivalence(result: Comparison) -> None:
    """Print whether the difference is shown to lie within the margin, and the difference on other scales."""
    test, sizes = result.equivalence, result.sizes
    verdict = "is shown" if test.equivalent else "is not shown"
    note(
        f"Equivalence within {100 * test.margin:g} points {verdict}: {100 * (2 * test.level - 1):g}% interval "
        f"{points_interval(test.low, test.high)}, p {p_value(test.p)}."
    )
    note(
        f"Other scales: Cohen's h {number(sizes.cohens_h)}, marginal odds ratio {number(sizes.odds_ratio)}, risk ratio "
        f"{number(sizes.risk_ratio)}, Cohen's d of the paired differences {number(sizes.cohens_dz)}."
    )


def print_differences(result: ManifestDiff) -> None:
    """Print in what two conditions differ."""
    rows = [[each.setting, _short(each.first), _short(each.second), each.kind] for each in result.differences]
    title = f"{result.first} and {result.second}"
    if rows:
        print_table(title, ["<setting", f"<{result.first}", f"<{result.second}", "<kind"], rows)
    else:
        note(f"{title}: no setting {'is known to differ' if result.notes else 'differs'}")
    print_notes(result.notes)


def _short(value: Any) -> str:
    shown = "-" if value is None else str(value)
    return shown if len(shown) <= 40 else f"{shown[:37]}..."


def print_notes(notes: Sequence[str]) -> None:
    """Print remarks on stderr, one a line."""
    for line in notes:
        note(f"note: {line}")


def in_points(columns: Sequence[Column]) -> list[Column]:
    """Return the columns with their interval written as one of differences."""
    return [
        (header, lambda row: points_interval(row["low"], row["high"]))
        if header == "95% interval"
        else (header, read)
        for header, read in columns
    ]


def points_interval(low: float | None, high: float | None) -> str:
    """Return an interval of differences in percentage points."""
    return "-" if low is None or high is None else f"[{points(low)}, {points(high)}]"


def estimate_columns(scale: str) -> list[Any]:
    """Return the columns of an estimate: in points, or as log odds."""
    plain = scale == "rate_difference"

    def value(row: Row) -> str:
        return points(row["estimate"]) if plain else number(row["estimate"])

    def interval(row: Row) -> str:
        if row["low"] is None or plain:
            return points_interval(row["low"], row["high"])
        return f"[{number(row['low'])}, {number(row['high'])}]"

    tests = [p("p", "p"), p("p_adjusted", "p (adjusted)")]
    return [
        count("n", "prompts"),
        count("n_missing", "missing"),
        ("effect", value),
        ("interval", interval),
        *tests,
    ]
