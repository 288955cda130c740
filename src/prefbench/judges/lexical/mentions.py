"""Where an answer mentions the options of its prompt, by their own words, by label or by position."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from prefbench.options import word_set

_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_ASCII_WORD = re.compile(r"[a-z0-9]+(?:['-][a-z0-9]+)*")  # the same, in less time
_EMPTY_WORDS = word_set(
    "a an the and or of in on at to for with by from as that which who whose what when where how than"
    " then it its is are was were be been being this these those your you my me i we our us one ones"
    " some any all more most less very so if not no do does did has have had having but about into"
    " over under out up down off there their they them he she his her can could would should will may"
    " might must choose choice prefer say think find make take get give go want like better best best"
    " good thing something option"
)
_ENDINGS = ("ness", "ful", "ing", "ies", "ity", "ed", "ly", "es", "s", "y", "i", "e")
_SHORTEST_STEM = 3
_LABELLED_LENGTH = 80  # characters of a sentence up to which a lone letter is looked for
_POINTING = ("former", "latter", "first", "second", "third", "fourth", "last", "option", "choice", "answer")
_POINTING_WORDS = frozenset(_POINTING)
_POSITIONS = {"former": 0, "first": 0, "latter": -1, "second": 1, "third": 2, "fourth": 3, "last": -1}
_POINTED = re.compile(
    r"(?:\bthe (former|latter)|\b(?:the |choose |pick )(first|second|third|fourth|last)(?: (?:one"
    r"|option|choice|of)\b|(?=[.,!]|$))"
    r"|\b(?:option|choice|answer(?: is)?:?) \(?([a-z]|\d)\b\)?|^\(?([a-z]|\d)\)?(?:[.):,]|$)|\(([a-z]|\d)\)"
    r"|\b(?:choose|pick|select|go with|prefer|say|is) \(?([b-z]|\d|a(?=[.,!:;)]|$))\b)"
)


class Mention(NamedTuple):
    """One option named at one place of a text (word positions, the end excluded)."""

    option: int
    start: int
    end: int


class OptionWords(NamedTuple):
    """The stems that tell the options of one prompt apart, and what is needed to read pointers."""

    option_of: dict[str, int]
    phrases: tuple[tuple[str, ...], ...]
    by_phrase: tuple[int, ...]
    """The options that no single word tells apart from the others."""
    labels: tuple[str, ...]
    size: int
    own_words: tuple[frozenset[str], ...]
    """All words of each option, the small and the shared ones too."""


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, in order."""
    return (_ASCII_WORD if text.isascii() else _WORD).findall(text.lower())


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Return a rough stem: "living" and "live" are one, "kind" and "kindness", "story" and "stories" too."""
    short = word.removesuffix("'s")
    if short.endswith("lty"):
        short = short[:-2]
    for ending in _ENDINGS:
        if (
            short.endswith(ending)
            and len(short) - len(ending) >= _SHORTEST_STEM
            and not (ending == "s" and short.endswith("ss"))
        ):
            short = short[: -len(ending)]
    if len(short) > _SHORTEST_STEM and short[-1] == short[-2] and short[-1] not in "aeiouls":
        short = short[:-1]
    return word if short in _EMPTY_WORDS else short


_EMPTY_STEMS = frozenset(map(stem, _EMPTY_WORDS)) | _EMPTY_WORDS


@lru_cache(maxsize=4096)
def option_words(options: tuple[str, ...], labels: tuple[str, ...] = ()) -> OptionWords:
    """Prepare the options of one prompt for `find_mentions`."""
    phrases = tuple(tuple(stem(word) for word in words_of(option)) for option in options)
    option_of: dict[str, int] = {}
    shared: set[str] = set()
    for number, phrase in enumerate(phrases):
        for word in set(phrase):
            if option_of.setdefault(word, number) != number:
                shared.add(word)
    telling = {word: number for word, number in option_of.items() if word not in shared | _EMPTY_STEMS}
    for number, phrase in enumerate(phrases):
        if len(phrase) == 1 and phrase[0] not in shared:
            telling[phrase[0]] = number
    own_words = tuple(frozenset(words_of(option)) for option in options)
    by_phrase = tuple(number for number in range(len(options)) if number not in telling.values())
    return OptionWords(
        telling, phrases, by_phrase, tuple(label.lower() for label in labels), len(options), own_words
    )


def may_mention(text: str, options: OptionWords) -> bool:
    """Whether a sentence can name an option at all: cheap, and never wrong about a no (a stem is a beginning)."""
    if options.by_phrase or (options.labels and len(text) <= _LABELLED_LENGTH):
        return True
    return holds_any(text, options.option_of) or holds_any(text, _POINTING)


def holds_any(text: str, parts: Iterable[str]) -> bool:
    """Whether any of the parts stands in a text."""
    for part in parts:  # noqa: SIM110 - half the time of any()
        if part in text:
            return True
    return False


def find_mentions(words: Sequence[str], options: OptionWords) -> list[Mention]:
    """Return the mentions of options in a sequence of words, in order; neighbours of one option are merged."""
    found: list[Mention] = []
    option_of = options.option_of
    for position, number in enumerate([option_of.get(short) for short in map(stem, words)]):
        if number is None:
            continue
        if found and found[-1].option == number and position - found[-1].end <= 3:
            found[-1] = found[-1]._replace(end=position + 1)
        else:
            found.append(Mention(number, position, position + 1))
    if found or not options.by_phrase:
        return found
    return _find_phrases([stem(word) for word in words], options)


def _find_phrases(stems: Sequence[str], options: OptionWords) -> list[Mention]:
    """Find options that no single word tells apart ("with notes", "without notes") as whole phrases."""
    found = []
    for number in options.by_phrase:
        phrase = options.phrases[number]
        for start in range(len(stems) - len(phrase) + 1):
            if tuple(stems[start : start + len(phrase)]) == phrase:
                found.append(Mention(number, start, start + len(phrase)))
                break
    return found


def pointed_option(text: str, words: Iterable[str], options: OptionWords) -> int | None:
    """Return the option that a clause with these words points at ("the former", "option b", "(B)"), or None."""
    if not options.labels and _POINTING_WORDS.isdisjoint(words):
        return None
    match = _POINTED.search(text)
    if match is None:
        return None
    position = match[1] or match[2]
    if position:
        number = _POSITIONS[position]
        number = number if number >= 0 else options.size - 1
        return number if number < options.size else None
    label = match[3] or match[4] or match[5] or match[6]
    return options.labels.index(label) if label in options.labels else None
