"""The signals that a sentence can give: a table of patterns, each tried only where a trigger word stands.

Sentences come in lower case with contractions written out (`plain_sentences`), so "I can't" is
"i can not". A pattern is tried only on sentences that hold one of its trigger words; that keeps the cost
of a long answer linear and small.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

_CONTRACTIONS = {
    "n't": (("can't", "can not"), ("won't", "will not"), ("n't", " not")),
    "'s ": (
        ("it's ", "it is "), ("that's ", "that is "), ("there's ", "there is "), ("what's ", "what is "),
        ("here's ", "here is "),
    ),
    "'": (("'m ", " am "), ("'d ", " would "), ("'ve ", " have "), ("'ll ", " will "), ("'re ", " are ")),
}  # fmt: skip
"""What is written out, by what must stand in a text for it."""
_SPELLINGS = (("cannot", "can not"), ("favour", "favor"), ("dont ", "do not "))
_SENTENCE_ENDS = (". ", "! ", "? ", "; ")
_CLOSING = ('" ', ") ", "' ")
_NO_WORD = str.maketrans(dict.fromkeys('.,;:!?"()[]{}<>*_/\\|#~`=+—–…', " "))


class Sentence:
    """One sentence of an answer in plain form; its set of words is made when first asked for."""

    __slots__ = ("_words", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._words: frozenset[str] | None = None

    @property
    def words(self) -> frozenset[str]:
        """The words, hyphenated and apostrophised ones whole."""
        if self._words is None:
            self._words = frozenset(self.text.translate(_NO_WORD).split())
        return self._words


class Signal(NamedTuple):
    """A wording that tells something about commitment."""

    name: str
    triggers: frozenset[str]
    pattern: re.Pattern[str]


def plain(text: str) -> str:
    """Return text in lower case with straight quotes and contractions written out."""
    text = text.lower()
    if "'" in text:
        for mark, pairs in _CONTRACTIONS.items():
            if mark in text:
                for short, long in pairs:
                    text = text.replace(short, long)
    for other, one in _SPELLINGS:
        text = text.replace(other, one)
    return text


def plain_sentences(text: str) -> list[Sentence]:
    """Split an answer into sentences in plain form; an empty text gives none."""
    text = plain(text)
    for end in _SENTENCE_ENDS:
        text = text.replace(end, end + "\n")
    for close in _CLOSING:
        if close in text:
            for sign in ".!?":
                text = text.replace(sign + close, sign + close + "\n")
    parts = [part.strip() for part in text.split("\n")]
    return [Sentence(part) for part in parts if part]


def table_text() -> str:
    """Return the text of the shipped table (for the hash of the rules)."""
    return files(__package__).joinpath("signals.toml").read_text(encoding="utf-8")


@cache
def load_signals() -> tuple[Signal, ...]:
    """Return the signals of the shipped table, in its order."""
    table = tomllib.loads(table_text())
    return tuple(_compile(entry, table["macros"]) for entry in table["signal"])


def _compile(entry: Mapping[str, Any], macros: Mapping[str, str]) -> Signal:
    pattern = "|".join(entry["patterns"])
    for name, text in macros.items():
        pattern = pattern.replace(f"<{name}>", text)
    return Signal(entry["name"], frozenset(entry["triggers"].split()), re.compile(pattern))


@cache
def _numbers_by_trigger() -> dict[str, tuple[int, ...]]:
    found: dict[str, list[int]] = {}
    for number, signal in enumerate(load_signals()):
        for word in signal.triggers:
            found.setdefault(word, []).append(number)
    return {word: tuple(numbers) for word, numbers in found.items()}


def signals_in(sentence: Sentence) -> set[str]:
    """Return the names of the signals that a sentence gives."""
    signals, by_trigger = load_signals(), _numbers_by_trigger()
    numbers: set[int] = set()
    for word in sentence.words:
        if word in by_trigger:
            numbers.update(by_trigger[word])
    text = sentence.text
    return {signals[number].name for number in numbers if signals[number].pattern.search(text)}
