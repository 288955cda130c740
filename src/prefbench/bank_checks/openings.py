"""How prompts begin: no opening too often, word associations in a small set of carrier phrasings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from prefbench.bank_checks.report import ItemKey, Problem, key_of
from prefbench.bank_checks.text import split_words
from prefbench.records import PromptItem

OPENING_WORDS = 4
ITEMS_PER_OPENING = 3


def check_openings(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield groups of more than three items of a domain that share their first four words.

    Single-word items are left out: a few carrier phrasings serve all of them by design.
    """
    holders: defaultdict[tuple[str, str], list[ItemKey]] = defaultdict(list)
    for item in items:
        if item.format != "single_word":
            opening = " ".join(split_words(item.prompt)[:OPENING_WORDS])
            holders[item.domain, opening].append(key_of(item))
    for (_, opening), keys in holders.items():
        if len(keys) > ITEMS_PER_OPENING:
            message = f"{len(keys)} prompts begin {opening!r}: at most {ITEMS_PER_OPENING} may"
            yield Problem("openings", message, tuple(keys))
