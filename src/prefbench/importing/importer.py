"""One file of answers in, a condition of a study out; which kind of file it is decides who reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from prefbench.errors import ConfigError, DataError, unknown_name
from prefbench.folders import ConditionFolder
from prefbench.importing.inspect_logs import is_inspect_log, open_inspect_log
from prefbench.importing.lm_eval import is_lm_eval, open_lm_eval
from prefbench.importing.records import RecordPlan, Source, SourceRow
from prefbench.importing.tables import read_rows
from prefbench.importing.verdicts import VerdictRule
from prefbench.importing.writing import fresh_records, write_failures, write_records, write_scores
from prefbench.manifest import Manifest
from prefbench.store import locked
from prefbench.study import DEFAULT_CONDITION, DEFAULT_STUDY

SourceKind = Literal["table", "inspect", "lm-eval"]
KINDS = ("table", "inspect", "lm-eval")


@dataclass(slots=True)
class ImportReport:
    """What an import came to."""

    source: Path
    folder: Path
    kind: SourceKind = "table"
    rows: int = 0
    written: int = 0
    """Response records."""
    kept: int = 0
    """Records that were there before, with the same answers."""
    responses: int = 0
    dropped: int = 0
    """Rows without an answer: left out because `drop_missing` was given, or failures that the source recorded."""
    scored: int = 0
    """Records whose scores were taken over as verdicts."""
    unreadable: int = 0
    """Single scores that are neither of the values of the rule."""
    judge: str | None = None
    files: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the report ready for JSON."""
        return {**asdict(self), "source": str(self.source), "folder": str(self.folder)}


def import_responses(  # noqa: PLR0913 - the words of `prefbench import`
    source: str | Path,
    *,
    study: str | Path = DEFAULT_STUDY,
    condition: str = DEFAULT_CONDITION,
    kind: str | None = None,
    columns: Mapping[str, str] | None = None,
    values: Mapping[str, str] | None = None,
    drop_missing: bool = False,
    rule: VerdictRule | None = None,
    partial: bool = False,
) -> ImportReport:
    """Write the answers in a file as response records, in the order of its rows, and return what was done.

    The file is a table (.jsonl, .csv, .parquet), a log of inspect_ai (.eval or .json) or an lm-eval file
    `samples_*.jsonl`; `kind` names it where it cannot be told. `columns` maps a field of ours to a column of the
    file ({"prompt": "question"}), which in a log may be `metadata.KEY` and in an lm-eval file `doc.KEY`; a field
    that is not mapped is read from the column of its own name. `values` gives a field one value for all rows
    ({"temperature": "1.0"}). Needed are prompt, response, temperature and domain; id defaults to a hash of
    the prompt, format to `open_ended`. Rows of one (domain, id, temperature) are the answers to one prompt.
    `rule` takes a scorer's values over as verdicts; `partial` takes what a run that was cut off has left.

    Raises ConfigError for an unknown field or a column that is not there, DataError "file:row: what" for a
    row without an answer (unless `drop_missing`, or where the log recorded why), for a log that is not whole,
    and for records that are there with other answers.
    """
    path = Path(source)
    found = _choose_kind(path, kind)
    plan = RecordPlan(path, dict(columns or {}), dict(values or {}), drop_missing, rule)
    target = ConditionFolder(condition, Path(study) / condition)
    opened = _open(path, found, partial=partial)
    imported = list(plan.make_records(opened.rows))
    records = [each.record for each in imported]
    if rule is not None:
        rule.check([each.verdicts for each in imported])
    report = ImportReport(path, target.path, found, rows=plan.rows, dropped=plan.dropped)
    with locked(target.path, "sample"):
        fresh = fresh_records(target, records)
        manifest = Manifest(target.manifest, opened.settings)
        facts = {"columns": dict(plan.columns), "values": dict(plan.values), **opened.facts}
        manifest.start_run(source=path.name, sha256=_hash(path), **facts)
        write_records(target, fresh)
        write_failures(target, plan.failures)
        report.written, report.kept = len(fresh), len(records) - len(fresh)
        report.responses = sum(record.n_samples for record in fresh)
        report.files = sorted(
            {str(target.responses_path(each.domain, each.temperature, each.n_samples)) for each in records}
        )
        manifest.finish_run(records_written=report.written, rows=report.rows, dropped=report.dropped)
    if rule is not None:
        report.judge = rule.judge
        report.scored = write_scores(target, imported, rule, origin=str(opened.settings["origin"]))
        report.unreadable = sum(each.verdicts.count(None) for each in imported)
    return report


def _choose_kind(path: Path, kind: str | None) -> SourceKind:
    if not path.is_file():
        what = "is a folder; name a file in it" if path.is_dir() else "no such file; check the path"
        raise DataError(f"{path}: {what}")
    if kind is not None:
        if kind not in KINDS:
            raise unknown_name("kind of file", kind, KINDS)
        return kind  # type: ignore[return-value]  # one of KINDS
    if is_inspect_log(path):
        return "inspect"
    return "lm-eval" if is_lm_eval(path) else "table"


def _open(path: Path, kind: SourceKind, *, partial: bool) -> Source:
    if kind == "inspect":
        return open_inspect_log(path, partial=partial)
    if kind == "lm-eval":
        return open_lm_eval(path, partial=partial)
    if partial:
        raise ConfigError("--partial is for the logs of runs, and a table does not know whether it is whole")
    return Source(path, _table_rows(path), {"origin": "import"})


def _table_rows(path: Path) -> Iterator[SourceRow]:
    for number, row in read_rows(path):
        yield SourceRow(f"{path}:{number}", row, row)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
