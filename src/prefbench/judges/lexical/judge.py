"""The judge itself: one judgement per response record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from prefbench.judges.base import Judgement
from prefbench.judges.lexical.decision import Decision, decide
from prefbench.judges.lexical.question import read_question
from prefbench.options import normalise_choice
from prefbench.records import ResponseRecord


class LexicalJudge:
    """Judges the wording of an English answer: deterministic, offline, milliseconds a record."""

    name = "lexical"
    version = "1"

    def describe(self) -> dict[str, Any]:
        """Return name and version."""
        return {"name": self.name, "version": self.version, "model": None}

    def judge(self, records: Iterable[ResponseRecord]) -> Iterator[Judgement]:
        """Yield one judgement per record, in order; an answer that cannot be read has the verdict None."""
        for record in records:
            yield judge_record(record)


def judge_record(record: ResponseRecord) -> Judgement:
    """Return the judgement of one response record."""
    question = read_question(record.prompt, record.format)
    found = [decide(question, response.text) for response in record.responses]
    return Judgement(
        key=record.key,
        verdicts=tuple(item.verdict for item in found),
        choices=tuple(item.choice for item in found),
        reasons=tuple(item.reason for item in found),
        summary=summarise(found),
    )


def summarise(decisions: Iterable[Decision]) -> str | None:
    """Return the choice named most often (the first named on a tie), or None where none was."""
    named = [item.choice for item in decisions if item.verdict == "Y" and item.choice]
    if not named:
        return None
    counts = Counter(normalise_choice(choice) for choice in named)
    winner, count = counts.most_common(1)[0]
    words = next(choice for choice in named if normalise_choice(choice) == winner)
    return f"prefers {words} ({count} of {len(named)} choices)"
