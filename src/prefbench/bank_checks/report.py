"""What the checks find: problems that name their items, and checks that could not run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from prefbench.records import PromptItem

ITEMS_NAMED = 12
"""How many items a problem names when it is printed."""


class ItemKey(NamedTuple):
    """What makes an item one of a kind within a bank."""

    domain: str
    id: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault, found by one check."""

    check: str
    message: str
    items: tuple[ItemKey, ...] = ()
    """The items at fault; empty where the fault is of the whole bank or of a line that is no item."""

    def __str__(self) -> str:
        named: dict[str, list[str]] = {}
        for key in self.items[:ITEMS_NAMED]:
            named.setdefault(key.domain, []).append(key.id)
        parts = [f"{domain} {', '.join(ids)}" for domain, ids in named.items()]
        if len(self.items) > ITEMS_NAMED:
            parts.append(f"and {len(self.items) - ITEMS_NAMED} more")
        return ": ".join(part for part in (self.check, "; ".join(parts), self.message) if part)


@dataclass(frozen=True, slots=True)
class BankReport:
    """All problems of a bank, in the order of the checks."""

    n_items: int
    problems: tuple[Problem, ...]
    skipped: tuple[str, ...] = ()
    """One sentence for each check that did not run: what is missing and how to get it."""

    @property
    def passed(self) -> bool:
        """Whether no check that ran found a problem; see `skipped` for those that did not run."""
        return not self.problems


def key_of(item: PromptItem) -> ItemKey:
    """Return the key of an item."""
    return ItemKey(item.domain, item.id)


def about(check: str, item: PromptItem, message: str) -> Problem:
    """Return a problem of one item."""
    return Problem(check, message, (key_of(item),))


def describe_report(report: BankReport) -> str:
    """Return a report as text, one problem a line, with the number of problems of each check at the end."""
    lines = [str(problem) for problem in report.problems]
    lines += [f"NOT CHECKED: {reason}" for reason in report.skipped]
    totals = Counter(problem.check for problem in report.problems)
    listed = ", ".join(f"{check} {count}" for check, count in totals.items())
    lines.append(f"{report.n_items} items, {totals.total()} problems" + (f": {listed}" if listed else ""))
    return "\n".join(lines) + "\n"
