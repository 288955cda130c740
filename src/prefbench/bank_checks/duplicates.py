"""Items that are another item, letter by letter, but for punctuation, or nearly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from prefbench.bank_checks.report import ItemKey, Problem, key_of
from prefbench.bank_checks.similar import similar_pairs
from prefbench.bank_checks.text import character_grams, content_words, normalise
from prefbench.records import PromptItem

GRAM_SIMILARITY = 0.6
WORD_SIMILARITY = 0.75


def check_exact(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield groups of items with one prompt, letter by letter."""
    for keys in _groups([item.prompt for item in items], items):
        yield Problem("exact_duplicate", "the same prompt", keys)


def check_normalised(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield groups of items whose prompts differ in case, punctuation and spacing only."""
    prompts = [item.prompt for item in items]
    for keys in _groups([normalise(prompt) for prompt in prompts], items):
        if len({item.prompt for item in items if key_of(item) in keys}) > 1:
            yield Problem("normalised_duplicate", "the same prompt but for case and punctuation", keys)


def check_near(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield pairs whose character 5-grams have a Jaccard similarity of .6 or more."""
    sets = [character_grams(item.prompt) for item in items]
    for left, right, similarity in similar_pairs(sets, GRAM_SIMILARITY):
        if normalise(items[left].prompt) != normalise(items[right].prompt):
            yield _pair(
                "near_duplicate", f"character 5-grams alike: {similarity:.2f}", items[left], items[right]
            )


def check_word_overlap(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield pairs whose content words have a Jaccard similarity of .75 or more.

    Two items that share their only content word are a pair within a domain ("spring" twice among
    the word associations), not across domains.
    """
    sets = [content_words(item.prompt) for item in items]
    for left, right, similarity in similar_pairs(sets, WORD_SIMILARITY):
        one, other = items[left], items[right]
        alone = len(sets[left]) == 1 and one.domain != other.domain
        if not alone and normalise(one.prompt) != normalise(other.prompt):
            yield _pair("word_overlap", f"content words alike: {similarity:.2f}", one, other)


def _pair(check: str, message: str, one: PromptItem, other: PromptItem) -> Problem:
    return Problem(check, f"{message}: {one.prompt!r} and {other.prompt!r}", (key_of(one), key_of(other)))


def _groups(texts: Sequence[str], items: Sequence[PromptItem]) -> Iterator[tuple[ItemKey, ...]]:
    holders: defaultdict[str, list[ItemKey]] = defaultdict(list)
    for text, item in zip(texts, items, strict=True):
        holders[text].append(key_of(item))
    return (tuple(keys) for keys in holders.values() if len(keys) > 1)
