"""The shape of every answer: one estimate with its interval, its counts and how it was had."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

Target = Literal["population", "fixed_prompts"]
"""Whom an interval speaks of: all prompts that might have been asked, or those that were."""
FIELDS = ("name", "estimate", "low", "high", "p", "n", "n_missing", "method", "scale")
"""The fields of an estimate in JSON, here and in every list of estimates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One number with its uncertainty. Raises ValueError if it is not finite or lies outside its interval."""

    name: str
    estimate: float
    low: float | None = None
    """Lower end of the confidence interval; None where none can be had."""
    high: float | None = None
    p: float | None = None
    """Two-sided p value of no difference; None for a rate."""
    n: int
    """Units behind the estimate: prompts, unless the method says otherwise."""
    n_missing: int = 0
    """Units that were expected and could not be used."""
    method: str
    scale: str
    """`rate` (0 to 1), `rate_difference` (-1 to 1) or what the docstring of the function says."""
    level: float = 0.95
    target: Target = "population"

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"{self.name}: there is nothing to estimate from")
        numbers = [number for number in (self.low, self.estimate, self.high) if number is not None]
        if not all(map(math.isfinite, numbers)) or numbers != sorted(numbers):
            raise ValueError(
                f"{self.name}: {self.estimate} with interval {self.low} to {self.high} cannot be"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return `FIELDS`, ready for JSON: numbers, strings and None. Level and target stand once in a result."""
        return {field: getattr(self, field) for field in FIELDS}
