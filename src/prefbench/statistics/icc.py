"""How alike the answers to one prompt are: the ANOVA intraclass correlation, and where the variance lies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from prefbench.statistics.estimate import Estimate
from prefbench.statistics.intervals import t_quantile

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


def anova_icc(yes: ArrayLike, readable: ArrayLike, *, level: float = 0.95, name: str = "icc") -> Estimate:
    """Return the one-way ANOVA intraclass correlation of Y/N answers within groups, from counts (n,).

    (MSB - MSW)/(MSB + (m0 - 1)MSW) with m0 of unequal sizes (Donner 1986): ICC(1) of Shrout and Fleiss. The
    interval is a delete-one-group jackknife with t. Groups without answers count as missing. Scale `icc`.
    Raises ValueError for fewer than three groups, groups with one answer only, or answers all alike.
    """
    k, m = np.asarray(yes, dtype=float), np.asarray(readable, dtype=float)
    if k.shape != m.shape or k.ndim != 1:
        raise ValueError(f"{name}: one count of Y and one of answers a group")
    kept = np.isfinite(k) & (m > 0)
    k, m = k[kept], m[kept]
    if k.size < 3 or m.max(initial=0) < 2:
        raise ValueError(f"{name}: needs three groups and two answers in one, there are {k.size} groups")
    if k.sum() in (0, m.sum()):
        raise ValueError(
            f"{name}: all answers are {'Y' if k.sum() else 'N'}, so that nothing can be alike or not"
        )
    terms = np.stack([np.ones_like(k), m, m**2, k, k**2 / m])
    sums = terms.sum(axis=1)
    value = float(_icc(sums[:, None])[0])
    without = _icc(sums[:, None] - terms)
    if not np.isfinite(without).all():
        raise ValueError(f"{name}: without one of the groups all answers are alike: no interval can be had")
    error = math.sqrt((k.size - 1) / k.size * float(np.square(without - without.mean()).sum()))
    half = float(t_quantile(k.size - 1, level=level)) * error
    return Estimate(
        name=name,
        estimate=value,
        low=max(value - half, -1.0),
        high=min(value + half, 1.0),
        n=k.size,
        n_missing=int((~kept).sum()),
        method="anova_jackknife",
        scale="icc",
        level=level,
    )


def _icc(sums: Floats) -> Floats:
    """Return the ICC from (5, q) sums of 1, m, m^2, k and k^2/m over groups; NaN where it is not defined."""
    groups, total, squares, positive, square_rates = sums
    between = (square_rates - positive**2 / total) / (groups - 1)
    within = np.where(total > groups, (positive - square_rates) / np.maximum(total - groups, 1), np.nan)
    size = (total - squares / total) / (groups - 1)
    bottom = between + (size - 1) * within
    result = np.full(bottom.shape, np.nan)
    np.divide(between - within, bottom, out=result, where=bottom > 0)
    return result


class VarianceShares(NamedTuple):
    """Shares of the variance of a single answer (1 = Y, 0 = N), which sum to one."""

    domain: float
    prompt: float
    """Between the prompts of a domain."""
    temperature: float
    """Between the temperatures of a prompt, beyond sampling."""
    sampling: float
    """Between the answers to one prompt at one temperature."""
    total: float
    """The variance that is shared out."""


def variance_shares(
    yes: ArrayLike, readable: ArrayLike, prompts: ArrayLike, *, domains: ArrayLike
) -> VarianceShares:
    """Return where the variance of one condition's answers lies, from counts (n,) of its cells.

    `prompts` and `domains` (n,) name each cell's. Moment estimators of the nested layout (Searle, Casella and
    McCulloch 1992, ch. 3), cut at zero. Cells without answers are left out. Raises ValueError without a cell
    of two answers, two prompts in a domain, or any variance.
    """
    k, m = np.asarray(yes, dtype=float), np.asarray(readable, dtype=float)
    kept = np.isfinite(k) & (m > 1)
    k, m = k[kept], m[kept]
    if not k.size:
        raise ValueError("variance shares need cells with two answers")
    _, prompt = np.unique(np.asarray(prompts)[kept], return_inverse=True)
    noise = k * (m - k) / (m * (m - 1))
    sampling = float(noise.mean())
    cells, mean, spread = _group_moments(k / m, prompt)
    several = cells > 1
    per_cell = np.bincount(prompt, weights=noise / m) / cells
    temperature = max(0.0, float((spread - per_cell)[several].mean())) if several.any() else 0.0
    error = np.where(several, spread, per_cell) / cells  # of a prompt's mean
    domain_of = np.zeros(cells.size, dtype=np.intp)
    names, codes = np.unique(np.asarray(domains)[kept], return_inverse=True)
    domain_of[prompt] = codes
    sizes, centre, _ = _group_moments(mean, domain_of)
    df = mean.size - names.size
    if df < 1:
        raise ValueError("variance shares need two prompts in a domain")
    observed = float(np.square(mean - centre[domain_of]).sum()) / df
    between = max(0.0, observed - float(error.mean()))
    gaps = float(sizes @ np.square(centre - mean.mean())) / mean.size
    domain = max(0.0, gaps - (names.size - 1) * observed / mean.size)
    total = domain + between + temperature + sampling
    if total <= 0:
        raise ValueError("the answers do not vary: there is no variance to share out")
    return VarianceShares(domain / total, between / total, temperature / total, sampling / total, total)


def _group_moments(values: Floats, codes: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
    """Return size, mean and variance (ddof 1; 0 for one value) of each group."""
    sizes = np.bincount(codes).astype(float)
    means = np.bincount(codes, weights=values) / sizes
    squares = np.bincount(codes, weights=np.square(values - means[codes]))
    return sizes, means, squares / np.maximum(sizes - 1, 1)
