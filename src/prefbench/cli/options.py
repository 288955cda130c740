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


def refuse_early_options(context: typer.Context) -> None:
    """Raise ConfigError for options in front of a sub-command, where they would do nothing."""
    early = [
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) is not None and source.name == "COMMANDLINE"
    ]
    if early:
        command = f"{context.command_path} {context.invoked_subcommand}"
        named = ", ".join(name.replace("_name", "").replace("_", "-") for name in early)
        raise ConfigError(
            f"{named}: options stand behind the command: {command} --{named.split(', ')[0]} ..."
        )


def _read_number(text: str, what: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{what} {text!r} is not a number; write numbers as 0.7,1.0,1.5") from None
