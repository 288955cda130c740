"""The decision on one answer: verdict, choice and reason."""

from __future__ import annotations

import re
from typing import NamedTuple

from prefbench.judges.lexical.answer import read_answer
from prefbench.judges.lexical.question import Question
from prefbench.options import normalise_choice
from prefbench.records import Verdict

_REFUSAL = re.compile(
    r"\bI(?: am|'m)? (?:can't|cannot|can not|unable to|won't|do not have|don't have|must decline)|as an AI",
    re.IGNORECASE,
)
_DEFERRAL = re.compile(r"\bdepends\b|\bup to you\b|\bpersonal (?:choice|preference)", re.IGNORECASE)
_STANCE = re.compile(
    r"\bI(?:'d| would)? (?:prefer|choose|pick|go with|love|say|lean)|\bmy (?:favou?rite|choice)",
    re.IGNORECASE,
)


class Decision(NamedTuple):
    """What was found in one answer."""

    verdict: Verdict | None
    choice: str | None
    reason: str


def decide(question: Question, text: object) -> Decision:
    """Return the decision on one answer to a question."""
    answer = read_answer(text, question.prompt)
    if answer.problem is not None:
        return Decision(None, None, answer.problem)
    said = f" {normalise_choice(answer.text)} "
    named = [option for option in question.options if f" {normalise_choice(option)} " in said]
    if _STANCE.search(answer.text) or (len(named) == 1 and not _DEFERRAL.search(answer.text)):
        return Decision(
            "Y", named[0] if named else None, "option_chosen" if named else "first_person_judgement"
        )
    if _REFUSAL.search(answer.text):
        return Decision("N", None, "refusal")
    if _DEFERRAL.search(answer.text):
        return Decision("N", None, "deferral")
    if question.format == "single_word" and len(answer.text.split()) <= 3:
        return Decision("Y", answer.text.strip(" .!"), "single_word")
    return Decision("N", None, "no_commitment")
