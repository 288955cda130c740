"""The judge itself: one judgement per response record, whatever the record holds."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from prefbench.judges.base import Judgement
from prefbench.judges.lexical.decision import Decision, decide
from prefbench.judges.lexical.question import read_question
from prefbench.options import normalise_choice
from prefbench.records import RecordKey, ResponseRecord

_RULES = (".py", ".toml", ".json")


class LexicalJudge:
    """Judges the wording of English answers: deterministic, offline, about two milliseconds a record."""

    name = "lexical"
    version = "1"

    def describe(self) -> dict[str, Any]:
        """Return name, version and the hash of the rules (SHA-256 over the files of this package)."""
        return {"name": self.name, "version": self.version, "rules_hash": rules_hash(), "model": None}

    def judge(self, records: Iterable[ResponseRecord]) -> Iterator[Judgement]:
        """Yield one judgement per record, in order; an answer that cannot be read has the verdict None.

        A record without a prompt or a list of responses gives a judgement that says so, not an error.
        """
        for record in records:
            yield judge_record(record)


def judge_record(record: ResponseRecord) -> Judgement:
    """Return the judgement of one response record."""
    prompt, responses = getattr(record, "prompt", None), getattr(record, "responses", None)
    if not isinstance(prompt, str) or not isinstance(responses, Sequence) or isinstance(responses, str):
        return Judgement(
            _key(record), (), (), (), details={"error": "unreadable record: no prompt or no responses"}
        )
    question = read_question(prompt, str(getattr(record, "format", "")))
    found = [decide(question, getattr(response, "text", None)) for response in responses]
    return Judgement(
        key=_key(record),
        verdicts=tuple(item.verdict for item in found),
        choices=tuple(item.choice for item in found),
        reasons=tuple(item.reason for item in found),
        summary=summarise(found),
    )


def summarise(decisions: Sequence[Decision]) -> str | None:
    """Return the choice named most often (the first named on a tie) with its count, or None where none was.

    >>> summarise([Decision("Y", "tea", "option_chosen"), Decision("N", None, "deferral")])
    'prefers tea (1 of 2 responses)'
    """
    named = [item.choice for item in decisions if item.verdict == "Y" and item.choice]
    if not named:
        return None
    winner, count = Counter(normalise_choice(choice) for choice in named).most_common(1)[0]
    words = next(choice for choice in named if normalise_choice(choice) == winner)
    return f"prefers {words} ({count} of {len(decisions)} responses)"


@cache
def rules_hash() -> str:
    """Return the SHA-256 of all that decides a verdict: the modules and tables of this package."""
    digest = hashlib.sha256()
    for path in sorted(files(__package__).iterdir(), key=lambda path: path.name):
        if path.name.endswith(_RULES):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _key(record: object) -> RecordKey:
    """Return the key of a record, with empty parts where it has none."""
    domain, name, temperature = (getattr(record, part, None) for part in ("domain", "id", "temperature"))
    known = isinstance(temperature, (int, float)) and not isinstance(temperature, bool)
    return RecordKey(
        domain if isinstance(domain, str) else "",
        name if isinstance(name, str) else "",
        float(temperature) if known and isinstance(temperature, (int, float)) else math.nan,
    )
