"""Options that several commands share, and the readers of their values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from prefbench.errors import ConfigError

StudyOption = Annotated[
    Path,
    typer.Option(
        "--study", "-s", help="The study's folder; a condition's folder or a downloaded release will do."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
JudgeNameOption = Annotated[
    str | None, typer.Option("--judge", "-j", help="Whose scores; needed only if several judges have scored.")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", "-o", help="Also write the table to this .csv or .parquet file.")
]
ConditionsOption = Annotated[
    str | None, typer.Option("--conditions", "-c", help="Only these conditions, with commas between: 1,dpo.")
]

FactorsOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Which conditions have a treatment: finetuning=2,4. Once a treatment; read from the study file or the "
        "conditions' names if not given."
    ),
]


def split_commas(text: str | None) -> list[str] | None:
    """Return the parts between commas; None for None. Raises ConfigError if nothing is between them."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise ConfigError(f"{text!r}: nothing between two commas; write values as a,b,c")
    return parts


def read_numbers(text: str | None, what: str) -> list[float] | None:
    """Return the numbers between commas. Raises ConfigError naming the one that is not a number."""
    parts = split_commas(text)
    return None if parts is None else [_read_number(part, what) for part in parts]


def read_pairs(pairs: list[str] | None, what: str) -> dict[str, str]:
    """Return {"key": "value"} for ["key=value"]. Raises ConfigError for a pair without `=`."""
    result: dict[str, str] = {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise ConfigError(f"{what} {pair!r}: write it as key=value")
        result[name.strip()] = value
    return result


def read_counts(text: str, what: str) -> list[int]:
    """Return the whole numbers between commas. Raises ConfigError naming the one that is none."""
    numbers = read_numbers(text, what) or []
    for number in numbers:
        if number != int(number) or number < 1:
            raise ConfigError(f"{what} {number:g}: give whole numbers of 1 or more, as 100,300")
    return [int(number) for number in numbers]


def read_factors(pairs: list[str] | None) -> dict[str, list[str]]:
    """Return {"steering": ["3", "4"]} for ["steering=3,4"]. Raises ConfigError for a pair without `=`."""
    return {name: split_commas(text) or [] for name, text in read_pairs(pairs, "factors").items()}


def read_options(pairs: list[str] | None, what: str) -> dict[str, Any]:
    """Return key=value pairs with their values as TOML reads them (8, 0.9, true), else as text."""
    import tomllib

    values: dict[str, Any] = {}
    for name, text in read_pairs(pairs, what).items():
        try:
            values[name] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            values[name] = text
    return values


def _read_number(text: str, what: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{what} {text!r} is not a number; write numbers as 0.7,1.0,1.5") from None
