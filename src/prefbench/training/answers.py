"""Collect the answers to choose and to reject from two conditions of a study, with or without a judge's verdicts."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from prefbench.errors import ConfigError, DataError, unknown_name
from prefbench.folders import ConditionFolder
from prefbench.records import PromptItem, RecordKey, ResponseRecord, ScoredRecord, Verdict
from prefbench.store import read_models, unique_by_key

Key = tuple[str, str]


@dataclass(slots=True)
class Answers:
    """The answers of two conditions, by (domain, id) of their prompt; texts are of a kind."""

    items: dict[Key, PromptItem] = field(default_factory=dict)
    chosen: dict[Key, set[str]] = field(default_factory=lambda: defaultdict(set))
    rejected: dict[Key, set[str]] = field(default_factory=lambda: defaultdict(set))
    cut_off: int = 0
    unscored: int = 0
    digest: str = ""
    """SHA-256 of all that was kept."""


def collect_answers(
    chosen: ConditionFolder,
    rejected: ConditionFolder,
    *,
    judge: str | None,
    temps: Sequence[float] | None,
    domains: Sequence[str] | None,
) -> Answers:
    """Return the answers that ended by themselves; with a judge, Y ones to choose and N ones to reject.

    Raises ConfigError for a domain that is not there and for a prompt with two texts, DataError for a bad line.
    """
    found = Answers()
    sides: list[tuple[ConditionFolder, dict[Verdict, dict[Key, set[str]]]]]
    if judge is None:
        sides = [(chosen, {"Y": found.chosen}), (rejected, {"Y": found.rejected})]
    elif chosen.path == rejected.path:
        sides = [(chosen, {"Y": found.chosen, "N": found.rejected})]
    else:
        sides = [(chosen, {"Y": found.chosen}), (rejected, {"N": found.rejected})]
    for folder, pools in sides:
        verdicts = None if judge is None else _read_verdicts(folder, judge)
        for record in _read_records(folder):
            wanted = (temps is None or record.temperature in temps) and (
                domains is None or record.domain in domains
            )
            if wanted:
                _add(found, record, pools, None if verdicts is None else verdicts.get(record.key, []))
    _check_domains(domains, found, chosen)
    found.digest = _digest(found)
    return found


def choose_judge(folders: Sequence[ConditionFolder], judge: str | None) -> str:
    """Return the judge whose scores all of the folders have. Raises ConfigError or DataError if it is not clear."""
    known = sorted(set.intersection(*(set(folder.judges()) for folder in folders)))
    if judge is not None and judge not in known:
        raise unknown_name("judge's scores", judge, known) if known else _nothing_judged(folders)
    if judge is None and len(known) > 1:
        raise ConfigError(f"several judges have scored ({', '.join(known)}): choose one with --judge")
    if not known:
        raise _nothing_judged(folders)
    return judge or known[0]


def _nothing_judged(folders: Sequence[ConditionFolder]) -> DataError:
    names = " and ".join(dict.fromkeys(folder.name for folder in folders))
    return DataError(
        f"{folders[0].path.parent}: no judge has scored {names}; run `prefbench judge` first, or choose the answers "
        "of another condition with --chosen"
    )


def _add(
    found: Answers,
    record: ResponseRecord,
    pools: dict[Verdict, dict[Key, set[str]]],
    verdicts: Sequence[Verdict | None] | None,
) -> None:
    key = (record.domain, record.id)
    item = PromptItem(
        id=record.id, domain=record.domain, prompt=record.prompt, format=record.format, tags=record.tags
    )
    known = found.items.setdefault(key, item)
    if known.prompt != item.prompt:
        raise ConfigError(
            f"{record.domain}/{record.id} has two texts in the two conditions: pairs need answers to one prompt"
        )
    for index, response in enumerate(record.responses):
        if response.finish_reason == "length":
            found.cut_off += 1
            continue
        verdict: Verdict | None = "Y"
        if verdicts is not None:
            verdict = verdicts[index] if index < len(verdicts) else None
        if verdict is None:
            found.unscored += 1
        elif verdict in pools and response.text.strip():
            pools[verdict][key].add(response.text)


def _read_records(folder: ConditionFolder) -> Iterator[ResponseRecord]:
    seen: dict[RecordKey, str] = {}
    paths = folder.response_files()
    if not paths:
        raise DataError(f"{folder.path}: has no responses; pairs are made of answers")
    for path in paths:
        yield from unique_by_key(path, read_models(path, ResponseRecord), seen)


def _read_verdicts(folder: ConditionFolder, judge: str) -> dict[RecordKey, list[Verdict | None]]:
    seen: dict[RecordKey, str] = {}
    return {
        record.key: record.raw_judgments
        for path in folder.scored_files(judge)
        for record in unique_by_key(path, read_models(path, ScoredRecord), seen)
    }


def _check_domains(domains: Sequence[str] | None, found: Answers, folder: ConditionFolder) -> None:
    known = {key[0] for key in found.items}
    for domain in domains or ():
        if domain not in known:
            raise unknown_name("domain", domain, {_domain_of(path) for path in folder.response_files()})


def _domain_of(path: Path) -> str:
    return path.name.rsplit("_t", 1)[0]


def _digest(found: Answers) -> str:
    digest = hashlib.sha256()
    for key in sorted(found.items):
        texts = [sorted(found.chosen[key]), sorted(found.rejected[key])]
        digest.update(orjson.dumps([*key, found.items[key].prompt, *texts]) + b"\n")
    return digest.hexdigest()
