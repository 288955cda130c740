"""How many prompts and answers an effect takes: a pilot in, smallest effects and cheapest designs out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from prefbench.statistics.intervals import check_level, t_quantile
from prefbench.statistics.rates import stratified_moments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastVariance:
    """Variance of a per-prompt contrast: SE^2 = (between + within/samples)/prompts."""

    between: float
    """Between prompts, beyond the sampling of answers."""
    within: float
    """Of the sampling, for one answer a cell."""
    strata: int = 1
    n_pilot: int

    def standard_error(self, prompts: int, samples: int) -> float:
        """Return the standard error with so many prompts and answers a cell."""
        return math.sqrt((self.between + self.within / samples) / prompts)


class StudySize(NamedTuple):
    """One design that reaches the power wanted."""

    prompts: int
    samples: int
    power: float
    cost: float


def contrast_variance(
    yes: ArrayLike, readable: ArrayLike, weights: ArrayLike, *, strata: ArrayLike | None = None
) -> ContrastVariance:
    """Return the variance components of a contrast from pilot counts (n, C, T): prompts, cells, temperatures.

    `weights` (C,) are those of the contrast; temperatures are averaged. Prompts that lack a cell are left out.
    The sampling part is the unbiased k(m-k)/(m(m-1)); what is left of the observed variance is between prompts,
    cut at zero: Miller (2024), arXiv 2411.00640. Raises ValueError without two complete prompts in a stratum
    that have two answers in each cell.
    """
    k, m = np.asarray(yes, dtype=float), np.asarray(readable, dtype=float)
    w = np.asarray(weights, dtype=float)
    if k.ndim != 3 or k.shape != m.shape or k.shape[1] != w.size:
        raise ValueError("a pilot is counts of prompts x cells x temperatures, and one weight a cell")
    used = w != 0
    k, m, w = k[:, used], m[:, used], w[used]
    complete = (np.isfinite(k) & (m > 1)).all(axis=(1, 2))
    if complete.sum() < 2:
        raise ValueError(
            f"a pilot needs two prompts with two answers in every cell, there are {complete.sum()}"
        )
    k, m = k[complete], m[complete]
    labels = None if strata is None else np.asarray(strata)[complete]
    moments = stratified_moments((k / m).mean(axis=2) @ w, strata=labels)
    if moments.df < 1:
        raise ValueError("a pilot needs two complete prompts in a domain")
    noise = k * (m - k) / (m * (m - 1))
    scale = np.square(w) / k.shape[2]
    within = float((noise.mean(axis=2) @ scale).mean())
    sampled = float(((noise / m).mean(axis=2) @ scale).mean())
    observed = moments.variance * moments.n
    return ContrastVariance(
        between=max(0.0, observed - sampled),
        within=within,
        strata=moments.n - moments.df,
        n_pilot=moments.n,
    )


def detection_power(
    effect: float, variance: ContrastVariance, *, prompts: int, samples: int, level: float = 0.95
) -> float:
    """Return the chance that a two-sided t test finds a true effect, df = prompts - strata (noncentral t).

    Cohen (1988), ch. 2; `power.t.test(type = "paired")` in R.
    Raises ValueError for no prompts beyond the strata, or no samples.
    """
    from scipy.special import nctdtr

    df = prompts - variance.strata
    if df < 1 or samples < 1:
        raise ValueError(
            f"power needs more than {variance.strata} prompts and one answer, not {prompts} and {samples}"
        )
    error = variance.standard_error(prompts, samples)
    if error == 0:
        return 1.0 if effect else 1 - check_level(level)
    shift, critical = abs(effect) / error, float(t_quantile(df, level=level))
    if shift > critical + 8:
        return 1.0
    return float(np.clip(1 - nctdtr(df, shift, critical) + nctdtr(df, shift, -critical), 0.0, 1.0))


def smallest_effect(
    variance: ContrastVariance, *, prompts: int, samples: int, power: float = 0.8, level: float = 0.95
) -> float:
    """Return the effect that is found with this power; on the scale of the contrast, so it may exceed 1.

    `detection_power` solved for the effect. Raises ValueError for a power that no effect or every effect has.
    """
    from scipy.optimize import brentq

    if not 1 - check_level(level) < power < 1:
        raise ValueError(f"power lies between the level of the test and 1, not {power}")
    error = variance.standard_error(prompts, samples)
    if error == 0:
        raise ValueError("the pilot does not vary: it cannot say how much a study would")
    top = (float(t_quantile(prompts - variance.strata, level=level)) + 12) * error
    return float(
        brentq(
            lambda effect: (
                detection_power(effect, variance, prompts=prompts, samples=samples, level=level) - power
            ),
            0.0,
            top,
            xtol=1e-9,
        )
    )


def fewest_prompts(
    effect: float,
    variance: ContrastVariance,
    *,
    samples: int,
    power: float = 0.8,
    level: float = 0.95,
    most: int = 1_000_000,
) -> int | None:
    """Return the smallest number of prompts that reaches the power; None if `most` are not enough.

    `detection_power` solved for the prompts.
    """

    def reached(prompts: int) -> bool:
        return detection_power(effect, variance, prompts=prompts, samples=samples, level=level) >= power

    low, high = variance.strata, variance.strata + 1
    while not reached(high):
        if high >= most:
            return None
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def cheapest_designs(
    effect: float,
    variance: ContrastVariance,
    *,
    prompt_cost: Callable[[int], float],
    samples: Iterable[int] = range(1, 51),
    power: float = 0.8,
    level: float = 0.95,
    most: int = 1_000_000,
) -> list[StudySize]:
    """Return the designs of up to `most` prompts that find an effect with this power, cheapest first.

    `prompt_cost` says what one prompt costs with so many answers a cell. `fewest_prompts` at each number of
    answers. Raises ValueError for an effect of zero or a cost that is not positive.
    """
    if not abs(effect) > 0:
        raise ValueError("a design needs an effect other than zero")
    found = []
    for each in samples:
        cost = prompt_cost(each)
        if not cost > 0:
            raise ValueError(f"a prompt with {each} answers a cell costs more than zero, not {cost}")
        prompts = fewest_prompts(effect, variance, samples=each, power=power, level=level, most=most)
        if prompts is not None:
            reached = detection_power(effect, variance, prompts=prompts, samples=each, level=level)
            found.append(StudySize(prompts, each, reached, prompts * cost))
    return sorted(found, key=lambda size: (size.cost, size.prompts))
