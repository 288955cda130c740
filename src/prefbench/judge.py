"""Judge answers: response records in; scored records and their details on disk out. Does only what is missing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from prefbench.errors import BackendError, ConfigError
from prefbench.folders import ConditionFolder, details_path, find_conditions, match_condition
from prefbench.judges import Judge, Judgement, WorkingJudge, Workplace, live_items, open_judge
from prefbench.manifest import Manifest, now
from prefbench.pending import Pending, check_domains
from prefbench.progress import Progress, Silent
from prefbench.records import RecordKey, ResponseRecord
from prefbench.scoring import DEFAULT_RULE, ScoringRule, make_details, make_score
from prefbench.store import Appender, locked, writing
from prefbench.study import DEFAULT_STUDY, Study, load_study

__all__ = ["JudgeReport", "ScoringRule", "choose_judge", "judge_responses", "make_details", "make_score"]

CURE = "give the same settings, another name (--name), or --rejudge to set these scores aside and judge anew"


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
    failed: int = 0
    """Records that the judge could not be asked about; the same command tries them again."""
    first_error: str | None = None
    in_flight: int = 0
    """Items that a provider still works on."""
    budget_reached: bool = False
    calls: int = 0
    tokens: int = 0
    dollars: float | None = None
    """What this run spent here; None where no money is spent or no price is known."""
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the report ready for JSON."""
        return {**asdict(self), "folder": str(self.folder)}


def judge_responses(  # noqa: PLR0913 - the words of `prefbench judge`
    study: str | Path = DEFAULT_STUDY,
    *,
    judge: str | None = None,
    judge_options: Mapping[str, Any] | None = None,
    conditions: Sequence[str] | None = None,
    domains: Sequence[str] | None = None,
    rejudge: bool = False,
    wait: bool = True,
    rule: ScoringRule = DEFAULT_RULE,
    progress: Progress | None = None,
) -> list[JudgeReport]:
    """Judge every response record that the judge has not scored yet, and return one report a condition.

    `study` is a study folder, one condition's folder or a downloaded release. The three short domains are
    left out, as in the published release, unless `domains` names them or is ["all"]. `rejudge` sets scores
    of other settings of the same judge aside (into `scored/.replaced/`) and starts anew. With a judge that works
    in batches, `wait` stays until they are done; without it, what is finished is stored, the rest is submitted or
    in flight, and a later call goes on.

    Raises ConfigError for an unknown judge, domain or condition and for scores made with other settings,
    DataError for records that cannot be read or written, BackendError if a judge's model failed for every record
    or for some (after all others were judged).
    """
    chosen = choose_judge(load_study(study), judge, judge_options)
    everything = find_conditions(study)
    folders = choose_folders(everything, conditions)
    check_domains(domains, folders)
    places = [folder.judge_folder(chosen.name) for folder in everything]
    run = _Run(chosen, domains, rule, progress or Silent(), places, wait)
    if rejudge:
        for folder in folders:
            _set_aside(folder.judge_folder(chosen.name))
    return run.judge_all(folders)


def choose_judge(config: Study, name: str | None, options: Mapping[str, Any] | None) -> Judge:
    """Open the judge that was asked for, else the study file's; its options hold where the names agree."""
    configured = config.judge.options if name in (None, config.judge.name) else {}
    return open_judge(name or config.judge.name, options=configured | dict(options or {}))


def choose_folders(
    folders: Sequence[ConditionFolder], conditions: Sequence[str] | None
) -> list[ConditionFolder]:
    """Return the conditions that were asked for, or all. Raises ConfigError with the nearest name."""
    if not conditions:
        return list(folders)
    names = [match_condition(name, [folder.name for folder in folders]) for name in conditions]
    return [folder for folder in folders if folder.name in names]


@dataclass(slots=True)
class _Cell:
    """One condition while it is judged."""

    folder: ConditionFolder
    pending: Pending
    manifest: Manifest
    report: JudgeReport


@dataclass(frozen=True, slots=True)
class _Run:
    """One call of `judge_responses`: what all of its conditions share."""

    judge: Judge
    domains: Sequence[str] | None
    rule: ScoringRule
    progress: Progress
    places: Sequence[Path]
    wait: bool

    def judge_all(self, folders: Sequence[ConditionFolder]) -> list[JudgeReport]:
        with ExitStack() as stack:
            cells = [self._open_cell(folder, stack) for folder in folders]
            open_cells = [cell for cell in cells if cell.pending.count]
            for cell in open_cells:
                self._begin(cell)
            batch = isinstance(self.judge, WorkingJudge) and self.judge.batch
            if batch and open_cells:
                self.progress.start("judging in batches", sum(cell.pending.count for cell in open_cells))
            while open_cells:
                for cell in open_cells:
                    self._judge_cell(cell, batch=batch)
                open_cells = [cell for cell in open_cells if cell.pending.count]
                if not (self.wait and any(cell.report.in_flight for cell in open_cells)):
                    break
                self._sleep()
        if failed := [cell.report for cell in cells if cell.report.failed]:
            raise BackendError(_describe_failures(failed))
        return [cell.report for cell in cells]

    def _open_cell(self, folder: ConditionFolder, stack: ExitStack) -> _Cell:
        target = folder.judge_folder(self.judge.name)
        stack.enter_context(locked(target, "judge"))
        settings = {"judge": self.judge.describe(), **self.rule.to_dict()}
        manifest = Manifest(target / "manifest.json", settings, cure=CURE)
        pending = Pending(folder, self.judge.name, self.domains)
        pending.repair()
        pending.read()
        report = JudgeReport(folder.name, self.judge.name, target, kept=len(pending.done))
        report.left_out = pending.left_out
        return _Cell(folder, pending, manifest, report)

    def _begin(self, cell: _Cell) -> None:
        self._open_judge(cell)
        if isinstance(self.judge, WorkingJudge):
            cell.manifest.require({"judge_identity": self.judge.identify()})
            self.judge.close()
        cell.manifest.start_run(records_before=cell.report.kept, domains=list(self.domains or []))

    def _open_judge(self, cell: _Cell) -> None:
        if isinstance(self.judge, WorkingJudge):
            here = cell.report.folder
            self.judge.open_in(Workplace(here, tuple(place for place in self.places if place != here)))

    def _judge_cell(self, cell: _Cell, *, batch: bool) -> None:
        """Judge what is pending in one condition, as far as it goes now."""
        started = time.monotonic()
        if not batch:
            self.progress.start(f"judging {cell.folder.name}", cell.pending.count)
        self._open_judge(cell)
        try:
            self._judge_records(cell)
        finally:
            cell.report.seconds += time.monotonic() - started
            self._close(cell)

    def _judge_records(self, cell: _Cell) -> None:
        waiting: dict[RecordKey, ResponseRecord] = {}

        def hand_out() -> Any:
            for record in cell.pending.records():
                waiting[record.key] = record
                yield record

        note = self.judge.note if isinstance(self.judge, WorkingJudge) else str
        with _Writers(cell.folder, self.judge.name, self.rule) as writers:
            for judgement in self.judge.judge(hand_out()):
                record = waiting.pop(judgement.key)
                cell.pending.count -= 1
                if judgement.error is not None:
                    cell.pending.done.add(record.key)  # for this run
                    _keep_error(cell.report, judgement)
                    continue
                writers.write(record, judgement)
                cell.pending.done.add(record.key)
                cell.report.written += 1
                cell.report.unreadable += judgement.verdicts.count(None)
                self.progress.advance(1, note())

    def _close(self, cell: _Cell) -> None:
        """Write down what came of it, whether it went well or not."""
        report, facts = cell.report, dict[str, Any]()
        if isinstance(self.judge, WorkingJudge):
            facts = self.judge.report()
            self.judge.close()
            report.in_flight = facts["in_flight"]
            report.budget_reached = facts["budget_reached"]
            report.calls += facts["calls"]
            report.tokens += facts["input_tokens"] + facts["output_tokens"]
            if facts["dollars"] is not None:
                report.dollars = (report.dollars or 0.0) + facts["dollars"]
        cell.manifest.finish_run(
            records_written=report.written,
            unreadable_verdicts=report.unreadable,
            failed=report.failed,
            seconds=round(report.seconds, 3),
            **({"judging": facts | {"calls": report.calls, "dollars": report.dollars}} if facts else {}),
        )

    def _sleep(self) -> None:
        if isinstance(self.judge, WorkingJudge):
            time.sleep(self.judge.poll_seconds)


class _Writers:
    """The score and detail files of one condition, opened when they are first needed."""

    def __init__(self, folder: ConditionFolder, judge: str, rule: ScoringRule) -> None:
        self._folder = folder
        self._judge = judge
        self._rule = rule
        self._open: dict[tuple[str, float], tuple[Appender, Appender]] = {}

    def write(self, record: ResponseRecord, judgement: Judgement) -> None:
        """Write one judgement; the score is what counts as done, so the details come first."""
        name = (record.domain, record.temperature)
        if name not in self._open:
            path = self._folder.scored_path(self._judge, *name)
            self._open[name] = (Appender(path), Appender(details_path(path)))
        scored, details = self._open[name]
        details.append([make_details(record, judgement)])
        scored.append([make_score(record, judgement, condition=self._folder.name, rule=self._rule)])

    def __enter__(self) -> _Writers:
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as stack:
            for pair in self._open.values():
                for writer in pair:
                    stack.callback(writer.close)


def _keep_error(report: JudgeReport, judgement: Judgement) -> None:
    """Put a record that could not be judged on record: it stays missing, and the next run tries it again."""
    key = judgement.key
    with Appender(report.folder / "errors.jsonl") as appender:
        appender.append([{**key._asdict(), "error": judgement.error, "timestamp": now()}])
    report.failed += 1
    report.first_error = report.first_error or f"{key.domain}/{key.id}: {judgement.error}"


def _describe_failures(failed: Sequence[JudgeReport]) -> str:
    total = sum(report.failed for report in failed)
    return (
        f"{total} records could not be judged (first: {failed[0].first_error}); all are in "
        f"{failed[0].folder / 'errors.jsonl'}; the others are written, and the same command tries the "
        "missing ones again"
    )


def _set_aside(folder: Path) -> None:
    """Move a judge's scores away, to be kept but no longer read."""
    if items := live_items(folder):
        raise ConfigError(
            f"{folder}: {items:,} items are in flight in batches and will be paid: collect them with --batch (without "
            "--rejudge), or cancel them at the provider, before these scores are set aside"
        )
    if folder.is_dir():
        target = folder.parent / ".replaced" / f"{folder.name}-{now().replace(':', '')}"
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(target)
