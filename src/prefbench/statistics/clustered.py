"""Cells of a design with their joint covariance, prompts as clusters: every contrast and Wald test follows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from prefbench.statistics.estimate import Estimate
from prefbench.statistics.intervals import NO_SPREAD, t_p_value, t_quantile
from prefbench.statistics.paired import Equivalence

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class CellFit:
    """Estimates of the C cells of a design, up to a common constant where the method says so."""

    estimates: Floats
    """(C,); only contrasts, weights that sum to zero, have a meaning for `lpm` and for log odds."""
    covariance: Floats
    """(C, C)"""
    df: float
    n: int
    """Prompts."""
    n_missing: int = 0
    """Prompts left out."""
    method: str
    scale: str
    """`rate_difference` or `log_odds`: the scale of a contrast."""


class WaldTest(NamedTuple):
    """A joint test that several contrasts are zero."""

    statistic: float
    df_contrasts: int
    df_error: float
    p: float


def contrast_estimate(fit: CellFit, weights: ArrayLike, *, level: float = 0.95, name: str) -> Estimate:
    """Return the contrast weights (C,) of the cells with its t interval and p.

    The delta method of a linear function, t as in Cameron and Miller (2015), doi:10.3368/jhr.50.2.317. Raises
    ValueError for weights that do not sum to zero, and where the contrast does not vary.
    """
    value, error = _moments(fit, weights, name)
    half = float(t_quantile(fit.df, level=level)) * error
    most = _largest(fit, weights)
    return Estimate(
        name=name,
        estimate=value,
        low=min(value, max(value - half, -most)),
        high=max(value, min(value + half, most)),
        p=t_p_value(value / error, fit.df),
        n=fit.n,
        n_missing=fit.n_missing,
        method=fit.method,
        scale=fit.scale,
        level=level,
    )


def cell_estimate(fit: CellFit, cell: int, *, level: float = 0.95, name: str) -> Estimate:
    """Return the rate of one cell with its t interval, cut to [0, 1] where the rate itself lies there.

    Cameron and Miller (2015), as in `contrast_estimate`. Not for fits up to a constant (`lpm`, log odds).
    Raises ValueError where it does not vary.
    """
    value, variance = float(fit.estimates[cell]), float(fit.covariance[cell, cell])
    if fit.scale != "rate_difference" or variance < NO_SPREAD**2:
        raise ValueError(f"{name}: it does not vary between prompts, so that it has no interval")
    half = float(t_quantile(fit.df, level=level)) * math.sqrt(variance)
    return Estimate(
        name=name,
        estimate=value,
        low=min(value, max(value - half, 0.0)),
        high=max(value, min(value + half, 1.0)),
        n=fit.n,
        n_missing=fit.n_missing,
        method=fit.method,
        scale="rate",
        level=level,
    )


def contrast_equivalence(
    fit: CellFit, weights: ArrayLike, margin: float, *, level: float = 0.95, name: str
) -> Equivalence:
    """Test that a contrast weights (C,) of the cells lies within -margin to margin (Schuirmann 1987).

    Raises ValueError for a margin outside (0, 1), and as `contrast_estimate` does.
    """
    if not 0 < margin < 1:
        raise ValueError(f"a margin lies between 0 and 1, not {margin}")
    value, error = _moments(fit, weights, name)
    half = float(t_quantile(fit.df, level=2 * level - 1)) * error
    most = _largest(fit, weights)
    p = max(_beyond((margin + sign * value) / error, fit.df) for sign in (1, -1))
    return Equivalence(
        name=name,
        estimate=value,
        low=min(value, max(value - half, -most)),
        high=max(value, min(value + half, most)),
        margin=margin,
        p=p,
        equivalent=p < 1 - level,
        n=fit.n,
        n_missing=fit.n_missing,
        method=f"tost_{fit.method}",
        level=level,
    )


def _moments(fit: CellFit, weights: ArrayLike, name: str) -> tuple[float, float]:
    """Return a contrast and its standard error."""
    w = np.asarray(weights, dtype=float)
    if w.shape != fit.estimates.shape or abs(w.sum()) > 1e-9:
        raise ValueError(f"{name}: a contrast has one weight a cell, which sum to zero")
    error = math.sqrt(max(float(w @ fit.covariance @ w), 0.0))
    if error < NO_SPREAD:
        raise ValueError(f"{name}: it does not vary between prompts, so that it has no interval")
    return float(w @ fit.estimates), error


def _largest(fit: CellFit, weights: ArrayLike) -> float:
    """Return the largest value that a contrast can have."""
    return float(np.clip(weights, 0, None).sum()) if fit.scale == "rate_difference" else math.inf


def _beyond(statistic: float, df: float) -> float:
    """Return the one-sided p of a t statistic: the chance of one as large."""
    half = t_p_value(statistic, df) / 2
    return half if statistic > 0 else 1 - half


def to_log_odds(fit: CellFit) -> CellFit:
    """Return the cells of a fit on the rate scale as log odds of their rates, by the delta method.

    These are *marginal*: the odds of the mean rate, nearer to 1 than those of a single prompt (Zeger, Liang and
    Albert 1988). Raises ValueError for a cell whose rate is not inside (0, 1).
    """
    rates = fit.estimates
    if fit.scale != "rate_difference":
        raise ValueError(f"log odds are those of rates, not of {fit.scale}")
    if not ((rates > 0) & (rates < 1)).all():
        raise ValueError("a rate of 0 or 1, or beyond, has no odds")
    slopes = 1 / (rates * (1 - rates))
    return replace(
        fit,
        estimates=np.log(rates / (1 - rates)),
        covariance=fit.covariance * np.outer(slopes, slopes),
        scale="log_odds",
    )


def wald_test(estimates: ArrayLike, covariance: ArrayLike, df: float) -> WaldTest:
    """Return Hotelling's form of the Wald test that all estimates (q,) are zero, F with q and df - q + 1.

    `covariance` (q, q) has `df` degrees of freedom (prompts - strata). Anderson (2003), ch. 5. Raises
    ValueError where it is singular.
    """
    from scipy.special import fdtrc

    b, v = np.atleast_1d(np.asarray(estimates, dtype=float)), np.atleast_2d(np.asarray(covariance, float))
    q = b.size
    if not q:
        raise ValueError("a joint test needs a contrast")
    scale = np.sqrt(np.diagonal(v))
    if df < q or (scale < NO_SPREAD).any() or np.linalg.cond(v / np.outer(scale, scale)) > 1e12:
        raise ValueError(f"a joint test of {q} contrasts needs that they vary, each in its own way")
    wald = float(b @ np.linalg.solve(v, b))
    df_error = df - q + 1
    statistic = wald * df_error / (df * q)
    return WaldTest(statistic, q, df_error, float(fdtrc(q, df_error, statistic)))


def cluster_codes(clusters: ArrayLike) -> tuple[NDArray[np.intp], int]:
    """Return each row's cluster as a number from 0, and how many clusters there are; ValueError below two."""
    names, codes = np.unique(np.asarray(clusters), return_inverse=True)
    if names.size < 2:
        raise ValueError(f"errors between prompts need two prompts or more, there are {names.size}")
    return codes, names.size


def group_sums(codes: NDArray[np.intp], weights: Floats, count: int) -> Floats:
    """Return the sum of weights (n,) in each of `count` groups."""
    return np.asarray(np.bincount(codes, weights=weights, minlength=count), dtype=float)


def cluster_sums(rows: Floats, codes: NDArray[np.intp], count: int) -> Floats:
    """Return the sums of rows (n, k) within each of `count` clusters: (count, k)."""
    return np.stack([group_sums(codes, column, count) for column in rows.T], axis=1)


def cr1(influence: Floats) -> Floats:
    """Return the covariance of an estimate from its influence values summed within clusters (G, k).

    CR1: the crossproduct times G/(G - 1) (Pustejovsky and Tipton 2018, doi:10.1080/07350015.2016.1247004;
    `vcovCL(type = "HC0", cadjust = TRUE)` in R). Regressors that lie inside a cluster, such as fixed effects of
    prompts, take no degrees of freedom by it, so that balanced data give the paired t test exactly.
    """
    count = influence.shape[0]
    covariance: Floats = influence.T @ influence * (count / (count - 1))
    return covariance
