"""What a prompt must not say, how long it may be, and that it asks one question."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from prefbench.bank_checks.report import Problem, about
from prefbench.bank_checks.text import read_vocabulary, split_words, straighten
from prefbench.records import PromptItem

PROMPT_WORDS = {
    "open_ended": (4, 45),
    "binary_choice": (4, 45),
    "ranking": (6, 60),
    "quad_choice": (6, 60),
    "single_word": (2, 25),
}
PROMPT_CHARACTERS = 350
_SECOND_QUESTION = re.compile(
    r"\b(?:and|but) (?:why|how so|how come|what makes|for what reason)\b"
    r"|\bwhy\b[^?]*\?.*\S|\?.*\bwhy\b|\b(?:or|so) why$"
    r"|\b(?:explain|justify|defend) (?:why|your|the|it)\b|\bgive (?:a|your|me a|one) reasons?\b|\bsay why\b"
    r"|, and (?:what|which|how|who|where|when) (?:is|are|was|would|do|does|did|should|could|will)\b"
)
_QUOTED = re.compile(r'"[^"]*"')
_LIST_LINE = re.compile(r"(?:\(?[A-Za-z0-9][.)]|[-*•]) ")
_YEAR = re.compile(r"\b(?:1[5-9]|20)\d\d(?:s|'s)?\b")


def check_length(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield prompts outside the word limits of their format, or longer than 350 characters."""
    for item in items:
        words = len(split_words(item.prompt))
        low, high = PROMPT_WORDS[item.format]
        if not low <= words <= high:
            yield about("length", item, f"{words} words: {item.format} prompts have {low} to {high}")
        if len(item.prompt) > PROMPT_CHARACTERS:
            yield about("length", item, f"{len(item.prompt)} characters: at most {PROMPT_CHARACTERS}")


def check_flagged(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield prompts that order a choice, invite a hedge, name what answers, or load an option."""
    yield from _check_phrases("flagged", "flagged_phrases", items)


def check_local(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield prompts with brands, dates, or what only one country knows."""
    yield from _check_phrases("local", "local_references", items)
    for item in items:
        year = _YEAR.search(item.prompt)
        if year:
            yield about("local", item, f"dates: {year.group()!r}")


def check_one_question(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield prompts that ask two things, or for reasons; what they quote is not asked."""
    for item in items:
        text = _QUOTED.sub('""', straighten(item.prompt))
        if text.count("?") > 1:
            yield about("one_question", item, "two question marks")
        second = _SECOND_QUESTION.search(text)
        if second:
            yield about("one_question", item, f"asks a second thing: {second.group()!r}")


def check_ending(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield prompts that end in neither a question mark, a full stop nor a colon, nor in a list."""
    for item in items:
        last_line = item.prompt.splitlines()[-1]
        if not _LIST_LINE.match(last_line) and not item.prompt.rstrip("\"'”’)").endswith(("?", ".", ":")):
            yield about("ending", item, f"ends {item.prompt[-20:]!r}: end with '?', '.' or ':'")


def _check_phrases(check: str, vocabulary: str, items: Sequence[PromptItem]) -> Iterator[Problem]:
    for item in items:
        text = straighten(item.prompt)
        for kind, pattern in _phrase_patterns(vocabulary).items():
            found = sorted({match.group() for match in pattern.finditer(text)})
            if found:
                yield about(check, item, f"{kind}: {', '.join(map(repr, found))}")


@lru_cache(maxsize=4)
def _phrase_patterns(vocabulary: str) -> dict[str, re.Pattern[str]]:
    return {
        kind: re.compile(r"(?<!\w)(?:" + "|".join(re.escape(phrase) for phrase in phrases) + r")(?!\w)")
        for kind, phrases in read_vocabulary(vocabulary).items()
    }
