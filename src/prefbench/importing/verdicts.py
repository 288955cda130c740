"""Scores from elsewhere in, verdicts out, by values that the user names; nothing is guessed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prefbench.errors import ConfigError, unknown_name
from prefbench.records import Verdict


@dataclass(frozen=True, slots=True)
class VerdictRule:
    """Which scorer's values are verdicts: those in `yes` are Y, those in `no` are N, any other is unreadable.

    `scorer` is a scorer of an inspect_ai log (`name.key` where its values have several parts), a metric of an
    lm-eval file (`metric,filter` where there are several filters) or a column of a table. Numbers are compared as
    numbers. Raises ConfigError if a side has no value, or both have the same one.
    """

    scorer: str
    yes: tuple[str, ...]
    no: tuple[str, ...]
    seen: set[str] = field(default_factory=set, init=False, repr=False, compare=False)
    """The values met so far, for the error that nothing fits."""

    def __post_init__(self) -> None:
        if not (self.scorer and self.yes and self.no):
            raise ConfigError(
                "scores become verdicts only by values that you name: give --scorer, --yes VALUE and --no VALUE"
            )
        if both := {_normal(value) for value in self.yes} & {_normal(value) for value in self.no}:
            raise ConfigError(f"{sorted(map(str, both))[0]!r} cannot be both --yes and --no")

    @property
    def judge(self) -> str:
        """The name of the folder of these scores: the scorer's, with `_` for what no folder name may have."""
        return re.sub(r"[^A-Za-z0-9_-]+", "_", self.scorer).strip("_") or "scorer"

    def describe(self) -> dict[str, Any]:
        """Return what the manifest says of the judge."""
        return {"name": self.judge, "scorer": self.scorer, "yes": list(self.yes), "no": list(self.no)}

    def find(self, scores: Mapping[str, Any], *, place: str) -> Any:
        """Return the scorer's value; None where there are no scores. Raises ConfigError for an unknown scorer."""
        if not scores:
            return None
        if self.scorer in scores:
            return scores[self.scorer]
        name, _, key = self.scorer.rpartition(".")
        if isinstance(scores.get(name), dict):
            return scores[name].get(key)
        raise unknown_name(f"scorer (at {place})", self.scorer, scores)

    def read(self, value: Any) -> Verdict | None:
        """Return the verdict of one score."""
        normal = _normal(value)
        if normal is None:
            return None
        self.seen.add(normal)
        if normal in map(_normal, self.yes):
            return "Y"
        return "N" if normal in map(_normal, self.no) else None

    def check(self, verdicts: Iterable[tuple[Verdict | None, ...]]) -> None:
        """Raise ConfigError if not one of the verdicts could be read."""
        if any(each is not None for record in verdicts for each in record):
            return
        wanted = f"--yes {' or '.join(self.yes)} or --no {' or '.join(self.no)}"
        values = f"the values {', '.join(sorted(self.seen)[:8])}" if self.seen else "no values"
        raise ConfigError(
            f"scorer {self.scorer!r} has {values}: none of them is {wanted}; leave --scorer out"
        )


def _normal(value: Any) -> str | None:
    """Return a score as it is compared: 1, 1.0 and "1" are one value; NaN, lists and nothing are none."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        text = value.strip()
        try:
            number = float(text)
        except ValueError:
            return text
        return f"{number:.15g}" if math.isfinite(number) else text
    if isinstance(value, int | float):
        return f"{value:.15g}" if math.isfinite(value) else None
    return None
