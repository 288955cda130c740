"""Confidence limits from moments, on arrays: Student's t, Wilson, and Wilson on the effective sample size.

NaN goes in where something is missing, and NaN comes out where no limit can be had.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Limits = tuple[NDArray[np.float64], NDArray[np.float64]]

NO_SPREAD = 1e-12
"""Standard errors below this are rounding: rates of up to a million samples are spaced wider."""


def check_level(level: float) -> float:
    """Return the confidence level; ValueError unless 0 < level < 1."""
    if not 0 < level < 1:
        raise ValueError(f"a confidence level lies between 0 and 1, not {level}")
    return level


def normal_quantile(level: float = 0.95) -> float:
    """Return the two-sided critical value of the normal distribution: 1.96 for .95."""
    from scipy.special import ndtri

    return float(ndtri((1 + check_level(level)) / 2))


def t_quantile(df: ArrayLike, *, level: float = 0.95) -> NDArray[np.float64]:
    """Return two-sided critical values of Student's t; NaN where df < 1."""
    from scipy.special import stdtrit

    degrees = np.asarray(df, dtype=float)
    usable = degrees >= 1
    values = stdtrit(np.where(usable, degrees, 1.0), (1 + check_level(level)) / 2)
    return np.where(usable, values, np.nan)


def t_p_value(statistic: float, df: float) -> float:
    """Return the two-sided p value of a t statistic."""
    from scipy.special import stdtr

    return float(min(1.0, 2 * stdtr(df, -abs(statistic))))


def wilson_bounds(rate: ArrayLike, size: ArrayLike, critical: ArrayLike) -> Limits:
    """Return Wilson's score limits of a rate observed on `size` units, for a given critical value.

    Wilson (1927), doi:10.1080/01621459.1927.10502953. Within [0, 1], exactly 0 at rate 0 and 1 at rate 1.
    """
    p, n = np.asarray(rate, dtype=float), np.asarray(size, dtype=float)
    z2 = np.square(np.asarray(critical, dtype=float)) / n
    centre = (p + z2 / 2) / (1 + z2)
    half = np.sqrt(z2 * (p * (1 - p) + z2 / 4)) / (1 + z2)
    return np.clip(centre - half, 0, p), np.clip(centre + half, p, 1)


def wilson_interval(successes: ArrayLike, total: ArrayLike, *, level: float = 0.95) -> Limits:
    """Return Wilson limits of successes out of total *independent* trials.

    Wilson (1927), doi:10.1080/01621459.1927.10502953; `prop.test(correct = FALSE)` in R. The samples of one prompt
    are not independent trials: for rates of responses use `cell_rate`. Raises
    ValueError unless 0 <= successes <= total and total >= 1.
    """
    k, n = np.asarray(successes, dtype=float), np.asarray(total, dtype=float)
    if not ((n >= 1) & (k >= 0) & (k <= n)).all():
        raise ValueError("Wilson's interval needs 0 <= successes <= total and total >= 1")
    return wilson_bounds(k / n, n, normal_quantile(level))


def effective_size(
    rate: ArrayLike, variance: ArrayLike, *, prompts: ArrayLike, samples: ArrayLike
) -> NDArray[np.float64]:
    """Return how many independent responses would leave the variance that was found.

    rate(1 - rate)/variance, at most `samples`, the number of responses. At a rate of exactly 0 or 1 the
    variance is zero whatever the clustering, and says nothing of it: the size is then `prompts`, as if the
    responses of one prompt were copies of each other. NaN where rate or variance is missing. Korn and Graubard
    (1998).
    """
    p, v = np.asarray(rate, dtype=float), np.asarray(variance, dtype=float)
    most = np.asarray(samples, dtype=float)
    smallest = p * (1 - p) / most  # the variance at which the cap is reached
    size = p * (1 - p) / np.where(v > smallest, v, 1.0)
    capped = np.where(v > smallest, size, most)
    sized = np.where((p == 0) | (p == 1), np.asarray(prompts, dtype=float), capped)
    return np.where(np.isnan(p) | np.isnan(v), np.nan, sized)


def effective_wilson(
    rate: ArrayLike,
    variance: ArrayLike,
    df: ArrayLike,
    *,
    prompts: ArrayLike,
    samples: ArrayLike,
    level: float = 0.95,
) -> Limits:
    """Return Wilson limits on the effective sample size with the t critical value; NaN where df < 1.

    `variance` is that of the estimated rate, between prompts. Franco et al. (2019), PMC6690503; the t value is
    the degrees-of-freedom correction of Korn and Graubard (1998).
    """
    size = effective_size(rate, variance, prompts=prompts, samples=samples)
    return wilson_bounds(rate, size, t_quantile(df, level=level))


def all_equal_limits(
    value: float, n: int, *, support: tuple[float, float], level: float = 0.95
) -> tuple[float, float]:
    """Return limits of a mean when all n units gave the same value, so that no spread can be estimated.

    At most a share q = 1 - (1-level)^(1/n) of units differ (the exact binomial bound), and these lie within
    `support`: the rule of three for a bounded quantity.
    """
    share = 1 - (1 - check_level(level)) ** (1 / n)
    lowest, highest = support
    return value - share * (value - lowest), value + share * (highest - value)
