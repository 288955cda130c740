"""Text as the checks compare it: normal form, words, content words, character n-grams."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import orjson

from prefbench.bank import data_folder

_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-"})


def straighten(text: str) -> str:
    """Return text in NFKC and lower case, with straight quotes and single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).translate(_QUOTES).casefold().split())


def split_words(text: str) -> list[str]:
    """Return the words in lower case; apostrophes and hyphens inside a word belong to it."""
    return _WORD.findall(straighten(text))


def normalise(text: str) -> str:
    """Return the words with single spaces between them: what two prompts share but for punctuation."""
    return " ".join(split_words(text))


def content_words(text: str) -> frozenset[str]:
    """Return the words that carry the subject: no function words, no question frame, plurals folded."""
    return frozenset(_singular(word) for word in split_words(text) if word not in stop_words())


def character_grams(text: str, size: int = 5) -> frozenset[str]:
    """Return the character n-grams of the normal form; a text shorter than `size` is one gram."""
    normal = normalise(text)
    return frozenset(normal[start : start + size] for start in range(max(1, len(normal) - size + 1)))


@lru_cache(maxsize=1)
def stop_words() -> frozenset[str]:
    """Return the function words and question frames of `data/vocabulary/stop_words.json`."""
    groups = read_vocabulary("stop_words")
    return frozenset(word for words in groups.values() for word in words)


@lru_cache(maxsize=8)
def read_vocabulary(name: str) -> dict[str, list[str]]:
    """Return a word list of `data/vocabulary/`: group -> words or phrases."""
    content = (data_folder() / "vocabulary" / f"{name}.json").read_bytes()
    lists: dict[str, list[str]] = orjson.loads(content)
    return lists


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
