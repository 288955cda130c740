"""Prompts drawn with replacement, whole: bootstrap intervals of any contrasts, as a check on the t intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from prefbench.statistics.estimate import Estimate
from prefbench.statistics.factorial import Contrast
from prefbench.statistics.intervals import NO_SPREAD, check_level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

ROWS_AT_A_TIME = 250


def bootstrap_contrasts(
    rates: ArrayLike,
    contrasts: Sequence[Contrast],
    *,
    strata: ArrayLike | None = None,
    draws: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
) -> list[Estimate]:
    """Return percentile intervals of contrasts of rates (n, C) from `draws` resamples of prompts within strata.

    Prompts and not answers are drawn: drawing both counts the sampling noise twice. NaN is a missing cell, and
    a prompt that lacks any is left out. p is twice the smaller share of draws beyond zero, at least 2/(draws+1).
    Below 50 prompts percentile intervals are too narrow: use the t interval. Where no draw differs from the others
    there are no limits and no p. Efron and Tibshirani (1993), ch. 13.
    Raises ValueError without two complete prompts.
    """
    data = np.asarray(rates, dtype=float)
    weights = np.stack([contrast.weights for contrast in contrasts], axis=1)
    centre, low, high, p, kept = _percentiles(data, weights, strata, draws=draws, level=level, seed=seed)
    return [
        Estimate(
            name=contrast.name,
            estimate=float(centre[place]),
            low=_or_none(low[place]),
            high=_or_none(high[place]),
            p=_or_none(p[place]),
            n=kept,
            n_missing=len(data) - kept,
            method="prompt_bootstrap",
            scale="rate_difference",
            level=level,
        )
        for place, contrast in enumerate(contrasts)
    ]


def bootstrap_rate(
    prompt_rates: ArrayLike,
    *,
    strata: ArrayLike | None = None,
    draws: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
    name: str = "rate",
) -> Estimate:
    """Return the mean of per-prompt rates (n,) with a percentile interval from resamples of prompts within strata.

    A check on `cell_rate`, which covers better below 50 prompts and near 0 and 1. NaN is a missing prompt. Where no
    draw differs from the others there are no limits. Efron and Tibshirani (1993), ch. 13. Raises ValueError
    without two prompts, or for a rate outside [0, 1].
    """
    data = np.asarray(prompt_rates, dtype=float)
    if data.ndim != 1 or (data < 0).any() or (data > 1).any():
        raise ValueError("rates are one number between 0 and 1 a prompt")
    centre, low, high, _, kept = _percentiles(
        data[:, None], np.ones((1, 1)), strata, draws=draws, level=level, seed=seed
    )
    return Estimate(
        name=name,
        estimate=float(centre[0]),
        low=_or_none(low[0]),
        high=_or_none(high[0]),
        n=kept,
        n_missing=data.size - kept,
        method="prompt_bootstrap",
        scale="rate",
        level=level,
    )


def prompt_draws(count: int, draws: int, rng: np.random.Generator) -> Floats:
    """Return how often each of `count` prompts is drawn, in `draws` resamples: (draws, count)."""
    chosen = rng.integers(count, size=(draws, count)) + count * np.arange(draws)[:, None]
    return np.bincount(chosen.ravel(), minlength=draws * count).reshape(draws, count).astype(float)


def _percentiles(
    data: Floats, weights: Floats, strata: ArrayLike | None, *, draws: int, level: float, seed: int
) -> tuple[Floats, Floats, Floats, Floats, int]:
    """Return means, limits and p (q,) of data (n, C) @ weights (C, q) over complete prompts, and their number.

    Limits and p are NaN where every resample has the same mean.
    """
    complete = np.isfinite(data).all(axis=1)
    kept = data[complete]
    labels = np.zeros(len(data), dtype=int) if strata is None else np.asarray(strata)
    if len(kept) < 2 or draws < 100:
        raise ValueError(f"a bootstrap needs two complete prompts and 100 draws, not {len(kept)} and {draws}")
    values = kept @ weights
    means = _resampled_means(values, labels[complete], draws=draws, seed=seed)
    tail = (1 - check_level(level)) / 2
    centre = values.mean(axis=0)
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    beyond = np.minimum((means <= 0).mean(axis=0), (means >= 0).mean(axis=0))
    p = np.clip(2 * beyond, 2 / (draws + 1), 1.0)
    moved = np.ptp(means, axis=0) >= NO_SPREAD
    limits = (np.minimum(low, centre), np.maximum(high, centre), p)
    low, high, p = (np.where(moved, each, np.nan) for each in limits)
    return centre, low, high, p, len(kept)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _resampled_means(values: Floats, labels: NDArray[np.generic], *, draws: int, seed: int) -> Floats:
    """Return the mean of values (n, q) in each resample: (draws, q)."""
    rng = np.random.default_rng(seed)
    sums = np.zeros((draws, values.shape[1]))
    for label in np.unique(labels):
        part = values[labels == label]
        for start in range(0, draws, ROWS_AT_A_TIME):
            rows = min(ROWS_AT_A_TIME, draws - start)
            sums[start : start + rows] += prompt_draws(len(part), rows, rng) @ part
    return sums / len(values)
