"""Tell commitments from hedges by the phrases they were built from: exact on the corpus, an estimate on samples."""

from __future__ import annotations

import re
from functools import cache

import phrases

SHORTEST = 9
_FIELD = re.compile(r"\{\w+\}")


def _pieces(templates: list[str]) -> set[str]:
    found: set[str] = set()
    for template in templates:
        found.update(piece.strip(" .,;:?") for piece in _FIELD.split(template))
    return {piece.lower() for piece in found if len(piece) >= SHORTEST}


@cache
def hedge_pattern() -> re.Pattern[str]:
    """Return a pattern that finds any literal piece of a hedging template."""
    lists = [
        phrases.HEDGE_TWO,
        phrases.HEDGE_VERB,
        phrases.HEDGE_MANY,
        phrases.HEDGE_RANKING,
        phrases.HEDGE_OPEN,
        phrases.HEDGE_ALWAYS,
        phrases.HEDGE_WORD,
    ]
    pieces = set().union(*(_pieces(templates) for templates in lists))
    return re.compile("|".join(re.escape(piece) for piece in sorted(pieces, key=len, reverse=True)))


def commits(answer: str) -> bool | None:
    """Return True for an answer without a hedging phrase, False for one with, None for an empty one."""
    text = answer.strip().lower()
    return None if not text else hedge_pattern().search(text) is None


def names_option(answer: str, options: tuple[str, ...]) -> bool:
    """Return whether an answer holds at least one of the options in full, case and leading article apart."""
    text = answer.lower()
    return any(re.sub(r"^(an?|the|to) ", "", option.lower()).strip(" .") in text for option in options)


def ranks_all(answer: str, options: tuple[str, ...]) -> bool:
    """Return whether an answer holds every one of the options, in whatever order."""
    return all(names_option(answer, (option,)) for option in options)
