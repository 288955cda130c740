"""Judge answers: response records in; scored records and their details on disk out. Does only what is missing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from prefbench.errors import ConfigError, unknown_name
from prefbench.folders import ConditionFolder, details_path, find_conditions, match_condition
from prefbench.judges import Judge, Judgement, open_judge
from prefbench.judges.content import choice_agreement, content_agreement
from prefbench.manifest import Manifest, now
from prefbench.progress import Progress, Silent
from prefbench.records import SHORT_DOMAINS, RecordKey, ResponseRecord, ScoredRecord, format_temperature
from prefbench.statistics import (
    DEFAULT_THRESHOLDS,
    ConsistencyDefinition,
    LabelThresholds,
    label_record,
    record_consistency,
)
from prefbench.store import Appender, iter_lines, locked, read_models, unique_by_key, writing
from prefbench.study import DEFAULT_STUDY, load_study

ALL_DOMAINS = "all"


@dataclass(slots=True)
class JudgeReport:
    """What judging one condition came to, in records; unreadable counts single verdicts."""

    condition: str
    judge: str
    folder: Path
    written: int = 0
    kept: int = 0
    """Records that were scored before."""
    unreadable: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    """Response records in domains that were not asked for, by domain."""
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the report ready for JSON."""
        return {**asdict(self), "folder": str(self.folder)}


@dataclass(frozen=True, slots=True)
class ScoringRule:
    """How counts become the label and the consistency of a scored record."""

    consistency: ConsistencyDefinition = "max_share"
    thresholds: LabelThresholds = DEFAULT_THRESHOLDS

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as the manifest names it."""
        return {"consistency": self.consistency, "label_thresholds": self.thresholds.to_dict()}


DEFAULT_RULE = ScoringRule()


def judge_responses(
    study: str | Path = DEFAULT_STUDY,
    *,
    judge: str | None = None,
    judge_options: Mapping[str, Any] | None = None,
    conditions: Sequence[str] | None = None,
    domains: Sequence[str] | None = None,
    rejudge: bool = False,
    rule: ScoringRule = DEFAULT_RULE,
    progress: Progress | None = None,
) -> list[JudgeReport]:
    """Judge every response record that the judge has not scored yet, and return one report a condition.

    `study` is a study folder, one condition's folder or a downloaded release. The three short domains are
    left out, as in the published release, unless `domains` names them or is ["all"]. `rejudge` sets scores
    of other settings of the same judge aside (into `scored/.replaced/`) and starts anew.

    Raises ConfigError for an unknown judge, domain or condition and for scores made with other settings,
    DataError for records that cannot be read or written.
    """
    config = load_study(study)
    chosen = open_judge(
        config.judge.name if judge is None else judge,
        options=(config.judge.options if judge in (None, config.judge.name) else {})
        | dict(judge_options or {}),
    )
    folders = find_conditions(study)
    if conditions:
        names = [match_condition(name, [folder.name for folder in folders]) for name in conditions]
        folders = [folder for folder in folders if folder.name in names]
    _check_domains(domains, folders)
    run = _Run(chosen, domains, rule, progress or Silent(), rejudge)
    return [run.judge_condition(folder) for folder in folders]


@dataclass(frozen=True, slots=True)
class _Run:
    """One call of `judge_responses`: what all of its conditions share."""

    judge: Judge
    domains: Sequence[str] | None
    rule: ScoringRule
    progress: Progress
    rejudge: bool

    def judge_condition(self, folder: ConditionFolder) -> JudgeReport:
        target = folder.judge_folder(self.judge.name)
        report = JudgeReport(folder.name, self.judge.name, target)
        settings = {"judge": self.judge.describe(), **self.rule.to_dict()}
        if self.rejudge:
            _set_aside(target)
        with locked(target, "judge"):
            manifest = Manifest(target / "manifest.json", settings)
            done = self._read_done(folder)
            report.kept = len(done)
            pending = self._count_pending(folder, done, report)
            if pending:
                manifest.start_run(records_before=report.kept, domains=list(self.domains or []))
                started = time.monotonic()
                self.progress.start(f"judging {folder.name}", pending)
                for path in folder.response_files():
                    self._judge_file(folder, path, done, report)
                report.seconds = time.monotonic() - started
                manifest.finish_run(
                    records_written=report.written,
                    unreadable_verdicts=report.unreadable,
                    seconds=round(report.seconds, 3),
                )
        return report

    def _read_done(self, folder: ConditionFolder) -> set[RecordKey]:
        done: set[RecordKey] = set()
        for path in folder.scored_files(self.judge.name):
            keys = {record.key for record in unique_by_key(path, read_models(path, ScoredRecord))}
            _drop_details_without_score(details_path(path), keys)
            done |= keys
        return done

    def _count_pending(self, folder: ConditionFolder, done: set[RecordKey], report: JudgeReport) -> int:
        left_out: Counter[str] = Counter()
        pending = 0
        for record in _read_records(folder.response_files()):
            if not self._wants(record.domain):
                left_out[record.domain] += 1
            elif record.key not in done:
                pending += 1
        report.left_out = dict(left_out)
        return pending

    def _judge_file(
        self, folder: ConditionFolder, path: Path, done: set[RecordKey], report: JudgeReport
    ) -> None:
        waiting: dict[RecordKey, ResponseRecord] = {}
        judgements = self.judge.judge(self._hand_out(path, done, waiting))
        writers: dict[Path, tuple[Appender, Appender]] = {}
        try:
            for judgement in judgements:
                record = waiting.pop(judgement.key)
                scored_path = folder.scored_path(self.judge.name, record.domain, record.temperature)
                if scored_path not in writers:
                    writers[scored_path] = (Appender(scored_path), Appender(details_path(scored_path)))
                scored, details = writers[scored_path]
                # the score is what counts as done, so the details come first
                details.append([make_details(record, judgement)])
                scored.append([make_score(record, judgement, condition=folder.name, rule=self.rule)])
                report.written += 1
                report.unreadable += judgement.verdicts.count(None)
                self.progress.advance(1)
        finally:
            for pair in writers.values():
                for writer in pair:
                    writer.close()

    def _hand_out(
        self, path: Path, done: set[RecordKey], waiting: dict[RecordKey, ResponseRecord]
    ) -> Iterator[ResponseRecord]:
        for record in _read_records([path]):
            if self._wants(record.domain) and record.key not in done:
                waiting[record.key] = record
                yield record

    def _wants(self, domain: str) -> bool:
        if not self.domains:
            return domain not in SHORT_DOMAINS
        return ALL_DOMAINS in self.domains or domain in self.domains


def make_score(
    record: ResponseRecord, judgement: Judgement, *, condition: str, rule: ScoringRule = DEFAULT_RULE
) -> ScoredRecord:
    """Return the scored record, in the published fields, for one judgement.

    Raises ValueError if the judgement is not of this record.
    """
    if judgement.key != record.key or len(judgement.verdicts) != record.n_samples:
        raise ValueError(
            f"judgement of {judgement.key} with {len(judgement.verdicts)} verdicts for {record.key}"
        )
    yes, no = judgement.verdicts.count("Y"), judgement.verdicts.count("N")
    return ScoredRecord(
        id=record.id,
        domain=record.domain,
        prompt=record.prompt,
        condition=condition,
        temperature=format_temperature(record.temperature),
        preference_count=yes,
        no_preference_count=no,
        consistency=record_consistency(yes, no, rule.consistency),
        label=label_record(yes, no, rule.thresholds),
        preference_summary=judgement.summary,
        raw_judgments=list(judgement.verdicts),
    )


def make_details(record: ResponseRecord, judgement: Judgement) -> dict[str, Any]:
    """Return the sidecar line for one judgement: choices, reasons, and how far the answers agree in content."""
    texts = [response.text for response in record.responses]
    return {
        "id": record.id,
        "domain": record.domain,
        "temperature": format_temperature(record.temperature),
        "choices": list(judgement.choices),
        "reasons": list(judgement.reasons),
        "choice_agreement": choice_agreement(
            [
                choice
                for choice, verdict in zip(judgement.choices, judgement.verdicts, strict=True)
                if verdict == "Y"
            ]
        ),
        "content_agreement": content_agreement(texts, judgement.choices),
        "details": judgement.details,
    }


def _read_records(paths: Iterable[Path]) -> Iterator[ResponseRecord]:
    seen: dict[RecordKey, str] = {}
    for path in paths:
        yield from unique_by_key(path, read_models(path, ResponseRecord), seen)


def _drop_details_without_score(path: Path, scored: set[RecordKey]) -> None:
    """Remove details that a killed run wrote just before the score itself."""
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


def _set_aside(folder: Path) -> None:
    """Move a judge's scores away, to be kept but no longer read."""
    if folder.is_dir():
        target = folder.parent / ".replaced" / f"{folder.name}-{now().replace(':', '')}"
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(target)


def _check_domains(domains: Sequence[str] | None, folders: Sequence[ConditionFolder]) -> None:
    if not domains or ALL_DOMAINS in domains:
        return
    known = {path.name.rsplit("_t", 1)[0] for folder in folders for path in folder.response_files()}
    for domain in domains:
        if domain not in known:
            raise unknown_name("domain", domain, [*known, ALL_DOMAINS])
    if not known:
        raise ConfigError("there are no responses to judge")
