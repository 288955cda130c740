"""Differences between two or more sets of *different* prompts: domains, formats."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from prefbench.statistics.estimate import Estimate
from prefbench.statistics.intervals import NO_SPREAD, t_p_value, t_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


class AnovaTest(NamedTuple):
    """Welch's test that several groups of prompts have one mean."""

    statistic: float
    df_between: float
    df_within: float
    p: float


def independent_difference(
    first: ArrayLike,
    second: ArrayLike,
    *,
    first_strata: ArrayLike | None = None,
    second_strata: ArrayLike | None = None,
    level: float = 0.95,
    name: str = "difference",
) -> Estimate:
    """Return mean(second) - mean(first) of two sets of prompts (n,), (k,), with Welch's t interval and p.

    With strata the difference is taken inside each stratum that has two prompts of either set, and averaged
    with weights nk/(n+k), so that a set that sits in easy strata gains nothing by it; the prompts of other
    strata count as missing, as do NaN. Welch (1947), with Satterthwaite's df (1946). Raises ValueError if no
    stratum can be used, or if the rates do not vary.
    """
    parts = _common_strata(_by_stratum(first, first_strata), _by_stratum(second, second_strata))
    if not parts:
        raise ValueError("a difference needs two prompts on either side of one stratum")
    weights = np.array([a.size * b.size / (a.size + b.size) for a, b in parts])
    weights /= weights.sum()
    means = np.array([b.mean() - a.mean() for a, b in parts])
    variances = np.array([[a.var(ddof=1) / a.size, b.var(ddof=1) / b.size] for a, b in parts])
    degrees = np.array([[a.size - 1, b.size - 1] for a, b in parts])
    terms = np.square(weights)[:, None] * variances
    estimate, variance = float(weights @ means), float(terms.sum())
    if math.sqrt(variance) < NO_SPREAD:
        raise ValueError("the rates do not vary, so that their difference has no interval")
    df = variance**2 / float((np.square(terms) / degrees).sum())
    half = float(t_quantile(df, level=level)) * math.sqrt(variance)
    used = sum(a.size + b.size for a, b in parts)
    return Estimate(
        name=name,
        estimate=estimate,
        low=max(estimate - half, -1.0),
        high=min(estimate + half, 1.0),
        p=t_p_value(estimate / math.sqrt(variance), df),
        n=used,
        n_missing=int(np.size(first) + np.size(second) - used),
        method="welch_t" if first_strata is None else "welch_t_within_strata",
        scale="rate_difference",
        level=level,
    )


def welch_anova(groups: Sequence[ArrayLike]) -> AnovaTest:
    """Return Welch's (1951) test that groups of per-prompt rates share one mean; variances may differ.

    NaN is left out. Raises ValueError for fewer than two groups, or a group with fewer than two prompts or
    no spread.
    """
    from scipy.special import fdtrc

    data = [_present(group) for group in groups]
    if len(data) < 2 or any(group.size < 2 or group.std() < NO_SPREAD for group in data):
        raise ValueError("Welch's test needs two groups or more, each with two prompts that differ")
    sizes = np.array([group.size for group in data])
    means = np.array([group.mean() for group in data])
    weights = sizes / np.array([group.var(ddof=1) for group in data])
    k, total = len(data), weights.sum()
    between = float(weights @ np.square(means - weights @ means / total)) / (k - 1)
    spread = float((np.square(1 - weights / total) / (sizes - 1)).sum())
    df_within = (k * k - 1) / (3 * spread)
    statistic = between / (1 + 2 * (k - 2) / (k * k - 1) * spread)
    return AnovaTest(statistic, float(k - 1), df_within, float(fdtrc(k - 1, df_within, statistic)))


def _present(values: ArrayLike) -> NDArray[np.float64]:
    data: NDArray[np.float64] = np.asarray(values, dtype=float)
    return np.compress(~np.isnan(data), data)


def _by_stratum(values: ArrayLike, strata: ArrayLike | None) -> dict[object, NDArray[np.float64]]:
    data = np.asarray(values, dtype=float)
    labels = np.zeros(data.shape, dtype=int) if strata is None else np.asarray(strata)
    if data.ndim != 1 or labels.shape != data.shape:
        raise ValueError(f"one value and one stratum per prompt, not {data.shape} and {labels.shape}")
    return {label: _present(data[labels == label]) for label in np.unique(labels).tolist()}


def _common_strata(
    first: dict[object, NDArray[np.float64]], second: dict[object, NDArray[np.float64]]
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    return [
        (values, second[label])
        for label, values in first.items()
        if values.size > 1 and label in second and second[label].size > 1
    ]
