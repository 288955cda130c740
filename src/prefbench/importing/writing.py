"""Imported records in; response files and score files on disk out. Nothing that is there is written twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from prefbench.errors import DataError
from prefbench.folders import ConditionFolder, details_path
from prefbench.importing.records import Imported
from prefbench.importing.verdicts import VerdictRule
from prefbench.judges import Judgement
from prefbench.manifest import Manifest, now
from prefbench.records import RecordKey, ResponseRecord, ScoredRecord, Verdict
from prefbench.scoring import DEFAULT_RULE, make_details, make_score
from prefbench.store import Appender, iter_lines, locked, read_line, read_models


def fresh_records(target: ConditionFolder, records: Sequence[ResponseRecord]) -> list[ResponseRecord]:
    """Return the records that the condition does not have. Raises DataError if it has one with other answers."""
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
    return [record for record in records if record.key not in there]


def write_records(target: ConditionFolder, records: Iterable[ResponseRecord]) -> None:
    """Append the records to the files that they belong to."""
    by_path: dict[Path, list[ResponseRecord]] = {}
    for record in records:
        path = target.responses_path(record.domain, record.temperature, record.n_samples)
        by_path.setdefault(path, []).append(record)
    for path, group in by_path.items():
        with Appender(path) as appender:
            appender.append(group)


def write_failures(target: ConditionFolder, failures: Sequence[tuple[RecordKey, str]]) -> None:
    """Put answers that failed elsewhere into the condition's errors, once each."""
    known: dict[tuple[object, ...], int] = {}
    if target.errors.exists():
        for number, line in iter_lines(target.errors):
            content = read_line(line, place=f"{target.errors}:{number}")
            key = tuple(content.get(name) for name in (*RecordKey._fields, "error"))
            known[key] = known.get(key, 0) + 1
    lines = []
    for record_key, error in failures:
        key = (*record_key, error)
        if known.get(key, 0):
            known[key] -= 1
        else:
            lines.append({**record_key._asdict(), "error": error, "timestamp": now()})
    if lines:
        with Appender(target.errors) as appender:
            appender.append(lines)


def write_scores(
    target: ConditionFolder, imported: Sequence[Imported], rule: VerdictRule, *, origin: str
) -> int:
    """Write the verdicts as the scores of a judge named after the scorer; return how many records are new.

    Raises DataError for a record that is there with other verdicts, ConfigError for scores by another rule.
    """
    folder = target.judge_folder(rule.judge)
    with locked(folder, "judge"):
        settings = {"judge": {**rule.describe(), "origin": origin}, **DEFAULT_RULE.to_dict()}
        manifest = Manifest(folder / "manifest.json", settings, cure="give the same --yes and --no")
        there: dict[RecordKey, list[Verdict | None]] = {
            record.key: record.raw_judgments
            for path in target.scored_files(rule.judge)
            for _, record in read_models(path, ScoredRecord)
        }
        fresh = []
        for each in imported:
            if each.record.key not in there:
                fresh.append(each)
            elif there[each.record.key] != list(each.verdicts):
                raise DataError(
                    f"{folder}: {each.record.domain}/{each.record.id} is there already with other verdicts; give "
                    "another --condition"
                )
        manifest.start_run(records_before=len(there))
        _append_scores(target, fresh, rule)
        unreadable = sum(each.verdicts.count(None) for each in fresh)
        manifest.finish_run(records_written=len(fresh), unreadable_verdicts=unreadable)
    return len(fresh)


def _append_scores(target: ConditionFolder, fresh: Sequence[Imported], rule: VerdictRule) -> None:
    by_path: dict[Path, list[tuple[ResponseRecord, Judgement]]] = {}
    for each in fresh:
        path = target.scored_path(rule.judge, each.record.domain, each.record.temperature)
        none = (None,) * len(each.verdicts)
        reasons = tuple("no_value" if verdict is None else "imported" for verdict in each.verdicts)
        judgement = Judgement(each.record.key, each.verdicts, none, reasons)
        by_path.setdefault(path, []).append((each.record, judgement))
    for path, group in by_path.items():
        with Appender(path) as scored, Appender(details_path(path)) as details:
            details.append([make_details(*pair) for pair in group])
            scored.append([make_score(*pair, condition=target.name) for pair in group])
