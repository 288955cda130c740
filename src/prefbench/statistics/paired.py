"""Differences between two conditions (or temperatures) paired within prompts."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from prefbench.statistics.estimate import Estimate
from prefbench.statistics.intervals import NO_SPREAD, check_level, t_p_value
from prefbench.statistics.rates import Moments, stratified_moments, t_limits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

EXACT_UP_TO = 16
"""With this many differences that are not zero or fewer, all 2^n signs are tried."""


def mean_difference(
    differences: ArrayLike,
    *,
    strata: ArrayLike | None = None,
    bound: float = 1.0,
    level: float = 0.95,
    name: str = "difference",
) -> Estimate:
    """Return the mean of per-prompt differences (n,) with a t interval and p, df = prompts - strata.

    Student (1908); paired within prompts as in Miller (2024), arXiv 2411.00640.
    NaN is a pair that lacks a side, counted as missing. `bound` is the largest difference there can be: 1 for
    rates. Where all differences are equal there is no spread to go by: the limits are those of
    `all_equal_limits` and p that of the sign-flip test. Raises ValueError without two pairs in a stratum.
    """
    moments = _difference_moments(differences, strata, bound=bound, name=name)
    low, high, method = t_limits(moments, support=(-bound, bound), level=level)
    return Estimate(
        name=name,
        estimate=moments.mean,
        low=low,
        high=high,
        p=_p_value(moments),
        n=moments.n,
        n_missing=moments.n_missing,
        method=f"paired_{method}",
        scale="rate_difference",
        level=level,
    )


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    *,
    strata: ArrayLike | None = None,
    level: float = 0.95,
    name: str = "difference",
) -> Estimate:
    """Return the mean of second - first over prompts (n,) that have both: the paired t test (Student 1908).

    See `mean_difference`. Raises ValueError for arrays of two lengths, and without two pairs in a stratum.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape:
        raise ValueError(f"pairs need two arrays of one length, not {a.shape} and {b.shape}")
    return mean_difference(b - a, strata=strata, level=level, name=name)


def sign_flip_p(differences: ArrayLike, *, draws: int = 9_999, seed: int = 0) -> float:
    """Return the two-sided p of the sign-flip permutation test that differences are symmetric about zero.

    Exact (all signs) up to 16 differences that are not zero; otherwise (1 + as extreme)/(1 + draws) of seeded
    random flips (Phipson and Smyth 2010). NaN is left out; ValueError if nothing is left.
    """
    data = np.asarray(differences, dtype=float)
    if not np.isfinite(data).any():
        raise ValueError("no prompt has a difference")
    moved = data[np.isfinite(data) & (np.abs(data) >= NO_SPREAD)]
    if not moved.size:
        return 1.0
    observed = abs(float(moved.sum())) - 1e-9  # sums of equal size differ by rounding
    if moved.size <= EXACT_UP_TO:
        return float((np.abs(_all_sums(moved)) >= observed).mean())
    extreme = 0
    rng = np.random.default_rng(seed)
    for start in range(0, draws, 1_000):
        rows = min(1_000, draws - start)
        bits = np.unpackbits(
            np.frombuffer(rng.bytes(rows * -(-moved.size // 8)), np.uint8).reshape(rows, -1), axis=1
        )
        sums = moved.sum() - 2 * (bits[:, : moved.size] @ moved)
        extreme += int((np.abs(sums) >= observed).sum())
    return (extreme + 1) / (draws + 1)


def sign_flip_asymptotic_p(differences: ArrayLike) -> float:
    """Return the two-sided normal approximation to the sign-flip test: z = sum(d)/sqrt(sum(d^2)).

    `coin::symmetry_test` in R (Hothorn et al. 2008). NaN is left out; ValueError if no difference is left, 1 if
    all are zero.
    """
    from scipy.special import ndtr

    data = np.asarray(differences, dtype=float)
    data = data[np.isfinite(data)]
    if not data.size:
        raise ValueError("no prompt has a difference")
    spread = math.sqrt(float(data @ data))
    return float(2 * ndtr(-abs(float(data.sum())) / spread)) if spread >= NO_SPREAD else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence:
    """Two one-sided tests: is the mean difference within plus and minus the margin?"""

    name: str
    estimate: float
    low: float
    """Lower end of the interval at 1 - 2(1 - level), which lies within the margin exactly if p < 1 - level."""
    high: float
    margin: float
    p: float
    """The larger of the two one-sided p values."""
    equivalent: bool
    n: int
    n_missing: int
    method: str
    level: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)


def paired_equivalence(
    differences: ArrayLike,
    margin: float,
    *,
    strata: ArrayLike | None = None,
    level: float = 0.95,
    name: str = "equivalence",
) -> Equivalence:
    """Test that the mean of per-prompt differences (n,) lies within -margin to margin (Schuirmann 1987).

    Raises ValueError for a margin outside (0, 1), and as `mean_difference` does.
    """
    if not 0 < margin < 1:
        raise ValueError(f"a margin lies between 0 and 1, not {margin}")
    moments = _difference_moments(differences, strata, bound=1.0, name=name)
    low, high, method = t_limits(moments, support=(-1.0, 1.0), level=2 * check_level(level) - 1)
    p = max(_beyond(moments, margin), _beyond(moments._replace(mean=-moments.mean), margin))
    return Equivalence(
        name=name,
        estimate=moments.mean,
        low=low,
        high=high,
        margin=margin,
        p=p,
        equivalent=p < 1 - level,
        n=moments.n,
        n_missing=moments.n_missing,
        method=f"tost_{method}",
        level=level,
    )


def cohens_h(first: float, second: float) -> float:
    """Return 2 asin sqrt(second) - 2 asin sqrt(first), the difference on the scale of equal variance.

    Cohen (1988), Statistical Power Analysis, ch. 6. Raises ValueError for a rate outside [0, 1].
    """
    if not (0 <= first <= 1 and 0 <= second <= 1):
        raise ValueError(f"Cohen's h needs rates between 0 and 1, not {first} and {second}")
    return 2 * math.asin(math.sqrt(second)) - 2 * math.asin(math.sqrt(first))


def odds_ratio(first: float, second: float) -> float | None:
    """Return the *marginal* odds ratio of second to first; None where a rate is 0 or 1.

    Nearer to 1 than the odds ratio of a single prompt (Zeger, Liang and Albert 1988). Raises ValueError for a rate
    outside [0, 1].
    """
    if not (0 <= first <= 1 and 0 <= second <= 1):
        raise ValueError(f"an odds ratio needs rates between 0 and 1, not {first} and {second}")
    if not (0 < first < 1 and 0 < second < 1):
        return None
    return second / (1 - second) / (first / (1 - first))


def _difference_moments(
    differences: ArrayLike, strata: ArrayLike | None, *, bound: float, name: str
) -> Moments:
    data = np.asarray(differences, dtype=float)
    if (np.abs(data) > bound * (1 + NO_SPREAD)).any():
        raise ValueError(f"{name}: a difference lies between {-bound} and {bound}")
    moments = stratified_moments(data, strata=strata)
    if moments.df < 1:
        raise ValueError(
            f"{name}: a paired interval needs two pairs in a stratum, there are {moments.n} in all"
        )
    return moments


def _p_value(moments: Moments) -> float:
    error = math.sqrt(moments.variance)
    if error >= NO_SPREAD:
        return t_p_value(moments.mean / error, moments.df)
    return 1.0 if abs(moments.mean) < NO_SPREAD else 2.0 ** (1 - moments.n)


def _beyond(moments: Moments, margin: float) -> float:
    """Return the one-sided p of a mean of `margin` or more."""
    from scipy.special import stdtr

    error = math.sqrt(moments.variance)
    if error >= NO_SPREAD:
        return float(stdtr(moments.df, (moments.mean - margin) / error))
    inside = (margin - moments.mean) / (1 - moments.mean) if moments.mean < margin else 0.0
    return float((1 - inside) ** moments.n)


def _all_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the 2^n sums of values (n,) under all signs."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums
