"""Descriptors of an effect beside the risk difference: they have no interval and test nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from prefbench.statistics.intervals import NO_SPREAD
from prefbench.statistics.paired import cohens_h, odds_ratio

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class EffectSizes(NamedTuple):
    """One difference on several scales; None where a scale cannot express it."""

    risk_difference: float
    risk_ratio: float | None
    odds_ratio: float | None
    """Marginal: of the mean rates, not of one prompt's."""
    cohens_h: float
    cohens_dz: float | None
    """Mean over standard deviation of the per-prompt differences (Cohen 1988): what a paired t test sees."""
    better: float
    """Share of prompts that rose, ties counted half: the probability of superiority within prompts."""


def describe_effect(first: ArrayLike, second: ArrayLike) -> EffectSizes:
    """Return the effect sizes of second over first for per-prompt rates (n,), (n,) of the same prompts.

    Cohen (1988) for h and d; the ratios are those of the two mean rates. NaN is a missing side. Raises
    ValueError without a pair, or for rates outside [0, 1].
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"pairs need two arrays of one length, not {a.shape} and {b.shape}")
    paired = np.isfinite(a) & np.isfinite(b)
    a, b = a[paired], b[paired]
    if not a.size or min(a.min(), b.min()) < 0 or max(a.max(), b.max()) > 1:
        raise ValueError("effect sizes need at least one pair of rates between 0 and 1")
    one, two, differences = float(a.mean()), float(b.mean()), b - a
    spread = float(differences.std(ddof=1)) if a.size > 1 else math.nan
    rose = np.where(np.abs(differences) < NO_SPREAD, 0.5, differences > 0)
    return EffectSizes(
        risk_difference=two - one,
        risk_ratio=two / one if one > 0 else None,
        odds_ratio=odds_ratio(one, two),
        cohens_h=cohens_h(one, two),
        cohens_dz=(two - one) / spread if spread >= NO_SPREAD else None,
        better=float(rose.mean()),
    )
