"""Items that are another item, letter by letter, but for punctuation, or nearly."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from prefbench.bank_checks.openings import cue_of
from prefbench.bank_checks.report import ItemKey, Problem, key_of
from prefbench.bank_checks.similar import similar_pairs
from prefbench.bank_checks.text import character_grams, content_words, normalise
from prefbench.records import PromptItem

GRAM_SIMILARITY = 0.6
WORD_SIMILARITY = 0.55
SHARED_WORDS = 3
OPTION_SIMILARITY = 0.6

_ARTICLE = re.compile(r"^(?:the|an|a) ")


def check_exact(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield groups of items with one prompt, letter by letter."""
    for group in _groups([item.prompt for item in items], items):
        yield Problem("exact_duplicate", "the same prompt", _keys(group))


def check_normalised(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield groups of items whose prompts differ in case, punctuation and spacing only."""
    for group in _groups([normalise(item.prompt) for item in items], items):
        if len({item.prompt for item in group}) > 1:
            message = "the same prompt but for case and punctuation"
            yield Problem("normalised_duplicate", message, _keys(group))


def check_near(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield pairs whose character 5-grams have a Jaccard similarity of .6 or more."""
    sets = [character_grams(item.prompt) for item in items]
    for left, right, similarity in similar_pairs(sets, GRAM_SIMILARITY):
        if normalise(items[left].prompt) != normalise(items[right].prompt):
            yield _pair(
                "near_duplicate", f"character 5-grams alike: {similarity:.2f}", items[left], items[right]
            )


def check_word_overlap(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield pairs that share three content words or more, at a Jaccard similarity of .55 or more.

    Two shared words are enough where neither prompt has others. Carrier phrasings are cut off.
    """
    sets = [content_words(cue_of(item)) for item in items]
    for left, right, similarity in similar_pairs(sets, WORD_SIMILARITY):
        one, other = items[left], items[right]
        shared = len(sets[left] & sets[right])
        enough = shared >= SHARED_WORDS or (shared == SHARED_WORDS - 1 and similarity == 1)
        if enough and normalise(one.prompt) != normalise(other.prompt):
            yield _pair("word_overlap", f"content words alike: {similarity:.2f}", one, other)


def check_cues(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield groups of single-word items whose carrier phrasings hold the same cue, articles apart."""
    single = [item for item in items if item.format == "single_word"]
    cues = [_ARTICLE.sub("", normalise(cue_of(item))) for item in single]
    for group in _groups(cues, single):
        if len({normalise(item.prompt) for item in group}) > 1:
            yield Problem("same_cue", "the same cue in two phrasings", _keys(group))


def check_same_options(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield pairs whose options, articles apart, have a Jaccard similarity of .6 or more.

    That is both options of two binary items, and three of four for two quad items.
    """
    sets = [frozenset(_ARTICLE.sub("", normalise(option)) for option in item.options or ()) for item in items]
    for left, right, similarity in similar_pairs(sets, OPTION_SIMILARITY):
        if normalise(items[left].prompt) != normalise(items[right].prompt):
            yield _pair("same_options", f"options alike: {similarity:.2f}", items[left], items[right])


def _pair(check: str, message: str, one: PromptItem, other: PromptItem) -> Problem:
    return Problem(check, f"{message}: {one.prompt!r} and {other.prompt!r}", (key_of(one), key_of(other)))


def _groups(texts: Sequence[str], items: Sequence[PromptItem]) -> list[list[PromptItem]]:
    holders: defaultdict[str, list[PromptItem]] = defaultdict(list)
    for text, item in zip(texts, items, strict=True):
        holders[text].append(item)
    return [group for group in holders.values() if len(group) > 1]


def _keys(group: Sequence[PromptItem]) -> tuple[ItemKey, ...]:
    return tuple(key_of(item) for item in group)
