"""Which records a judge has still to read: response and score files in, records out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from prefbench.errors import ConfigError, unknown_name
from prefbench.folders import ConditionFolder, details_path
from prefbench.records import SHORT_DOMAINS, RecordKey, ResponseRecord, ScoredRecord
from prefbench.store import iter_lines, read_models, unique_by_key, writing

ALL_DOMAINS = "all"


@dataclass(slots=True)
class Pending:
    """The records of one condition that a judge has not scored, of the domains that were asked for."""

    folder: ConditionFolder
    judge: str
    domains: Sequence[str] | None
    done: set[RecordKey] = field(default_factory=set)
    count: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    """Response records in domains that were not asked for, by domain."""

    def read(self) -> None:
        """Read what there is. Raises DataError for a line that is not a record, before anything is judged."""
        self.done = {key for path in self.folder.scored_files(self.judge) for key in _read_keys(path)}
        left_out: Counter[str] = Counter()
        self.count = 0
        for record in read_responses(self.folder.response_files()):
            if not wants(record.domain, self.domains):
                left_out[record.domain] += 1
            elif record.key not in self.done:
                self.count += 1
        self.left_out = dict(left_out)

    def repair(self) -> None:
        """Remove details that a killed run wrote just before the score itself; only under the judge's lock."""
        for path in self.folder.scored_files(self.judge):
            _drop_details_without_score(details_path(path), set(_read_keys(path)))

    def records(self) -> Iterator[ResponseRecord]:
        """Yield the records, in the order of the files."""
        for record in read_responses(self.folder.response_files()):
            if wants(record.domain, self.domains) and record.key not in self.done:
                yield record


def wants(domain: str, domains: Sequence[str] | None) -> bool:
    """Whether a domain is to be judged: the short ones only if they are named, or all are."""
    if not domains:
        return domain not in SHORT_DOMAINS
    return ALL_DOMAINS in domains or domain in domains


def check_domains(domains: Sequence[str] | None, folders: Sequence[ConditionFolder]) -> None:
    """Raise ConfigError for a domain that no response file is of."""
    if not domains or ALL_DOMAINS in domains:
        return
    known = {path.name.rsplit("_t", 1)[0] for folder in folders for path in folder.response_files()}
    for domain in domains:
        if domain not in known:
            raise unknown_name("domain", domain, [*known, ALL_DOMAINS])
    if not known:
        raise ConfigError("there are no responses to judge")


def read_responses(paths: Iterable[Path]) -> Iterator[ResponseRecord]:
    """Yield the records of response files; raise DataError for a key that stands in them twice."""
    seen: dict[RecordKey, str] = {}
    for path in paths:
        yield from unique_by_key(path, read_models(path, ResponseRecord), seen)


def _read_keys(path: Path) -> Iterator[RecordKey]:
    return (record.key for record in unique_by_key(path, read_models(path, ScoredRecord)))


def _drop_details_without_score(path: Path, scored: set[RecordKey]) -> None:
    if not path.exists():
        return
    lines = [line for _, line in iter_lines(path)]
    kept = {}
    for line in lines:
        content = orjson.loads(line)
        key = RecordKey(content["domain"], content["id"], float(content["temperature"].removeprefix("t")))
        if key in scored:
            kept[key] = line
    if len(kept) < len(lines):
        temporary = path.with_name(f".{path.name}.new")
        with writing(path):
            temporary.write_bytes(b"".join(line + b"\n" for line in kept.values()))
            temporary.replace(path)
