"""How many items: per domain, per format, per tag. For the bank that comes with prefbench."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from prefbench.bank_checks.report import Problem
from prefbench.bank_checks.schema import read_tags
from prefbench.records import PRIMARY_DOMAINS, Format, PromptItem

ITEMS = {
    **dict.fromkeys(PRIMARY_DOMAINS, 300),
    "binary_preference": 500,
    "quad_preference": 300,
    "word_association": 500,
}
ONLY_FORMAT = {
    "binary_preference": "binary_choice",
    "quad_preference": "quad_choice",
    "word_association": "single_word",
}
PRIMARY_FORMATS = ("open_ended", "binary_choice", "ranking", "quad_choice")
SHARE_AT_LEAST: dict[Format, float] = {"open_ended": 0.15, "binary_choice": 0.15, "ranking": 0.15}
ITEMS_PER_TAG = 5


def check_counts(items: Sequence[PromptItem], domains: Sequence[str]) -> Iterator[Problem]:
    """Yield domains that do not have their number of items."""
    found = Counter(item.domain for item in items)
    for domain in domains:
        if found[domain] != ITEMS[domain]:
            yield Problem("counts", f"{domain} has {found[domain]} items, it should have {ITEMS[domain]}")


def check_formats(items: Sequence[PromptItem], domains: Sequence[str]) -> Iterator[Problem]:
    """Yield domains whose formats are not the one, or not the mix, that they should have."""
    for domain in domains:
        formats = Counter(item.format for item in items if item.domain == domain)
        allowed = (ONLY_FORMAT[domain],) if domain in ONLY_FORMAT else PRIMARY_FORMATS
        for name in sorted(set(formats) - set(allowed)):
            yield Problem(
                "formats", f"{domain} has {formats[name]} {name} items: allowed are {', '.join(allowed)}"
            )
        if domain not in ONLY_FORMAT:
            yield from _check_mix(domain, formats)


def _check_mix(domain: str, formats: Counter[Format]) -> Iterator[Problem]:
    total = formats.total()
    for name, least in SHARE_AT_LEAST.items():
        if total and formats[name] < least * total:
            yield Problem(
                "formats",
                f"{domain} has {formats[name]} {name} items of {total}: at least {least:.0%} should be",
            )


def check_tag_counts(items: Sequence[PromptItem], domains: Sequence[str]) -> Iterator[Problem]:
    """Yield tags of the vocabulary that fewer than five items of their domain have."""
    vocabulary = read_tags()
    for domain in domains:
        found = Counter(tag for item in items if item.domain == domain for tag in item.tags)
        for tag in vocabulary[domain]:
            if found[tag] < ITEMS_PER_TAG:
                yield Problem(
                    "tags", f"{domain}: {found[tag]} items have {tag!r}, at least {ITEMS_PER_TAG} should"
                )
