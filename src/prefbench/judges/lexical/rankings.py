"""The ranking that an answer gives: numbered lines, "a > b > c", or the options listed once in a row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from prefbench.judges.lexical.mentions import OptionWords, find_mentions, stem, words_of

_NUMBERED = re.compile(r"^\s*(?:#|no\.? ?)?(\d{1,2})[.):\-]?(?:st|nd|rd|th)?[.):]?\s+(.+)$", re.MULTILINE)
_INLINE_NUMBER = re.compile(r"(?:^|\s)\(?\d{1,2}[.)]\s+")
_DESCRIBING = re.compile(r"\b(?:is|are|has|have|gives?|offers?|brings?)\b")  # two of them: not a list
_LOWEST = re.compile(r"\W*(?:and )?(?:the )?(?:least|last|bottom|lowest)\b")
_BULLETED = re.compile(r"^\s*[-*•]\s+(.+)$", re.MULTILINE)
_CHAIN_SIGN = re.compile(r"->|[>→≻]")
_NO_ORDER = re.compile(
    r"\b(?:no particular order|not (?:a |in any )?(?:rank|order)|random order|alphabetical|equally|all"
    r" equal)",
    re.IGNORECASE,
)
_UNRANKED = re.compile(
    r"\b(?:some|others|different people|might|may|depends?|each|all|both|equally|can not|do not|could"
    r"|any|you|your)\b|\?$"
)
_ORDINAL = re.compile(r"\b(?:first|second|third|next|then|last|lastly|finally|top|bottom|most|least)\b")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_HEADING_END = re.compile(r"\s*(?::| [-–—] |\(|, (?:because|as|since|for|which)\b|\.(?:\s|$))")
_LONGEST_ITEM = 60  # characters


def find_ranking(text: str, options: OptionWords) -> tuple[int, ...] | None:
    """Return the options in the order that an answer ranks them, best first; None where it does not.

    A ranking names every option but one at least, each once.
    """
    needed = max(2, options.size - 1)
    named = {options.option_of.get(stem(word)) for word in set(words_of(text))} - {None}
    if len(named) + len(options.by_phrase) < needed or _NO_ORDER.search(text):
        return None
    for lines in _candidate_lists(text):
        if len(lines) >= needed:
            order = _order(lines, options)
            if len(order) >= needed:
                return tuple(order)
    return None


def find_free_ranking(text: str) -> tuple[str, ...] | None:
    """Return the headings of a numbered list of three or more that differ, where the options are not known."""
    if _NO_ORDER.search(text):
        return None
    headings = [_HEADING_END.split(body, maxsplit=1)[0].strip(" .,") for _, body in _NUMBERED.findall(text)]
    short = [heading for heading in headings if 0 < len(heading) <= _LONGEST_ITEM]
    distinct = len({heading.lower() for heading in short}) == len(headings)
    return tuple(short) if len(short) >= 3 and distinct else None


def _candidate_lists(text: str) -> Iterator[list[str]]:
    """Yield the lists in an answer that could be a ranking, the clearest kind first."""
    yield [body for _, body in _NUMBERED.findall(text)]
    for line in text.split("\n"):
        yield _INLINE_NUMBER.split(line)[1:]
        if _CHAIN_SIGN.search(line):
            yield _CHAIN_SIGN.split(line)
    yield _BULLETED.findall(text)
    sentences = [part for part in _SENTENCE.split(text) if not _UNRANKED.search(part)]
    for sentence in sentences:
        if len(_DESCRIBING.findall(sentence)) < 2:
            yield _pieces(sentence)
    if _ORDINAL.search(text):
        yield sentences


def _pieces(sentence: str) -> list[str]:
    return re.split(r"[,;:]|\bthen\b|\bfollowed by\b|\band\b|\bover\b|\bfirst\b|\blast\b", sentence)


def _order(lines: Sequence[str], options: OptionWords) -> list[int]:
    """Return the first option that each line names, in order, each once; "least: …" goes to the end."""
    order: dict[int, None] = {}
    lowest: dict[int, None] = {}
    for line in lines:
        mentions = find_mentions(words_of(line), options)
        if mentions:
            (lowest if _LOWEST.match(line) else order).setdefault(mentions[0].option)
    return list(order | lowest)
