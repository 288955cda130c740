"""The weights of the features: how far each speaks for an answer that commits, and against one.

Fitted by `benchmarks/fit_lexical_weights.py` on the tuning halves of the gold sets, with the sign of each
signal fixed beforehand, and rounded. A weight that is 0 is left out of the table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_TABLE = "weights.json"


@dataclass(frozen=True, slots=True)
class Weights:
    """A table of weights; `judgement` is added where the question asks for a judgement."""

    intercept: float
    judgement_intercept: float
    any: Mapping[str, float]
    judgement: Mapping[str, float]

    def score(self, features: Mapping[str, float], *, asks_judgement: bool) -> float:
        """Return the log-odds that an answer with these features commits."""
        total = self.intercept + sum(self.any.get(name, 0.0) * value for name, value in features.items())
        if asks_judgement:
            total += self.judgement_intercept
            total += sum(self.judgement.get(name, 0.0) * value for name, value in features.items())
        return total

    def against(self, features: Mapping[str, float], names: frozenset[str], *, asks_judgement: bool) -> float:
        """Return how much the given signals take off the score (a number of 0 or less)."""
        total = 0.0
        for name, value in features.items():
            if name.partition(".")[0] in names:
                weight = self.any.get(name, 0.0) + (self.judgement.get(name, 0.0) if asks_judgement else 0.0)
                total += min(weight, 0.0) * value
        return total


def table_text() -> str:
    """Return the text of the shipped table (for the hash of the rules)."""
    return files(__package__).joinpath(_TABLE).read_text(encoding="utf-8")


@cache
def load_weights() -> Weights:
    """Return the shipped weights."""
    table = json.loads(table_text())
    return Weights(table["intercept"], table["judgement_intercept"], table["any"], table["judgement"])
