"""The response files of a call of `prefbench sample`: what they hold already, and where each new record goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefbench.backends import Completion, Treatment
from prefbench.errors import ConfigError, UnprovedError
from prefbench.folders import ConditionFolder
from prefbench.manifest import Manifest, now
from prefbench.records import PromptItem, RecordKey, Response, ResponseRecord
from prefbench.sample_report import ConditionReport
from prefbench.store import Appender, move_tail, read_models, unique_by_key
from prefbench.study import Condition


@dataclass(frozen=True, slots=True)
class File:
    """One response file of the grid: its prompts, and which of them are there already."""

    path: Path
    domain: str
    temperature: float
    items: Sequence[PromptItem]
    done: frozenset[RecordKey]

    @property
    def missing(self) -> int:
        """How many records are still to be sampled."""
        return len(self.items) - len(self.done)

    def lacks(self, item: PromptItem) -> bool:
        """Whether a prompt's record is one of them."""
        return RecordKey(item.domain, item.id, self.temperature) not in self.done


@dataclass(slots=True)
class Cell:
    """One condition of the call: what is asked of it, where it goes, and what came of it."""

    condition: Condition
    treatment: Treatment
    target: ConditionFolder
    manifest: Manifest
    files: Sequence[File]
    report: ConditionReport
    checks: dict[str, Any] = field(default_factory=dict)
    mixing: Sequence[Mapping[str, Any]] = ()
    warnings: list[str] = field(default_factory=list)


class Place:
    """Where the records of one file go; opened with its first record."""

    def __init__(
        self, cell: Cell, file: File, on_repair: Callable[[Path, int], None], opened: ExitStack
    ) -> None:
        self.cell = cell
        self.file = file
        self._items = {item.id: item for item in file.items}
        self._on_repair = on_repair
        self._opened = opened
        self._appender: Appender | None = None
        self._start = 0

    def write(self, completion: Completion) -> int:
        """Append one record and return how many tokens its answers have."""
        if self._appender is None:
            self._appender = self._opened.enter_context(Appender(self.file.path, on_repair=self._on_repair))
            self._start = self.file.path.stat().st_size
        self._appender.append([_to_record(self._items[completion.request.key.id], completion)])
        tokens = sum(output.tokens for output in completion.outputs)
        self.cell.report.written += 1
        self.cell.report.tokens += tokens
        return tokens

    def set_aside(self) -> int:
        """Move what was written, once the file is closed, to the condition's `unproved`; return how many records."""
        if self._appender is None:
            return 0
        return move_tail(self.file.path, self._start, self.cell.target.unproved / self.file.path.name)


def set_aside(cells: Sequence[Cell], places: Iterable[Place], error: UnprovedError) -> UnprovedError:
    """Take this call's records out of the responses, so that no later call keeps them; return the error that says so.

    Those of every condition: a token that was steered in one answer was meant for another.
    """
    moved = dict.fromkeys((cell.condition.name for cell in cells), 0)
    for place in places:
        moved[place.cell.condition.name] += place.set_aside()
    for cell in cells:
        count = moved[cell.condition.name]
        cell.report.written = 0
        cell.manifest.finish_run(records_written=0, records_set_aside=count, fault=str(error))
    folders = ", ".join(str(cell.target.unproved) for cell in cells if moved[cell.condition.name])
    where = (
        f"; the {sum(moved.values()):,} records of this call are set aside in {folders}" if folders else ""
    )
    return UnprovedError(f"{error}{where}")


def read_done(path: Path, items: Iterable[PromptItem], temperature: float) -> Iterator[RecordKey]:
    """Yield the keys that are on disk. Raises ConfigError if a prompt of the same id had another text there."""
    if not path.exists():
        return
    texts = {RecordKey(item.domain, item.id, temperature): item.prompt for item in items}
    for record in unique_by_key(path, read_models(path, ResponseRecord)):
        if record.key not in texts:
            continue
        if record.prompt != texts[record.key]:
            raise ConfigError(
                f"{path}: {record.id} was sampled with another text than the prompt bank has now; "
                "use the bank of that run, or another --condition or --study"
            )
        yield record.key


def _to_record(item: PromptItem, completion: Completion) -> ResponseRecord:
    return ResponseRecord(
        id=item.id,
        domain=item.domain,
        prompt=item.prompt,
        format=item.format,
        tags=item.tags,
        temperature=completion.request.key.temperature,
        n_samples=len(completion.outputs),
        responses=[
            Response(text=output.text, finish_reason=output.finish_reason, tokens=output.tokens)
            for output in completion.outputs
        ],
        timestamp=now(),
    )


def keep_error(target: ConditionFolder, completion: Completion, report: ConditionReport) -> None:
    """Put a failed request on record: it is missing from the responses, and asked for again by the next run."""
    key = completion.request.key
    with Appender(target.errors) as appender:
        appender.append([{**key._asdict(), "error": completion.error, "timestamp": now()}])
    report.failed += 1
    report.first_error = report.first_error or f"{key.domain}/{key.id}: {completion.error}"
