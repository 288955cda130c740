"""The judge seam: response records in, judgements out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from prefbench.records import RecordKey, ResponseRecord, Verdict


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge found in one response record. The four tuples have one entry a response."""

    key: RecordKey
    verdicts: tuple[Verdict | None, ...]
    """"Y" commits to a preference, "N" does not, None: the verdict could not be had."""
    choices: tuple[str | None, ...]
    """The option or thing chosen, in the prompt's own words where it has options; None where none was found."""
    reasons: tuple[str, ...]
    """Why, in a few words (`option_chosen`, `refusal`, ...); for a missing verdict, what went wrong."""
    summary: str | None = None
    """A short phrase for the preference expressed most often; None where there is none."""
    details: dict[str, Any] = field(default_factory=dict)
    """Anything more worth keeping beside the verdicts (usage, raw text of an unreadable answer)."""
    error: str | None = None
    """Why the judge could not be asked, for now: nothing is stored of the record, and it is asked for again."""

    def __post_init__(self) -> None:
        if not len(self.verdicts) == len(self.choices) == len(self.reasons):
            raise ValueError(
                f"{len(self.verdicts)} verdicts, {len(self.choices)} choices, {len(self.reasons)} reasons: "
                "a judgement has one of each per response"
            )


class Judge(Protocol):
    """A judge reads response records and yields one judgement for each, in any order.

    A record that cannot be judged yields a Judgement whose verdicts are None, one that could not be judged this
    time a Judgement with an `error`, one that a provider still works on none at all; a fault that would hit every
    record raises `BackendError`.
    """

    name: str

    def describe(self) -> dict[str, Any]:
        """Return what the manifest must say of this judge: name, version, rubric hash, model."""
        ...

    def judge(self, records: Iterable[ResponseRecord]) -> Iterator[Judgement]:
        """Yield one judgement for each record, in any order."""
        ...


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where a judge may keep files of its own: one condition's folder of its scores."""

    folder: Path
    others: tuple[Path, ...] = ()
    """The folders of the same judge in the study's other conditions."""


@runtime_checkable
class WorkingJudge(Judge, Protocol):
    """A judge that loads something, spends money or leaves work in flight, and so needs a place for it."""

    batch: bool
    """Whether records may be left in flight, to be asked for again after `poll_seconds`."""
    poll_seconds: float

    def open_in(self, place: Workplace) -> None:
        """Make ready to judge the records of one condition."""
        ...

    def identify(self) -> dict[str, Any]:
        """Return what else all scores of a condition must share, once the judge is open."""
        ...

    def report(self) -> dict[str, Any]:
        """Return what the judging in this place came to: calls, tokens, dollars, `in_flight`, `budget_reached`."""
        ...

    def note(self) -> str:
        """Return a few words on how it goes."""
        ...

    def close(self) -> None:
        """Let go of the place."""
        ...
