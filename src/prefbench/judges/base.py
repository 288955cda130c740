"""The judge seam: response records in, judgements out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

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

    def __post_init__(self) -> None:
        if not len(self.verdicts) == len(self.choices) == len(self.reasons):
            raise ValueError(
                f"{len(self.verdicts)} verdicts, {len(self.choices)} choices, {len(self.reasons)} reasons: "
                "a judgement has one of each per response"
            )


class Judge(Protocol):
    """A judge reads response records and yields one judgement for each, in any order.

    A record that cannot be judged yields a Judgement whose verdicts are None; a fault that would hit
    every record raises `BackendError`.
    """

    name: str

    def describe(self) -> dict[str, Any]:
        """Return what the manifest must say of this judge: name, version, rubric hash, model."""
        ...

    def judge(self, records: Iterable[ResponseRecord]) -> Iterator[Judgement]:
        """Yield one judgement for each record, in any order."""
        ...
