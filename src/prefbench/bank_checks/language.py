"""Spelling and readability: known words, few rare ones, short words and sentences."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from prefbench.bank_checks.report import ItemKey, Problem, about, key_of
from prefbench.bank_checks.text import read_vocabulary, split_words, straighten
from prefbench.errors import MissingExtraError
from prefbench.records import PromptItem

if TYPE_CHECKING:
    from spellchecker import SpellChecker

LETTERS_PER_WORD = 14
MEAN_LETTERS = 7.0
WORDS_FOR_MEAN = 8
WORDS_PER_SENTENCE = 40
RARE_WORDS_PER_PROMPT = 3
RARE_COUNT = 50
"""A word with this count or less in the package's corpus is rare; 50 is its smallest."""

_NAME = re.compile(r"(?<=[\w,;)] )\(?[^\W\d_a-z][\w'’-]*")  # a capital, but not where a sentence begins
_SENTENCE_END = re.compile(r"[.?!:;]\s|\n")
# The package's list has American forms only, so a word also counts as known in one of these spellings.
_AMERICAN = (
    (re.compile(r"our"), "or"),
    (re.compile(r"is(e|ed|es|er|ers|ing|ation|ations)$"), r"iz\1"),
    (re.compile(r"ys(e|ed|es|ing)$"), r"yz\1"),
    (re.compile(r"([bt])re(s?)$"), r"\1er\2"),
    (re.compile(r"([bt])red$"), r"\1ered"),
    (re.compile(r"ll(ed|ing|er|ers|ery)$"), r"l\1"),
    (re.compile(r"l(ment|ful|fully)$"), r"ll\1"),
    (re.compile(r"ellery$"), "elry"),
    (re.compile(r"amme(s?)$"), r"am\1"),
    (re.compile(r"ogue(s?)$"), r"og\1"),
    (re.compile(r"ence$"), "ense"),
    (re.compile(r"ae|oe"), "e"),
    (re.compile(r"grey"), "gray"),
    (re.compile(r"sceptic"), "skeptic"),
    (re.compile(r"mould"), "mold"),
)


def check_spelling(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield words that no spelling list knows, each with the items that use it.

    British and American spellings both pass. Raises `MissingExtraError` without pyspellchecker.
    """
    users: defaultdict[str, list[ItemKey]] = defaultdict(list)
    for item in items:
        for word in sorted({word for word in _plain_words(item.prompt) if not _is_known(word)}):
            users[word].append(key_of(item))
    for word, keys in users.items():
        yield Problem(
            "spelling", f"{word!r} is in no word list; add it to known_words.json if it is right", tuple(keys)
        )


def check_rare_words(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield prompts with more than three rare words, names apart.

    Raises `MissingExtraError` without pyspellchecker.
    """
    for item in items:
        common = set(_plain_words(item.prompt)) - _names(item.prompt)
        rare = sorted(word for word in common if _count(word) <= RARE_COUNT)
        if len(rare) > RARE_WORDS_PER_PROMPT:
            yield about("readability", item, f"{len(rare)} rare words: {', '.join(rare)}")


def check_readability(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield prompts with a word over 14 letters, over 7 letters a word, or a sentence over 40 words.

    Letters a word are a mean, and are left alone in prompts of fewer than eight words.
    """
    for item in items:
        words = _plain_words(item.prompt)
        longest = max(words, key=len, default="")
        mean = sum(map(len, words)) / max(1, len(words))
        if len(longest) > LETTERS_PER_WORD:
            yield about(
                "readability", item, f"{longest!r} has {len(longest)} letters: at most {LETTERS_PER_WORD}"
            )
        if len(words) >= WORDS_FOR_MEAN and mean > MEAN_LETTERS:
            yield about("readability", item, f"{mean:.1f} letters a word: at most {MEAN_LETTERS}")
        sentence = max(len(split_words(part)) for part in _SENTENCE_END.split(item.prompt))
        if sentence > WORDS_PER_SENTENCE:
            yield about("readability", item, f"a sentence of {sentence} words: at most {WORDS_PER_SENTENCE}")


def _plain_words(text: str) -> list[str]:
    """Return the words that are letters only: hyphened ones in parts, without 's, no single letters."""
    parts = (part.removesuffix("'s") for word in split_words(straighten(text)) for part in word.split("-"))
    return [part for part in parts if len(part) > 1 and part.replace("'", "").isalpha()]


def _names(text: str) -> set[str]:
    return {part for name in _NAME.findall(text) for part in _plain_words(name)}


@lru_cache(maxsize=20_000)
def _is_known(word: str) -> bool:
    if word in _own_words():
        return True
    counts = _spelling().word_frequency
    return any(form in counts for form in _forms(word))


@lru_cache(maxsize=20_000)
def _count(word: str) -> int:
    """Return how often a word comes in the package's corpus; a word of our own list that it lacks is rare."""
    counts = _spelling().word_frequency
    return max(int(counts[form]) for form in _forms(word))


def _forms(word: str) -> set[str]:
    return {word, *(pattern.sub(american, word) for pattern, american in _AMERICAN)}


@lru_cache(maxsize=1)
def _own_words() -> frozenset[str]:
    return frozenset(word for words in read_vocabulary("known_words").values() for word in words)


@lru_cache(maxsize=1)
def _spelling() -> SpellChecker:
    try:
        from spellchecker import SpellChecker
    except ImportError as error:
        raise MissingExtraError("the spelling of a prompt bank", "dev") from error
    return SpellChecker(language="en")
