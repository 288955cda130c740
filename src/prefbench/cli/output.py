"""What the commands print: results on stdout, everything else on stderr, colour only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from prefbench.errors import ConfigError
from prefbench.store import writing

if TYPE_CHECKING:
    import polars


def remarks() -> Console:
    """Return the console of everything else: stderr."""
    return Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """Print a result for machines: one JSON document, NaN as null."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS) + b"\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Print one line of remark on stderr."""
    remarks().print(text, markup=False, soft_wrap=True)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; columns that start with `<` are texts, all others are aligned to the right."""
    table = Table(
        title=escape(title),
        title_justify="left",
        title_style="bold",
        box=None,
        header_style="bold",
        pad_edge=False,
    )
    for column in columns:
        text = column.startswith("<")
        table.add_column(column.removeprefix("<"), justify="left" if text else "right", no_wrap=True)
    for row in rows:
        table.add_row(*map(escape, row))
    console = Console(highlight=False)
    # a number that is cut off is worse than a line that wraps
    console.width = max(
        console.width, console.measure(table, options=console.options.update(width=10_000)).maximum
    )
    console.print(table)
    console.print()


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share as a person reads it: 0.431 -> 43.1%, missing -> a dash."""
    return "-" if value is None else f"{100 * value:z.{digits}f}%"


def interval(low: float | None, high: float | None) -> str:
    """Return an interval of shares: [38.0, 48.3]."""
    return "-" if low is None or high is None else f"[{100 * low:z.1f}, {100 * high:z.1f}]"


def points(value: float | None) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    return "-" if value is None else f"{100 * value:+z.1f}"


def p_value(value: float | None) -> str:
    """Return a p-value to three digits; tiny ones as a bound."""
    if value is None:
        return "-"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def number(value: float | None, digits: int = 2) -> str:
    """Return a number with fixed digits, missing as a dash."""
    return "-" if value is None else f"{value:z.{digits}f}"


def write_table(frame: polars.DataFrame, path: Path) -> None:
    """Write a table as .csv or .parquet, by the suffix. Raises ConfigError for another suffix."""
    writers: Mapping[str, Any] = {".csv": frame.write_csv, ".parquet": frame.write_parquet}
    if path.suffix not in writers:
        raise ConfigError(f"{path}: --out writes .csv or .parquet, by the suffix of the file")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        writers[path.suffix](path)
    note(f"table written to {path}")
