"""Gold labels in, from `prefbench label` or from any table of prompts, responses and labels; rows of Y and N out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefbench.errors import ConfigError, DataError, unknown_name
from prefbench.importing import read_rows
from prefbench.labelling import Label, LabelKey, read_labels
from prefbench.records import FORMATS

GOLD_FIELDS = ("prompt", "response", "label", "condition", "domain", "format")
"""What a column of a table can be mapped to; the last three are optional."""
USUAL_READINGS: Mapping[str, str] = {
    **dict.fromkeys(("y", "yes", "true", "1"), "Y"),
    **dict.fromkeys(("n", "no", "false", "0"), "N"),
}
EVERYTHING = "-"
"""The condition and the domain of rows that name none."""


@dataclass(frozen=True, slots=True)
class GoldRow:
    """One response with what people say of it."""

    prompt: str
    response: str
    truth: bool
    """Whether it commits to a preference."""
    condition: str
    domain: str
    cluster: str
    """Rows of one prompt share it: they are resampled together."""
    format: str = "open_ended"
    key: LabelKey | None = None
    """Where the response lies in a study; None for a row of a table."""
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Gold:
    """All rows of a gold file that are Y or N."""

    path: Path
    rows: list[GoldRow]
    left_out: dict[str, int]
    """Rows that are neither, by label (`skip`, `open`, ...)."""
    of_study: bool
    """Whether the rows are responses of a study, so that its scores are the verdicts on them."""


def read_gold(
    path: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    readings: Mapping[str, str] | None = None,
) -> Gold:
    """Return the rows of a labels file, or of a .jsonl, .csv (also .gz) or .parquet table.

    `columns` maps our fields (prompt, response, label; condition, domain, format) to a table's columns where they
    have other names. `readings` says which labels are Y and which N ({"answer": "Y"}); other labels are then
    left out and counted. Without it y, yes, true, 1 and n, no, false, 0 are read. Raises ConfigError for a
    column, field or label that is not known, DataError for a file that cannot be read or holds no Y or N.
    """
    source = Path(path)
    mapping = dict(columns or {})
    for field in mapping:
        if field not in GOLD_FIELDS:
            raise unknown_name("field", field, GOLD_FIELDS)
    for label, reading in (readings or {}).items():
        if reading not in ("Y", "N"):
            raise ConfigError(f"label {label!r} is read as {reading!r}: write LABEL=Y or LABEL=N")
    of_study = not mapping and _is_labels_file(source)
    gold = _from_labels(source) if of_study else _from_table(source, mapping, readings)
    if not gold.rows:
        seen = ", ".join(f"{count:,} {name}" for name, count in gold.left_out.items()) or "no rows at all"
        raise DataError(
            f"{source}: no row is Y or N ({seen}); label some, or say how labels read: --labels yes=Y,no=N"
        )
    return gold


def _is_labels_file(path: Path) -> bool:
    if path.suffix != ".jsonl":
        return False
    first = next(iter(read_rows(path)), None)
    return first is not None and set(Label.model_fields) <= set(first[1])


def _from_labels(path: Path) -> Gold:
    rows, left_out = [], Counter[str]()
    for key, label in read_labels(path).items():
        if label.label not in ("Y", "N"):
            left_out[label.label or "open"] += 1
            continue
        rows.append(
            GoldRow(
                label.prompt,
                label.response,
                label.label == "Y",
                label.condition,
                label.domain,
                f"{label.domain}/{label.id}",
                key=key,
                note=label.note,
            )
        )
    return Gold(path, rows, dict(left_out), of_study=True)


def _from_table(path: Path, columns: Mapping[str, str], readings: Mapping[str, str] | None) -> Gold:
    rows, left_out = [], Counter[str]()
    for number, row in read_rows(path):
        fields = _fields(f"{path}:{number}", row, columns)
        label = str(fields["label"])
        reading = readings.get(label) if readings is not None else USUAL_READINGS.get(label.lower())
        if reading is None and readings is None:
            raise ConfigError(
                f"{path}:{number}: label {label!r} is neither Y nor N: say how labels read, as "
                f"--labels {label}=Y,other=N"
            )
        if reading is None:
            left_out[label] += 1
            continue
        rows.append(
            GoldRow(
                fields["prompt"],
                fields["response"],
                reading == "Y",
                _name(fields.get("condition")),
                _name(fields.get("domain")),
                fields["prompt"],
                format=_format(f"{path}:{number}", fields.get("format")),
            )
        )
    return Gold(path, rows, dict(left_out), of_study=False)


def _fields(place: str, row: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in GOLD_FIELDS:
        column = columns.get(name, name)
        if column in row:
            fields[name] = row[column]
        elif name in columns:
            raise unknown_name(f"column ({place}) for {name}", column, row)
        elif name in ("prompt", "response", "label"):
            raise ConfigError(
                f"{place}: no {name} in its columns ({', '.join(row)}): give --map {name}=COLUMN"
            )
    if not isinstance(fields["prompt"], str) or not fields["prompt"]:
        raise DataError(f"{place}: prompt {fields['prompt']!r} is not a text; correct or delete the row")
    if fields["response"] is None:
        fields["response"] = ""  # an empty cell of a CSV file is an empty answer here: it has a label
    if not isinstance(fields["response"], str):
        raise DataError(f"{place}: response is not a text; map response to a column of texts")
    return fields


def _name(value: object) -> str:
    return EVERYTHING if value in (None, "") else str(value)


def _format(place: str, value: object) -> str:
    if value in (None, ""):
        return "open_ended"
    if value not in FORMATS:
        raise DataError(f"{place}: {unknown_name('format', str(value), FORMATS)}")
    return str(value)
