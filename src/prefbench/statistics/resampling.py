"""Prompts drawn with replacement, whole: bootstrap intervals of any contrasts, as a check on the t intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from prefbench.statistics.estimate import Estimate
from prefbench.statistics.factorial import Contrast
from prefbench.statistics.intervals import check_level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

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
    Below 50 prompts percentile intervals are too narrow: use the t interval. Efron and Tibshirani (1993), ch. 13.
    Raises ValueError without two complete prompts.
    """
    data = np.asarray(rates, dtype=float)
    complete = np.isfinite(data).all(axis=1)
    kept = data[complete]
    labels = np.zeros(len(data), dtype=int) if strata is None else np.asarray(strata)
    if len(kept) < 2 or draws < 100:
        raise ValueError(f"a bootstrap needs two complete prompts and 100 draws, not {len(kept)} and {draws}")
    values = kept @ np.stack([contrast.weights for contrast in contrasts], axis=1)
    means = _resampled_means(values, labels[complete], draws=draws, seed=seed)
    tail = (1 - check_level(level)) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    below, above = (means <= 0).mean(axis=0), (means >= 0).mean(axis=0)
    centre = values.mean(axis=0)
    return [
        Estimate(
            name=contrast.name,
            estimate=float(centre[place]),
            low=min(float(low[place]), float(centre[place])),
            high=max(float(high[place]), float(centre[place])),
            p=min(1.0, max(2 * min(below[place], above[place]), 2 / (draws + 1))),
            n=len(kept),
            n_missing=int((~complete).sum()),
            method="prompt_bootstrap",
            scale="rate_difference",
            level=level,
        )
        for place, contrast in enumerate(contrasts)
    ]


def prompt_draws(count: int, draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return how often each of `count` prompts is drawn, in `draws` resamples: (draws, count)."""
    chosen = rng.integers(count, size=(draws, count)) + count * np.arange(draws)[:, None]
    return np.bincount(chosen.ravel(), minlength=draws * count).reshape(draws, count).astype(float)


def _resampled_means(
    values: NDArray[np.float64], labels: NDArray[np.generic], *, draws: int, seed: int
) -> NDArray[np.float64]:
    """Return the mean of values (n, q) in each resample: (draws, q)."""
    rng = np.random.default_rng(seed)
    sums = np.zeros((draws, values.shape[1]))
    for label in np.unique(labels):
        part = values[labels == label]
        for start in range(0, draws, ROWS_AT_A_TIME):
            rows = min(ROWS_AT_A_TIME, draws - start)
            sums[start : start + rows] += prompt_draws(len(part), rows, rng) @ part
    return sums / len(values)
