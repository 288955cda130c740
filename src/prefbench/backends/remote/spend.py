"""What the calls cost: every answered call goes to a ledger on disk, and a budget stops before it is passed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from prefbench.backends.base import Request, Usage
from prefbench.backends.remote.catalogue import Price
from prefbench.errors import ConfigError
from prefbench.store import Appender, iter_lines, read_line

OVERHEAD_TOKENS = 64
"""What a provider may add to a request of its own: role markers and the like."""


@dataclass(slots=True)
class Totals:
    """What calls came to."""

    calls: int = 0
    usage: Usage = field(default_factory=Usage)
    dollars: float = 0.0
    unpriced: int = 0
    """Calls whose price was not known: they are not in `dollars`."""
    characters: int = 0
    """Characters sent in the calls, for how many of them make a token."""
    seconds: float = 0.0
    """Time that the live calls took, added up."""
    timed: int = 0
    """How many live calls that was."""

    def add(self, line: dict[str, Any]) -> None:
        """Count one line of a ledger."""
        self.calls += 1
        self.usage += Usage(**line["usage"])
        self.dollars += line["dollars"] or 0.0
        self.unpriced += line["dollars"] is None
        self.characters += line["characters"]
        if line["seconds"] is not None:
            self.seconds += line["seconds"]
            self.timed += 1

    def merge(self, other: Totals) -> None:
        """Count what others have counted."""
        self.calls += other.calls
        self.usage += other.usage
        self.dollars += other.dollars
        self.unpriced += other.unpriced
        self.characters += other.characters
        self.seconds += other.seconds
        self.timed += other.timed


class Spend:
    """Counts money for one judge's folder, or in memory only; refuses what could pass the budget.

    The budget holds for everything that the ledgers `others` and `path` say was spent, also in earlier runs.
    """

    def __init__(
        self,
        price: Price | None = None,
        *,
        budget: float | None = None,
        path: Path | None = None,
        others: tuple[Path, ...] = (),
    ) -> None:
        if budget is not None and price is None:
            raise ConfigError(
                "a budget needs a price, and this model's is not known: give --price INPUT/OUTPUT in dollars per "
                "million tokens"
            )
        if budget is not None and not 0 <= budget < float("inf"):
            raise ConfigError(f"budget {budget} must be a finite number of dollars, 0 or more")
        self.price = price
        self.budget = budget
        self.exhausted = False
        self.run = Totals()
        self.before = Totals()
        self._reserved = 0.0
        self._items: set[str] = set()
        for ledger in (*others, *([path] if path else [])):
            _read_ledger(ledger, self.before, self._items)
        self._ledger = Appender(path) if path else None

    @property
    def dollars(self) -> float:
        """All that was spent, this run's and before."""
        return self.before.dollars + self.run.dollars

    def ceiling(self, request: Request, *, batch: bool = False) -> float:
        """Return the most that a request can cost in dollars; 0 where no price is known."""
        if self.price is None:
            return 0.0
        # a token of the byte-level vocabularies in use is at least one byte
        tokens = len(request_text(request).encode("utf-8", "replace")) + OVERHEAD_TOKENS
        return self.price.ceiling(tokens, request.n * request.sampling.max_tokens, batch=batch)

    def reserve(self, dollars: float) -> bool:
        """Set the most that a call can cost aside; False if the budget would not cover it."""
        if self.budget is not None and self.dollars + self._reserved + dollars > self.budget:
            return False
        self._reserved += dollars
        return True

    def commit(self, dollars: float) -> None:
        """Set aside what is in flight already, whether the budget covers it or not."""
        self._reserved += dollars

    def release(self, dollars: float) -> None:
        """Give back what was reserved for a call that has ended."""
        self._reserved -= dollars

    @property
    def idle(self) -> bool:
        """Whether nothing is reserved: no call under way could still free money."""
        return self._reserved < 1e-12

    def record(
        self, request: Request, usage: Usage, *, batch: str | None = None, seconds: float | None = None
    ) -> float | None:
        """Write down what a call used, and return its cost in dollars, None where no price is known.

        `batch` is the custom id of an item of a batch: read again after an interruption, it counts once.
        """
        dollars = None if self.price is None else self.price.cost(usage, batch=batch is not None)
        if batch is not None and batch in self._items:
            return dollars
        line = {
            "tag": request.tag,
            "usage": asdict(usage),
            "dollars": dollars,
            "batch": batch,
            "characters": len(request_text(request)),
            "seconds": None if seconds is None else round(seconds, 3),
        }
        if self._ledger is not None:
            self._ledger.append([line])
        self.run.add(line)
        if batch is not None:
            self._items.add(batch)
        return dollars

    def close(self) -> None:
        """Bring the ledger to the disk."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None


def request_text(request: Request) -> str:
    """Return all the text that a request sends, the schema aside."""
    return (request.treatment.system_prompt or "") + request.prompt


def read_totals(path: Path) -> Totals:
    """Return what a ledger adds up to. Raises DataError for a line that is not one."""
    totals = Totals()
    _read_ledger(path, totals)
    return totals


def _read_ledger(path: Path, totals: Totals, items: set[str] | None = None) -> None:
    if not path.exists():
        return
    for number, line in iter_lines(path):
        content = read_line(line, place=f"{path}:{number}")
        totals.add(content)
        if items is not None and content["batch"]:
            items.add(content["batch"])
