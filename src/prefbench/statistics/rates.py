"""Rates of preference from per-prompt rates: the prompt is the unit, its samples are averaged first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from prefbench.statistics.estimate import Estimate
from prefbench.statistics.intervals import (
    NO_SPREAD,
    all_equal_limits,
    effective_wilson,
    normal_quantile,
    t_quantile,
    wilson_bounds,
    wilson_interval,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Moments(NamedTuple):
    """A mean over prompts with the variance of that mean."""

    mean: float
    variance: float
    df: int
    n: int
    n_missing: int


def stratified_moments(values: ArrayLike, *, strata: ArrayLike | None = None) -> Moments:
    """Return the mean of per-prompt values (n,) and its variance within strata (n,), df = prompts - strata.

    The variance is the residual mean square about the stratum means over n, as in a one-way layout; NaN is a
    missing prompt. Cochran (1977), Sampling Techniques, ch. 5, with one variance for all strata. Raises ValueError if
    none is left. With df = 0 the variance is NaN.
    """
    data = np.asarray(values, dtype=float)
    labels = np.zeros(data.shape, dtype=int) if strata is None else np.asarray(strata)
    if data.ndim != 1 or labels.shape != data.shape:
        raise ValueError(f"one value and one stratum per prompt, not {data.shape} and {labels.shape}")
    present = np.isfinite(data)
    if not present.any():
        raise ValueError(f"no prompt has a value ({data.size} are missing)")
    kept, missing = data[present], int(data.size - present.sum())
    _, index = np.unique(labels[present], return_inverse=True)
    sizes = np.bincount(index)
    deviations = kept - (np.bincount(index, weights=kept) / sizes)[index]
    df = kept.size - sizes.size
    variance = float(deviations @ deviations) / df / kept.size if df else float("nan")
    return Moments(float(kept.mean()), variance, df, kept.size, missing)


def mean_rate(
    prompt_rates: ArrayLike, *, strata: ArrayLike | None = None, level: float = 0.95, name: str = "rate"
) -> Estimate:
    """Return the mean of per-prompt rates (n,) with a t interval, df = prompts - strata, cut to [0, 1].

    Miller (2024), arXiv 2411.00640: the prompt is the unit. NaN is a missing prompt. Where all rates are equal the
    limits are those of `all_equal_limits`. For small or extreme rates `cell_rate` covers better. Raises
    ValueError without two prompts in a stratum.
    """
    _check_rates(prompt_rates)
    moments = stratified_moments(prompt_rates, strata=strata)
    _check_spread(moments, name)
    low, high, method = t_limits(moments, support=(0.0, 1.0), level=level)
    return _rate(name, moments, low, high, method=method, level=level)


def cell_rate(
    prompt_rates: ArrayLike,
    samples: int,
    *,
    strata: ArrayLike | None = None,
    level: float = 0.95,
    name: str = "rate",
) -> Estimate:
    """Return the mean of per-prompt rates (n,) with a Wilson interval on the effective sample size.

    `samples` is the number of readable responses behind all rates together. NaN is a missing prompt. Korn and
    Graubard (1998) and Franco et al. (2019): see `effective_wilson`. Raises ValueError without two prompts in
    a stratum.
    """
    _check_rates(prompt_rates)
    moments = stratified_moments(prompt_rates, strata=strata)
    _check_spread(moments, name)
    if samples < moments.n:
        raise ValueError(f"{name}: {samples} responses cannot give {moments.n} prompts a rate")
    low, high = effective_wilson(
        moments.mean, moments.variance, moments.df, prompts=moments.n, samples=samples, level=level
    )
    return _rate(name, moments, float(low), float(high), method="wilson_effective", level=level)


def logit_t_rate(
    prompt_rates: ArrayLike, *, strata: ArrayLike | None = None, level: float = 0.95, name: str = "rate"
) -> Estimate:
    """Return the mean of per-prompt rates (n,) with a t interval on its logit, carried back to the rate.

    Agresti (2013), 1.4.1, with the variance between prompts and the delta method. Never leaves [0, 1]. Raises
    ValueError at a mean of 0 or 1, where `cell_rate` still has limits, and without two prompts in a stratum.
    """
    _check_rates(prompt_rates)
    moments = stratified_moments(prompt_rates, strata=strata)
    _check_spread(moments, name)
    p = moments.mean
    if not 0 < p < 1:
        raise ValueError(f"{name}: a rate of {p:g} has no logit; use cell_rate")
    half = float(t_quantile(moments.df, level=level) * np.sqrt(moments.variance) / (p * (1 - p)))
    logit = float(np.log(p / (1 - p)))
    low, high = (float(1 / (1 + np.exp(-(logit + side * half)))) for side in (-1, 1))
    return _rate(name, moments, min(low, p), max(high, p), method="logit_t", level=level)


def fixed_prompts_rate(
    yes: ArrayLike, readable: ArrayLike, *, level: float = 0.95, name: str = "rate"
) -> Estimate:
    """Return the mean rate of *these* prompts: only the sampling of responses is uncertain.

    `yes` and `readable` are counts per prompt (n,), or per prompt and temperature (n, t), NaN where missing.
    Wilson limits on the size that leaves the sampling variance, sum of p(1-p)/(m-1) (Cochran 1977, ch. 5, with
    prompts as strata); if that is zero, on the number of responses. Raises ValueError if no cell was read or
    a cell has one response only.
    """
    k, m = (
        np.atleast_2d(np.asarray(yes, dtype=float).T).T,
        np.atleast_2d(np.asarray(readable, dtype=float).T).T,
    )
    present = np.isfinite(k) & (m > 0)
    if not present.any():
        raise ValueError(f"{name}: no response was read")
    if (m[present] < 2).any():
        raise ValueError(f"{name}: sampling noise cannot be estimated from one response to a prompt")
    rates = np.where(present, k / np.where(present, m, 1.0), 0.0)
    cells = present.sum(axis=1)
    kept = cells > 0
    noise = np.where(present, rates * (1 - rates) / np.where(present, m - 1, 1.0), 0.0)
    mean = float((rates.sum(axis=1)[kept] / cells[kept]).mean())
    variance = float((noise.sum(axis=1)[kept] / cells[kept] ** 2).sum() / kept.sum() ** 2)
    moments = Moments(mean, variance, 0, int(kept.sum()), int((~kept).sum()))
    low, high = sampling_limits(mean, variance, samples=float(m[present].sum()), level=level)
    found = _rate(name, moments, float(low), float(high), method="wilson_sampling", level=level)
    return replace(found, target="fixed_prompts")


def sampling_limits(
    rate: ArrayLike, variance: ArrayLike, *, samples: ArrayLike, level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Wilson limits for fixed prompts: the size is rate(1-rate)/variance, or `samples` at variance 0.

    Wilson (1927) on an effective size (Korn and Graubard 1998); NaN where the rate is missing. Raises ValueError
    for a level outside (0, 1).
    """
    p, v = np.asarray(rate, dtype=float), np.asarray(variance, dtype=float)
    seen = (v > NO_SPREAD**2) | np.isnan(v)
    size = np.where(seen, p * (1 - p) / np.where(seen, v, 1.0), np.asarray(samples, dtype=float))
    return wilson_bounds(p, size, normal_quantile(level))


def wilson_rate(successes: int, total: int, *, level: float = 0.95, name: str = "rate") -> Estimate:
    """Return successes/total with Wilson's interval, for *independent* trials only; `n` counts trials.

    Wilson (1927), doi:10.1080/01621459.1927.10502953. Raises ValueError unless 0 <= successes <= total, total >= 1.
    """
    low, high = wilson_interval(successes, total, level=level)
    return Estimate(
        name=name,
        estimate=successes / total,
        low=float(low),
        high=float(high),
        n=total,
        method="wilson",
        scale="rate",
        level=level,
    )


def t_limits(
    moments: Moments, *, support: tuple[float, float], level: float = 0.95
) -> tuple[float, float, str]:
    """Return the t interval of a mean cut to its support, and the name of the method."""
    error = float(np.sqrt(moments.variance))
    if error < NO_SPREAD:
        low, high = all_equal_limits(moments.mean, moments.n, support=support, level=level)
        return low, high, "all_equal"
    half = float(t_quantile(moments.df, level=level)) * error
    return max(moments.mean - half, support[0]), min(moments.mean + half, support[1]), "t"


def _rate(name: str, moments: Moments, low: float, high: float, *, method: str, level: float) -> Estimate:
    return Estimate(
        name=name,
        estimate=moments.mean,
        low=low,
        high=high,
        n=moments.n,
        n_missing=moments.n_missing,
        method=method,
        scale="rate",
        level=level,
    )


def _check_rates(rates: ArrayLike) -> None:
    data = np.asarray(rates, dtype=float)
    if (data < 0).any() or (data > 1).any():
        raise ValueError("a rate lies between 0 and 1")


def _check_spread(moments: Moments, name: str) -> None:
    if moments.df < 1:
        raise ValueError(f"{name}: an interval needs two prompts in a stratum, there are {moments.n} in all")
