"""What a judge answers: the schema to ask for, and the reader that takes nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

from prefbench.records import Verdict

LONGEST_CHOICE = 120
LONGEST_SUMMARY = 200


class AnswerFault(Exception):  # noqa: N818 - a fault of the judge's, named to it in the retry
    """What is wrong with an answer, in words that the judge can act on."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A judge's answer about some responses, in their order."""

    verdicts: tuple[Verdict, ...]
    choices: tuple[str | None, ...]
    summary: str | None


@cache
def answer_schema(count: int) -> dict[str, Any]:
    """Return the JSON schema of an answer about `count` responses.

    The verdicts are fields named by the responses' numbers, since every provider holds a model to the fields of an
    object, and not every one to the length of a list. There are no unions: some providers allow only a few.
    """
    verdict = {
        "type": "object",
        "properties": {
            "choice": {"type": "string", "maxLength": LONGEST_CHOICE},
            "verdict": {"type": "string", "enum": ["Y", "N"]},
        },
        "required": ["choice", "verdict"],
        "additionalProperties": False,
    }
    numbers = [str(number) for number in range(1, count + 1)]
    return {
        "type": "object",
        "properties": {
            "verdicts": {
                "type": "object",
                "properties": {number: {"$ref": "#/$defs/verdict"} for number in numbers},
                "required": numbers,
                "additionalProperties": False,
            },
            "summary": {"type": "string", "maxLength": LONGEST_SUMMARY},
        },
        "required": ["verdicts", "summary"],
        "additionalProperties": False,
        "$defs": {"verdict": verdict},
    }


def read_answer(text: str, count: int) -> Answer:
    """Return the answer in a judge's text; raise AnswerFault if it is not one about exactly `count` responses."""
    content = _read_object(text)
    entries = content.get("verdicts")
    if not isinstance(entries, dict):
        raise AnswerFault('it has no object "verdicts"')
    numbers = [str(number) for number in range(1, count + 1)]
    if missing := [number for number in numbers if number not in entries]:
        raise AnswerFault(f"it has no verdict on response {', '.join(missing)}")
    if surplus := [number for number in entries if number not in numbers]:
        raise AnswerFault(f"it has verdicts on {', '.join(surplus)}, but the responses are 1 to {count}")
    found = [_read_entry(entries[number], number) for number in numbers]
    summary = content.get("summary")
    if summary is not None and not isinstance(summary, str):
        raise AnswerFault('"summary" is neither a text nor null')
    return Answer(
        tuple(verdict for _, verdict in found),
        tuple(choice for choice, _ in found),
        " ".join(summary.split())[:LONGEST_SUMMARY] or None if summary else None,
    )


def _read_object(text: str) -> dict[str, Any]:
    """Return the JSON object in a text, which may stand in a code fence or after a sentence."""
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        raise AnswerFault("it holds no JSON object" if text.strip() else "it is empty")
    try:
        content = orjson.loads(text[start : end + 1])
    except orjson.JSONDecodeError as error:
        raise AnswerFault(f"it is not valid JSON ({error})") from error
    if not isinstance(content, dict):
        raise AnswerFault("it is not a JSON object")
    return content


def _read_entry(entry: Any, number: str) -> tuple[str | None, Verdict]:
    if not isinstance(entry, dict):
        raise AnswerFault(f"the verdict on response {number} is not an object")
    choice, verdict = entry.get("choice"), entry.get("verdict")
    if verdict not in ("Y", "N"):
        raise AnswerFault(f'the verdict on response {number} is {verdict!r}, not "Y" or "N"')
    if choice is not None and not isinstance(choice, str):
        raise AnswerFault(f'"choice" of response {number} is neither a text nor null')
    return choice[:LONGEST_CHOICE] if choice else None, verdict
