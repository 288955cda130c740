"""Options that several commands share, and the readers of their values."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prefbench.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from prefbench.study import VectorChoice

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
VectorOption = Annotated[
    list[str] | None,
    typer.Option(
        "--vector",
        metavar="FILE@STRENGTH",
        help="Trait vector: warmth.safetensors@dose=0.3 or @coefficient=4; then ,layers=8+9 ,positions=response. "
        "May be repeated.",
    ),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Refuse vectors that are not known to be of the model's weights.")
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
    if not any(parts):
        raise ConfigError(f"{text!r} names nothing: write values as a,b,c, or leave the option out")
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
    """Return key=value pairs with their values as TOML or JSON reads them (8, 0.9, true, {"a": 1}), else as text."""
    return {name: _read_value(text) for name, text in read_pairs(pairs, what).items()}


def _read_value(text: str) -> Any:
    import json
    import tomllib

    with suppress(tomllib.TOMLDecodeError):
        return tomllib.loads(f"value = {text}")["value"]
    if text.lstrip().startswith(("{", "[")):
        with suppress(json.JSONDecodeError):
            return json.loads(text)
    return text


def read_vectors(texts: list[str] | None) -> list[VectorChoice] | None:
    """Return the choices in FILE@dose=0.3,layers=8+9,positions=response; None for None. Raises ConfigError."""
    return None if texts is None else [_read_vector(text) for text in texts]


def read_part(text: str) -> tuple[str, float]:
    """Return (file, coefficient) of FILE@COEFFICIENT; without one it is 1."""
    file, at, coefficient = text.rpartition("@")
    return (file, _read_number(coefficient, "coefficient")) if at else (text, 1.0)


def _read_vector(text: str) -> VectorChoice:
    from prefbench.study import validate_vector

    file, at, settings = text.rpartition("@")
    if not (at and "=" in settings):
        raise ConfigError(f"--vector {text!r}: say how much of it: {text}@dose=0.3 or {text}@coefficient=4")
    values: dict[str, Any] = {"file": file}
    for part in split_commas(settings) or []:
        (name, value) = next(iter(read_pairs([part], "--vector").items()))
        if name in ("dose", "coefficient"):
            values[name] = _read_number(value, name)
        elif name == "layers":
            values[name] = [_read_layer(each) for each in value.split("+")]
        elif name == "positions":
            values[name] = value
        else:
            raise unknown_name("setting of --vector", name, ["coefficient", "dose", "layers", "positions"])
    return validate_vector(**values)


def _read_layer(text: str) -> int:
    if not text.strip().isdigit():
        raise ConfigError(f"layer {text!r} is not a number from 0 on; write several as layers=8+9")
    return int(text)


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
        raise ConfigError(f"{what} {text!r} is not a number; write numbers as 0.7 or 0.7,1.0,1.5") from None
