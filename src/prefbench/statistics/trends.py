"""Does a verdict move with something it should not depend on: a slope, or a profile over positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from prefbench.statistics.estimate import Estimate
from prefbench.statistics.intervals import NO_SPREAD, t_p_value, t_quantile

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class ProfileTest(NamedTuple):
    """Hotelling's test that the means of several measurements of the same prompts are equal."""

    statistic: float
    """F, on `df` and `df_error` degrees of freedom."""
    df: int
    df_error: int
    p: float


def clustered_slope(
    x: ArrayLike, y: ArrayLike, clusters: ArrayLike, *, level: float = 0.95, name: str = "slope"
) -> Estimate:
    """Return the least-squares slope of y on x, (n,) each, with a t interval and p clustered by `clusters`.

    The variance is CR1 (Liang and Zeger 1986, times G/(G-1) (N-1)/(N-2)), df = G - 1. Units in which x or y is
    NaN are left out and counted. `n` counts clusters. Raises ValueError with fewer than three clusters
    or where x or the residuals do not vary.
    """
    a, b = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    present = np.isfinite(a) & np.isfinite(b)
    _, index = np.unique(np.asarray(clusters)[present], return_inverse=True)
    groups, units = (int(index.max()) + 1 if index.size else 0), int(present.sum())
    if groups < 3:
        raise ValueError(f"a slope needs three prompts or more, there are {groups}")
    centred, values = a[present] - a[present].mean(), b[present] - b[present].mean()
    spread = float(centred @ centred)
    if spread < NO_SPREAD:
        raise ValueError("a slope needs an x that varies")
    slope = float(centred @ values) / spread
    scores = np.bincount(index, weights=centred * (values - slope * centred))
    error = float(np.sqrt(scores @ scores * groups / (groups - 1) * (units - 1) / (units - 2))) / spread
    if error < NO_SPREAD:
        raise ValueError("the values lie on a line exactly, so that the slope has no interval")
    half = float(t_quantile(groups - 1, level=level)) * error
    return Estimate(
        name=name,
        estimate=slope,
        low=slope - half,
        high=slope + half,
        p=t_p_value(slope / error, groups - 1),
        n=groups,
        n_missing=int((~present).sum()),
        method="ols_cr1",
        scale="rate_difference",
        level=level,
    )


def equal_profile(values: ArrayLike) -> ProfileTest:
    """Test that the columns of values (prompts, positions) have equal means, whatever their correlation.

    Hotelling's T^2 of the differences of neighbouring columns (Anderson 2003, An Introduction to Multivariate
    Statistical Analysis, sec. 5.3.5), F on (positions - 1, prompts - positions + 1). Prompts with a NaN are left
    out. Raises ValueError where there are too few prompts or a difference does not vary.
    """
    from scipy.special import fdtrc

    data = np.asarray(values, dtype=float)
    differences = np.diff(data[np.isfinite(data).all(axis=1)], axis=1)
    prompts, df = differences.shape
    if df < 1 or prompts <= df + 1:
        raise ValueError(
            f"a test of {df + 1} positions needs two or more, and {df + 2} whole prompts, not {prompts}"
        )
    covariance = np.atleast_2d(np.cov(differences, rowvar=False))
    if np.linalg.matrix_rank(covariance) < df:
        raise ValueError("a test of positions needs that each differs from the next in its own way")
    mean = differences.mean(axis=0)
    t2 = prompts * float(mean @ np.linalg.solve(covariance, mean))
    statistic = t2 * (prompts - df) / (df * (prompts - 1))
    return ProfileTest(statistic, df, prompts - df, float(fdtrc(df, prompts - df, statistic)))
