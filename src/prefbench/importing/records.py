"""Rows with their places in; response records, with the verdicts that came along, out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from prefbench.errors import ConfigError, DataError, unknown_name
from prefbench.importing.tables import Row
from prefbench.importing.verdicts import VerdictRule
from prefbench.manifest import now
from prefbench.records import (
    FORMATS,
    RecordKey,
    ResponseRecord,
    Verdict,
    explain_validation,
    parse_temperature,
)

FIELDS = ("id", "domain", "prompt", "format", "tags", "temperature", "response", "finish_reason", "tokens")
"""What a column can be mapped to. `response` is one answer, or a list of all answers to the prompt."""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row of a source: one answer, or all answers to a prompt."""

    place: str
    """Where it stands, as an error names it."""
    fields: Row
    scores: Mapping[str, Any]
    """What scorers said of it, by their names."""
    error: str | None = None
    """Why it has no answer, where the source recorded that."""
    rows: int = 1
    """What it counts for: 0 where it stands for a part of another row."""


@dataclass(slots=True)
class Source:
    """What a file of answers holds, before anything is mapped."""

    path: Path
    rows: Iterable[SourceRow]
    settings: dict[str, Any]
    """What all records of the condition share, for its manifest."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the manifest says of this run besides."""


@dataclass(frozen=True, slots=True)
class Imported:
    """One record, and a verdict for each of its responses where the source's scores are wanted."""

    record: ResponseRecord
    verdicts: tuple[Verdict | None, ...]


@dataclass(slots=True)
class RecordPlan:
    """How the rows of a source become records, and the count of what was met."""

    path: Path
    columns: Mapping[str, str]
    values: Mapping[str, str]
    drop_missing: bool = False
    rule: VerdictRule | None = None
    rows: int = 0
    dropped: int = 0
    """Rows, or parts of rows, without an answer."""
    failures: list[tuple[RecordKey, str]] = field(default_factory=list)
    """Answers that failed where they were sampled, with the reason."""

    def __post_init__(self) -> None:
        for name in (*self.columns, *self.values):
            if name not in FIELDS:
                raise unknown_name("field", name, FIELDS)
        if "format" in self.values and self.values["format"] not in FORMATS:
            raise unknown_name("format", self.values["format"], FORMATS)

    def make_records(self, rows: Iterable[SourceRow]) -> Iterator[Imported]:
        """Yield the records in the order of their first rows.

        Raises DataError and ConfigError as `import_responses` does.
        """
        groups: dict[RecordKey, list[tuple[SourceRow, Row]]] = {}
        for row in rows:
            self.rows += row.rows
            fields = self._fields(row)
            if row.error is not None:
                self.dropped += 1
                self.failures.append((self._key(row.place, fields), row.error))
            elif self._lacks_answer(row.place, fields):
                self.dropped += 1
            else:
                groups.setdefault(self._key(row.place, fields), []).append((row, fields))
        if not groups:
            raise DataError(
                f"{self.path}: no row with an answer in it; check the file and --map response=COLUMN"
            )
        for key, members in groups.items():
            yield self._record(key, members)

    def _fields(self, row: SourceRow) -> Row:
        fields: Row = dict(self.values)
        for name in FIELDS:
            column = self.columns.get(name, name)
            if name in self.columns and column not in row.fields:
                raise unknown_name(f"column ({row.place}) for {name}", column, row.fields)
            if name not in self.values and column in row.fields:
                fields[name] = row.fields[column]
        for name in ("prompt", "response", "domain", "temperature"):
            if name not in fields:
                cure = f"--map {name}=COLUMN" + (
                    "" if name in ("prompt", "response") else f" or --set {name}=VALUE"
                )
                raise ConfigError(
                    f"{self.path}: no {name} in its columns ({', '.join(row.fields)}): give {cure}"
                )
        return fields

    def _lacks_answer(self, place: str, fields: Row) -> bool:
        answer = fields["response"]
        answers = answer if isinstance(answer, list) else [answer]
        if answers and all(isinstance(each, str) for each in answers):
            return False
        if answers and not any(each is None for each in answers):
            raise DataError(f"{place}: response is not a text; map response to a column of texts")
        if self.drop_missing:
            return True
        raise DataError(f"{place}: no answer in this row; mend it, or leave such rows out: --drop-missing")

    def _key(self, place: str, fields: Row) -> RecordKey:
        prompt = fields["prompt"]
        if not isinstance(prompt, str) or not prompt:
            raise DataError(f"{place}: prompt {prompt!r} is not a text; map prompt to a column of texts")
        identifier = fields.get("id")
        name = hash_prompt(prompt) if identifier in (None, "") else str(identifier)
        try:
            return RecordKey(str(fields["domain"]), name, parse_temperature(fields["temperature"]))
        except ValueError as error:
            raise DataError(f"{place}: {error}; correct it, or give --set temperature=VALUE") from error

    def _record(self, key: RecordKey, members: list[tuple[SourceRow, Row]]) -> Imported:
        head, first = members[0]
        for other, fields in members:
            if fields["prompt"] != first["prompt"]:
                raise DataError(
                    f"{other.place}: {key.domain}/{key.id} has another prompt than at {head.place}; "
                    "map id to a column that tells prompts apart"
                )
        responses, verdicts = [], []
        for row, fields in members:
            answers = _responses(fields)
            responses += answers
            verdicts += self._verdicts(row, len(answers))
        try:
            record = ResponseRecord.model_validate(
                {
                    **key._asdict(),
                    "prompt": first["prompt"],
                    "format": first.get("format") or "open_ended",
                    "tags": _tags(first.get("tags")),
                    "n_samples": len(responses),
                    "responses": responses,
                    "timestamp": now(),
                }
            )
        except ValidationError as error:
            raise DataError(f"{head.place}: {explain_validation(error)}; correct the row") from error
        return Imported(record, tuple(verdicts))

    def _verdicts(self, row: SourceRow, count: int) -> list[Verdict | None]:
        if self.rule is None:
            return []
        found = self.rule.find(row.scores, place=row.place)
        values = found if isinstance(found, list) else [found]
        if found is not None and len(values) != count:
            raise DataError(
                f"{row.place}: {self.rule.scorer} gives {len(values)} scores to {count} answers, so that it is no "
                "verdict on each: leave --scorer out and judge them with prefbench judge"
            )
        return [None] * count if found is None else [self.rule.read(value) for value in values]


def hash_prompt(prompt: str) -> str:
    """Return the id of a prompt that has none: the first 12 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:12]


def _responses(fields: Row) -> list[dict[str, Any]]:
    """Return the answers of one row; finish reasons and token counts go with them, one each or lists."""
    texts = fields["response"]
    reasons, tokens = fields.get("finish_reason"), fields.get("tokens")
    if not isinstance(texts, list):
        return [{"text": texts, "finish_reason": reasons, "tokens": _count(tokens)}]
    return [
        {"text": text, "finish_reason": _at(reasons, index), "tokens": _count(_at(tokens, index))}
        for index, text in enumerate(texts)
    ]


def _at(values: Any, index: int) -> Any:
    return values[index] if isinstance(values, list) and index < len(values) else None


def _count(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdigit() else value


def _tags(value: Any) -> list[str]:
    if value is None:
        return []
    return (
        [str(tag) for tag in value]
        if isinstance(value, list)
        else [tag for tag in str(value).split(",") if tag]
    )
