"""Options: how many, as shown in the prompt, readable by the parser, in a balanced order."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from prefbench.bank_checks.report import Problem, about
from prefbench.bank_checks.text import normalise, split_words, straighten
from prefbench.records import PromptItem

OPTION_COUNT = {"binary_choice": (2, 2), "quad_choice": (4, 4), "ranking": (3, 5)}
WORDS_PER_OPTION = 8
SEPARATORS = re.compile(r"[,:;?]|\bor\b", re.IGNORECASE)
FIRST_SHARE = (0.45, 0.55)
QUAD_SHARE = (0.15, 0.35)
ITEMS_FOR_BALANCE = 40


def check_option_lists(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield items with too few or too many options for their format, or with one twice.

    Where a bank leaves options out, what the parser finds in the prompt counts.
    """
    from prefbench.options import parse_options

    for item in items:
        if item.format not in OPTION_COUNT:
            if item.options is not None:
                yield about("options", item, f"{item.format} items have no options")
            continue
        low, high = OPTION_COUNT[item.format]
        options = item.options if item.options is not None else parse_options(item.prompt, item.format) or ()
        if not low <= len(options) <= high:
            count = f"{low}" if low == high else f"{low} to {high}"
            yield about("options", item, f"{len(options)} options, {item.format} items have {count}")
        elif len({normalise(option) for option in options}) < len(options):
            yield about("options", item, f"an option comes twice in {list(options)}")


def check_options_given(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield items of a format with options that do not list them."""
    for item in items:
        if item.format in OPTION_COUNT and item.options is None:
            yield about("options", item, "the field options is missing: list them in the order shown")


def check_options_shown(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield items whose options do not stand in the prompt, case apart, in their order."""
    for item in items:
        prompt, start = straighten(item.prompt), 0
        for option in item.options or ():
            found = prompt.find(straighten(option), start)
            if found < 0:
                yield about("options", item, f"{option!r} does not stand in the prompt where its turn is")
                break
            start = found + len(straighten(option))


def check_option_wording(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield items whose options are long, are part of each other, or hold a separator."""
    for item in items:
        options = item.options or []
        for option in options:
            if not 1 <= len(split_words(option)) <= WORDS_PER_OPTION:
                yield about(
                    "options",
                    item,
                    f"{option!r} has {len(split_words(option))} words: 1 to {WORDS_PER_OPTION}",
                )
            if item.format != "binary_choice" and SEPARATORS.search(option):
                yield about(
                    "options", item, f"{option!r} holds a comma, colon, semicolon, question mark or 'or'"
                )
        for inner, outer in _contained(options):
            yield about(
                "options", item, f"{inner!r} is part of {outer!r}: an answer could not tell them apart"
            )


def check_options_parse(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield items in whose prompt the parser does not find the options.

    The parser may read more of the sentence into an option ("you name a ship after a star", where the
    bank has "a star") or leave out its first words ("the far north" for "to the far north").
    """
    from prefbench.options import parse_options

    for item in items:
        if item.options:
            found = parse_options(item.prompt, item.format) or ()
            if not _covers(found, item.options):
                yield about("options_parse", item, f"the parser reads {list(found)}, given: {item.options}")


def check_option_order(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield domains in which the alphabetically first option is not shown evenly at each place.

    Binary items: shown first in 45-55 %; quad items: 15-35 % at each of the four places. A domain
    with fewer than 40 items of the format is let pass.
    """
    places: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for item in items:
        if item.options and item.format in ("binary_choice", "quad_choice"):
            lowered = [straighten(option) for option in item.options]
            places[item.domain, item.format].append(lowered.index(min(lowered)))
    for (domain, name), found in places.items():
        if len(found) >= ITEMS_FOR_BALANCE:
            yield from _check_places(domain, name, found)


def _check_places(domain: str, name: str, found: list[int]) -> Iterator[Problem]:
    low, high = FIRST_SHARE if name == "binary_choice" else QUAD_SHARE
    shares = {
        place: Counter(found)[place] / len(found) for place in range(2 if name == "binary_choice" else 4)
    }
    if any(not low <= share <= high for share in shares.values()):
        listed = ", ".join(f"{place + 1}: {share:.0%}" for place, share in shares.items())
        yield Problem(
            "option_order",
            f"{domain}: of {len(found)} {name} items the alphabetically first option stands at place {listed}; "
            f"each should have {low:.0%}-{high:.0%}",
        )


def _contained(options: Sequence[str]) -> Iterator[tuple[str, str]]:
    for inner in options:
        for outer in options:
            if inner is not outer and f" {normalise(inner)} " in f" {normalise(outer)} ":
                yield inner, outer


def _covers(found: Sequence[str], given: Sequence[str]) -> bool:
    pairs = [(normalise(read), normalise(option)) for read, option in zip(found, given, strict=False)]
    return len(found) == len(given) and all(
        read and (f" {option} " in f" {read} " or f" {option}".endswith(f" {read}")) for read, option in pairs
    )
