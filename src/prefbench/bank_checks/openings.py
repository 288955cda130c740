"""How prompts begin: no opening too often, word associations in a small set of carrier phrasings."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from prefbench.bank_checks.report import ItemKey, Problem, key_of
from prefbench.bank_checks.text import read_vocabulary, split_words
from prefbench.records import PromptItem

OPENING_WORDS = 4
ITEMS_PER_OPENING = 3
ITEMS_FOR_BALANCE = 40


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


def check_carriers(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield single-word items outside the domain's carrier phrasings, and carriers used out of balance.

    Each carrier should have between half and twice its even share; a domain with fewer than 40
    single-word items is let pass on balance.
    """
    for domain, carriers in read_vocabulary("carriers").items():
        prompts = [item for item in items if item.domain == domain and item.format == "single_word"]
        fitting = {key_of(item): find_carrier(item.prompt, carriers) for item in prompts}
        stray = tuple(key for key, carrier in fitting.items() if carrier is None)
        if stray:
            yield Problem("carriers", f"{len(stray)} prompts fit no phrasing of carriers.json", stray)
        used = Counter(fitting.values())
        even = len(prompts) / len(carriers)
        for carrier in carriers:
            if len(prompts) >= ITEMS_FOR_BALANCE and not even / 2 <= used[carrier] <= even * 2:
                yield Problem(
                    "carriers", f"{domain}: {used[carrier]} items in {carrier!r}, an even share is {even:.0f}"
                )


def find_carrier(prompt: str, carriers: Sequence[str]) -> str | None:
    """Return the first carrier phrasing ("Give {cue} a name.") that a prompt fits, or None."""
    for carrier in carriers:
        before, after = carrier.split("{cue}")
        fits = prompt.startswith(before) and prompt.endswith(after)
        if fits and len(prompt) > len(before) + len(after):
            return carrier
    return None


def cue_of(item: PromptItem) -> str:
    """Return what the carrier phrasing of an item is wrapped around; the whole prompt where there is none."""
    carriers = read_vocabulary("carriers").get(item.domain, ())
    carrier = find_carrier(item.prompt, carriers)
    if carrier is None:
        return item.prompt
    before, after = carrier.split("{cue}")
    return item.prompt[len(before) : len(item.prompt) - len(after)]
