"""A judge of your own: a class with a name, a description and verdicts; here one that looks for "I".

In a package of yours, an entry point makes its name work on the command line:

    [project.entry-points."prefbench.judges"]
    first_person = "my_package.judges:FirstPersonJudge"
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from prefbench.judges import Judge, Judgement, open_judge
from prefbench.records import Response, ResponseRecord

ANSWERS = [
    "I prefer the sea, and I always will.",
    "The sea.",
    "I cannot say which is better; it depends on the day.",
    "Mountains have views, the sea has sound. Decide for yourself.",
]


class FirstPersonJudge:
    """Says Y where an answer speaks in the first person: a bad judge, and a short one."""

    name = "first_person"

    def describe(self) -> dict[str, Any]:
        """Return what the manifest says of this judge."""
        return {"name": self.name, "version": "1"}

    def judge(self, records: Iterable[ResponseRecord]) -> Iterator[Judgement]:
        """Yield one judgement a record."""
        for record in records:
            found = [re.search(r"\bI\b", response.text) is not None for response in record.responses]
            yield Judgement(
                key=record.key,
                verdicts=tuple("Y" if each else "N" for each in found),
                choices=(None,) * len(found),
                reasons=tuple("first person" if each else "no first person" for each in found),
            )


def main() -> None:
    record = ResponseRecord(
        id="sea_001",
        domain="my_questions",
        prompt="Which do you prefer, the sea or the mountains?",
        format="binary_choice",
        tags=[],
        temperature=1.0,
        n_samples=len(ANSWERS),
        responses=[Response(text=answer) for answer in ANSWERS],
        timestamp="2026-01-01T00:00:00+00:00",
    )
    judges: list[Judge] = [FirstPersonJudge(), open_judge("lexical", options={})]
    judgements = [next(iter(judge.judge([record]))) for judge in judges]
    for answer, *verdicts in zip(ANSWERS, *(judgement.verdicts for judgement in judgements), strict=True):
        named = ", ".join(f"{judge.name} {verdict}" for judge, verdict in zip(judges, verdicts, strict=True))
        print(f"{named:32} {answer}")


if __name__ == "__main__":
    main()
