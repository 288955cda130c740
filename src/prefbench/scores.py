"""Scored records of a study in; one polars frame with a row for every expected cell out, missing ones included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from prefbench.errors import ConfigError, DataError, unknown_name
from prefbench.folders import PUBLISHED_JUDGE, ConditionFolder, details_path, find_conditions, match_condition
from prefbench.records import SHORT_DOMAINS, RecordKey, ScoredRecord, parse_temperature
from prefbench.store import iter_lines, read_models, unique_by_key

if TYPE_CHECKING:
    import polars

COLUMNS = (
    "condition",
    "judge",
    "domain",
    "id",
    "temperature",
    "format",
    "n_samples",
    "yes",
    "no",
    "unreadable",
    "choice_agreement",
    "content_agreement",
    "status",
)
_RESPONSES = b',"responses":['


def load_scores(
    sources: str | Path | Sequence[str | Path] = "study",
    *,
    judge: str | None = None,
    conditions: Sequence[str] | None = None,
) -> polars.DataFrame:
    """Return the scores of a study, a condition, a release, or several of them, one row for each expected cell.

    A cell is a prompt at a temperature in a condition. It is expected if its responses are there, or, where
    there are only scores, if its prompt and its temperature both occur in the domain. Columns: condition,
    judge, domain, id (str), temperature (f64), format (str), n_samples, yes, no, unreadable (i64),
    choice_agreement, content_agreement (f64), status ("scored" or "unscored"); what is not known is null.

    Raises ConfigError for an unknown judge or condition, or if several judges have scored and none is chosen;
    DataError for files that cannot be read or that hold no scores.
    """
    import polars

    paths = [sources] if isinstance(sources, str | Path) else list(sources)
    folders = _distinct([folder for path in paths for folder in find_conditions(path)])
    if conditions:
        names = [match_condition(name, [folder.name for folder in folders]) for name in conditions]
        folders = [folder for folder in folders if folder.name in names]
    chosen = choose_judge(folders, judge)
    table: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for folder in folders:
        _add_condition(table, folder, chosen)
    return polars.DataFrame(table, schema=_schema(), strict=True)


def _schema() -> dict[str, Any]:
    import polars

    numbers = dict.fromkeys(("n_samples", "yes", "no", "unreadable"), polars.Int64)
    shares = dict.fromkeys(("temperature", "choice_agreement", "content_agreement"), polars.Float64)
    kinds = numbers | shares
    return {name: kinds.get(name, polars.String) for name in COLUMNS}


def choose_judge(folders: Sequence[ConditionFolder], judge: str | None) -> str:
    """Return whose scores to read: the judge named, or the only one. Raises ConfigError or DataError."""
    known = sorted({name for folder in folders for name in folder.judges()})
    if not known:
        where = folders[0].path if len(folders) == 1 else folders[0].path.parent
        raise DataError(f"{where}: nothing has been judged yet; run `prefbench judge` first")
    if judge is None:
        if len(known) > 1:
            raise ConfigError(f"several judges have scored ({', '.join(known)}): choose one with --judge")
        return known[0]
    if judge not in known:
        raise unknown_name("judge's scores", judge, known)
    return judge


def _add_condition(table: dict[str, list[Any]], folder: ConditionFolder, judge: str) -> None:
    seen: dict[RecordKey, str] = {}
    scored: dict[RecordKey, ScoredRecord] = {}
    agreements: dict[RecordKey, tuple[float | None, float | None]] = {}
    for path in folder.scored_files(judge):
        for record in unique_by_key(path, read_models(path, ScoredRecord), seen):
            scored[record.key] = record
        agreements.update(_read_agreements(details_path(path)))
    asked = {key: (kind, n) for key, kind, n in _read_cells(folder.response_files())}
    name = _condition_of(folder, judge, scored)
    for key in _expected(asked, scored):
        kind, n_samples = asked.get(key, (None, None))
        _add_row(
            table, (name, judge, *key, kind, n_samples), scored.get(key), agreements.get(key, (None, None))
        )


def _add_row(
    table: dict[str, list[Any]],
    cell: tuple[Any, ...],
    record: ScoredRecord | None,
    agreements: tuple[float | None, float | None],
) -> None:
    if record is None:
        counts: tuple[Any, ...] = (None, None, None, None, None, "unscored")
    else:
        unreadable = len(record.raw_judgments) - record.preference_count - record.no_preference_count
        counts = (record.preference_count, record.no_preference_count, unreadable, *agreements, "scored")
    for column, value in zip(COLUMNS, (*cell, *counts), strict=True):
        table[column].append(value)


def _expected(asked: Iterable[RecordKey], scored: Iterable[RecordKey]) -> list[RecordKey]:
    """Return the cells that a full table has, in a fixed order.

    The short domains are sampled but not scored by default: they are expected only where a score of one is.
    """
    cells, answered = set(scored), list(asked)
    judged = {key.domain for key in cells}
    cells.update(key for key in answered if key.domain in judged or key.domain not in SHORT_DOMAINS)
    if not answered:
        cells.update(_grid(cells))
    return sorted(cells)


def _grid(cells: Iterable[RecordKey]) -> Iterator[RecordKey]:
    """Yield every prompt of a domain at every temperature of that domain."""
    ids: dict[str, set[str]] = {}
    temperatures: dict[str, set[float]] = {}
    for domain, prompt, temperature in cells:
        ids.setdefault(domain, set()).add(prompt)
        temperatures.setdefault(domain, set()).add(temperature)
    for domain, prompts in ids.items():
        yield from (RecordKey(domain, *pair) for pair in product(prompts, temperatures[domain]))


def _read_cells(paths: Iterable[Path]) -> Iterator[tuple[RecordKey, str, int]]:
    """Yield (key, format, n) of response records, without reading the answers where their place allows it.

    The published field order puts the answers behind everything that is needed here, and an unescaped quote
    cannot stand inside a JSON string, so the first `,"responses":[` ends the head of the record.
    """
    for path in paths:
        for number, line in iter_lines(path):
            head, found, _ = line.partition(_RESPONSES)
            try:
                content = orjson.loads(head + b"}" if found else line)
                key = RecordKey(content["domain"], content["id"], parse_temperature(content["temperature"]))
                yield key, content["format"], content["n_samples"]
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
                raise DataError(
                    f"{path}:{number}: not a ResponseRecord ({error!r}); correct or delete the line, then rerun"
                ) from error


def _read_agreements(path: Path) -> Iterator[tuple[RecordKey, tuple[float | None, float | None]]]:
    if not path.exists():
        return
    for number, line in iter_lines(path):
        try:
            content = orjson.loads(line)
            key = RecordKey(content["domain"], content["id"], parse_temperature(content["temperature"]))
            yield key, (content["choice_agreement"], content["content_agreement"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path}:{number}: not the details of a score ({error!r}); delete the line"
            ) from error


def _condition_of(folder: ConditionFolder, judge: str, scored: dict[RecordKey, ScoredRecord]) -> str:
    """Return the condition that a release's own records name; elsewhere the folder's name."""
    if judge != PUBLISHED_JUDGE or not scored:
        return folder.name
    names = {record.condition for record in scored.values()}
    if len(names) > 1:
        raise DataError(
            f"{folder.path / 'scored'}: holds the scores of several conditions ({', '.join(sorted(names))}); "
            "put each into a folder of its own"
        )
    return names.pop()


def _distinct(folders: Sequence[ConditionFolder]) -> list[ConditionFolder]:
    """Refuse two folders of one name: their records could not be told apart."""
    for index, folder in enumerate(folders):
        for other in folders[:index]:
            if folder.name == other.name and folder.path.resolve() != other.path.resolve():
                raise ConfigError(
                    f"{other.path} and {folder.path} are both called {folder.name}: rename one of the folders"
                )
    return list({folder.name: folder for folder in folders}.values())


def load_pair(
    first: str, second: str, *, study: str | Path = "study", judge: str | None = None
) -> tuple[polars.DataFrame, tuple[str, str]]:
    """Return the scores of two conditions and the conditions' names in them.

    Each of the two is a condition's name in the study, or the path of a folder that holds one condition.
    Raises what `load_scores` raises.
    """
    import polars

    frames, names = [], []
    for given in (first, second):
        if Path(given).is_dir():
            frame = load_scores(given, judge=judge)
        else:
            frame = load_scores(study, judge=judge, conditions=[given])
        found = frame["condition"].unique().to_list()
        if len(found) > 1:
            raise ConfigError(
                f"{given}: holds {len(found)} conditions ({', '.join(sorted(found))}): name one of them"
            )
        frames.append(frame)
        names.append(found[0])
    if names[0] == names[1]:
        raise ConfigError(f"{first!r} and {second!r} are both {names[0]}: compare two different conditions")
    return polars.concat(frames), (names[0], names[1])
