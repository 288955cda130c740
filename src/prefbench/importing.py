"""Bring in answers from elsewhere: JSONL, CSV or Parquet with a column mapping in; response records on disk out."""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from prefbench.errors import ConfigError, DataError, unknown_name
from prefbench.folders import ConditionFolder
from prefbench.manifest import Manifest, now
from prefbench.records import FORMATS, RecordKey, ResponseRecord, explain_validation, parse_temperature
from prefbench.store import Appender, locked, read_models
from prefbench.study import DEFAULT_CONDITION, DEFAULT_STUDY

FIELDS = ("id", "domain", "prompt", "format", "tags", "temperature", "response", "finish_reason", "tokens")
"""What a column can be mapped to. `response` is one answer, or a list of all answers to the prompt."""

Row = dict[str, Any]


@dataclass(slots=True)
class ImportReport:
    """What an import came to."""

    source: Path
    folder: Path
    rows: int = 0
    written: int = 0
    """Response records."""
    kept: int = 0
    """Records that were there before, with the same answers."""
    responses: int = 0
    dropped: int = 0
    """Rows without an answer, left out because `drop_missing` was given."""
    files: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the report ready for JSON."""
        return {**asdict(self), "source": str(self.source), "folder": str(self.folder)}


def import_responses(
    source: str | Path,
    *,
    study: str | Path = DEFAULT_STUDY,
    condition: str = DEFAULT_CONDITION,
    columns: Mapping[str, str] | None = None,
    values: Mapping[str, str] | None = None,
    drop_missing: bool = False,
) -> ImportReport:
    """Write the answers in a file as response records, in the order of its rows, and return what was done.

    `columns` maps a field of ours to a column of the file ({"prompt": "question"}); a field that is not
    mapped is read from the column of its own name. `values` gives a field one value for all rows
    ({"temperature": "1.0"}). Needed are prompt, response, temperature and domain; id defaults to a hash of
    the prompt, format to `open_ended`. Rows of one (domain, id, temperature) are the answers to one prompt.

    Raises ConfigError for an unknown field or a column that is not there, DataError "file:row: what" for a
    row without an answer (unless `drop_missing`), and for records that are there with other answers.
    """
    path = Path(source)
    plan = _Plan(path, dict(columns or {}), dict(values or {}), drop_missing)
    target = ConditionFolder(condition, Path(study) / condition)
    report = ImportReport(path, target.path)
    records = list(plan.make_records(report))
    with locked(target.path, "sample"):
        manifest = Manifest(target.manifest, {"origin": "import"})
        manifest.start_run(source=path.name, sha256=_hash(path), columns=plan.columns, values=plan.values)
        _write(target, records, report)
        manifest.finish_run(records_written=report.written, rows=report.rows, dropped=report.dropped)
    return report


@dataclass(slots=True)
class _Plan:
    """How the rows of one file become records."""

    path: Path
    columns: dict[str, str]
    values: dict[str, str]
    drop_missing: bool

    def __post_init__(self) -> None:
        for name in (*self.columns, *self.values):
            if name not in FIELDS:
                raise unknown_name("field", name, FIELDS)
        if "format" in self.values and self.values["format"] not in FORMATS:
            raise unknown_name("format", self.values["format"], FORMATS)

    def make_records(self, report: ImportReport) -> Iterator[ResponseRecord]:
        groups: dict[RecordKey, list[tuple[int, Row]]] = {}
        for number, row in read_rows(self.path):
            report.rows += 1
            fields = self._fields(number, row)
            if self._lacks_answer(number, fields):
                report.dropped += 1
                continue
            groups.setdefault(self._key(number, fields), []).append((number, fields))
        if not groups:
            raise DataError(
                f"{self.path}: no row with an answer in it; check the file and --map response=COLUMN"
            )
        for key, rows in groups.items():
            yield self._record(key, rows)

    def _fields(self, number: int, row: Row) -> Row:
        fields: Row = dict(self.values)
        for name in FIELDS:
            column = self.columns.get(name, name)
            if name in self.columns and column not in row:
                raise unknown_name(f"column ({self.path}:{number}) for {name}", column, row)
            if name not in self.values and column in row:
                fields[name] = row[column]
        for name in ("prompt", "response", "domain", "temperature"):
            if name not in fields:
                cure = f"--map {name}=COLUMN" + (
                    "" if name in ("prompt", "response") else f" or --set {name}=VALUE"
                )
                raise ConfigError(f"{self.path}: no {name} in its columns ({', '.join(row)}): give {cure}")
        return fields

    def _lacks_answer(self, number: int, fields: Row) -> bool:
        answer = fields["response"]
        answers = answer if isinstance(answer, list) else [answer]
        if answers and all(isinstance(each, str) for each in answers):
            return False
        if answers and not any(each is None for each in answers):
            raise DataError(
                f"{self.path}:{number}: response is not a text; map response to a column of texts"
            )
        if self.drop_missing:
            return True
        raise DataError(
            f"{self.path}:{number}: no answer in this row; mend it, or leave such rows out: --drop-missing"
        )

    def _key(self, number: int, fields: Row) -> RecordKey:
        prompt = fields["prompt"]
        if not isinstance(prompt, str) or not prompt:
            raise DataError(
                f"{self.path}:{number}: prompt {prompt!r} is not a text; map prompt to a column of texts"
            )
        identifier = fields.get("id")
        name = hash_prompt(prompt) if identifier in (None, "") else str(identifier)
        try:
            return RecordKey(str(fields["domain"]), name, parse_temperature(fields["temperature"]))
        except ValueError as error:
            raise DataError(
                f"{self.path}:{number}: {error}; correct it, or give --set temperature=VALUE"
            ) from error

    def _record(self, key: RecordKey, rows: list[tuple[int, Row]]) -> ResponseRecord:
        number, first = rows[0]
        for other, fields in rows:
            if fields["prompt"] != first["prompt"]:
                raise DataError(
                    f"{self.path}:{other}: {key.domain}/{key.id} has another prompt than in row {number}; "
                    "map id to a column that tells prompts apart"
                )
        responses = [response for _, fields in rows for response in _responses(fields)]
        try:
            return ResponseRecord.model_validate(
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
            raise DataError(f"{self.path}:{number}: {explain_validation(error)}; correct the row") from error


def read_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Yield (row number as an editor counts lines, row) of a .jsonl, .csv or .parquet file; .gz is unpacked.

    Raises ConfigError for another kind of file, DataError for one that cannot be read.
    """
    readers: dict[str, Callable[[Path], Iterator[tuple[int, Row]]]] = {
        ".jsonl": _read_jsonl,
        ".csv": _read_csv,
        ".parquet": _read_parquet,
    }
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if suffix not in readers:
        raise ConfigError(
            f"{path}: {suffix or 'no'} suffix: importing reads .jsonl, .csv (also .gz) and .parquet"
        )
    try:
        yield from readers[suffix](path)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); check the path and the file") from error


def hash_prompt(prompt: str) -> str:
    """Return the id of a prompt that has none: the first 12 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:12]


def _open(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _read_jsonl(path: Path) -> Iterator[tuple[int, Row]]:
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise DataError(f"{path}:{number}: not JSON ({error}); correct or delete the line") from error
            if not isinstance(row, dict):
                raise DataError(f"{path}:{number}: not a JSON object; correct or delete the line")
            yield number, row


def _read_csv(path: Path) -> Iterator[tuple[int, Row]]:
    with _open(path) as binary:
        lines = (line.decode("utf-8-sig" if index == 0 else "utf-8") for index, line in enumerate(binary))
        reader = csv.DictReader(lines)
        for row in reader:
            if None in row or None in row.values():
                raise DataError(
                    f"{path}:{reader.line_num}: not as many fields as the header has; correct the row"
                )
            # an empty cell says nothing, so it is missing rather than an empty answer
            yield reader.line_num, {name: value if value != "" else None for name, value in row.items()}


def _read_parquet(path: Path) -> Iterator[tuple[int, Row]]:
    import polars

    try:
        frame = polars.read_parquet(path)
    except polars.exceptions.PolarsError as error:
        raise DataError(f"{path}: not a Parquet file ({str(error).splitlines()[0]})") from error
    yield from enumerate(frame.iter_rows(named=True), start=1)


def _responses(fields: Row) -> list[dict[str, Any]]:
    """Return the answers of one row; finish reasons and token counts go with them, one each or lists."""
    texts = fields["response"]
    if not isinstance(texts, list):
        return [
            {
                "text": texts,
                "finish_reason": fields.get("finish_reason"),
                "tokens": _count(fields.get("tokens")),
            }
        ]
    reasons, tokens = fields.get("finish_reason"), fields.get("tokens")
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


def _write(target: ConditionFolder, records: list[ResponseRecord], report: ImportReport) -> None:
    by_path: dict[Path, list[ResponseRecord]] = {}
    for record in records:
        path = target.responses_path(record.domain, record.temperature, record.n_samples)
        by_path.setdefault(path, []).append(record)
    there = {
        record.key: record
        for path in target.response_files()
        for _, record in read_models(path, ResponseRecord)
    }
    for record in records:
        if record.key in there and there[record.key].responses != record.responses:
            raise DataError(
                f"{target.path}: {record.domain}/{record.id} is there already with other answers; "
                "give another --condition"
            )
    for path, group in by_path.items():
        fresh = [record for record in group if record.key not in there]
        with Appender(path) as appender:
            appender.append(fresh)
        report.written += len(fresh)
        report.kept += len(group) - len(fresh)
        report.responses += sum(record.n_samples for record in fresh)
        report.files.append(str(path))


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
