"""Agreement of raters on nominal ratings: kappa, alpha and AC1, with intervals from resampling prompts.

Ratings are codes 0, 1, ... (here N and Y); NaN is a rating that is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from prefbench.statistics.bootstrap import bca_limits, cluster_sums, jackknife_totals, resampled_totals
from prefbench.statistics.estimate import Estimate
from prefbench.statistics.intervals import NO_SPREAD, all_equal_limits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]
    Coefficient = Callable[[Array], Array]

DRAWS = 2_000


class Kappa(NamedTuple):
    """Cohen's kappa of one table. NaN where both raters gave one and the same answer throughout."""

    estimate: float
    standard_error: float
    """For independent units; the answers to one prompt are not, so intervals resample prompts instead."""
    observed: float
    expected: float


class Constant(NamedTuple):
    """What somebody would reach who gave every unit the same answer, the best one. Kappa is then 0."""

    category: int
    share: float
    """The share of units that have this answer: the accuracy of giving it always."""
    ac1: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far raters agree, each coefficient with its interval over clusters; None where it is not defined."""

    n: int
    """Units with at least two ratings."""
    n_clusters: int
    observed: Estimate | None
    """The share of pairs of ratings that agree, averaged over units: with two raters, the accuracy."""
    kappa: Estimate | None
    """Cohen's, for two raters; None for more."""
    ac1: Estimate | None
    alpha: Estimate | None


def confusion_matrix(first: ArrayLike, second: ArrayLike, *, categories: int = 2) -> NDArray[np.int64]:
    """Return counts (categories, categories): `first` in rows, `second` in columns; (n,) codes each.

    Units in which either is NaN are left out. Raises ValueError for codes that are no category.
    """
    a, b = _codes(first, categories), _codes(second, categories)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"two raters need ratings of one length, not {a.shape} and {b.shape}")
    both = ~np.isnan(a) & ~np.isnan(b)
    cells = (a[both] * categories + b[both]).astype(np.int64)
    counts: NDArray[np.int64] = np.bincount(cells, minlength=categories**2).reshape(categories, categories)
    return counts


def cohens_kappa(counts: ArrayLike) -> Kappa:
    """Return Cohen's kappa of a table of counts (k, k) with its large-sample standard error.

    Cohen (1960), doi:10.1177/001316446002000104; the variance is that of Fleiss, Cohen and Everitt (1969),
    doi:10.1037/h0028106, eq. 14, as R's psych::cohen.kappa has it. Raises ValueError without any count.
    """
    table = np.asarray(counts, dtype=float)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or (table < 0).any() or not table.sum():
        raise ValueError("kappa needs a square table of counts with something in it")
    share, size = table / table.sum(), table.sum()
    rows, columns = share.sum(axis=1), share.sum(axis=0)
    observed, expected = float(np.trace(share)), float(rows @ columns)
    if expected >= 1:
        return Kappa(float("nan"), float("nan"), observed, expected)
    left = 1 - expected
    diagonal = np.diag(share) @ np.square(left - (rows + columns) * (1 - observed))
    off = share * np.square(columns[:, None] + rows[None, :])
    spread = (off.sum() - np.trace(off)) * (1 - observed) ** 2
    centre = (observed * expected - 2 * expected + observed) ** 2
    variance = max(0.0, float(diagonal + spread - centre)) / (size * left**4)
    return Kappa((observed - expected) / left, variance**0.5, observed, expected)


def krippendorffs_alpha(ratings: ArrayLike, *, categories: int = 2) -> float:
    """Return Krippendorff's alpha for nominal ratings (n units, raters).

    Units with fewer than two ratings are no part of it. Raises ValueError where nothing varies.

    Krippendorff (2011), "Computing Krippendorff's
    Alpha-Reliability", https://repository.upenn.edu/asc_papers/43; alpha = 1 - D_o/D_e.
    """
    return _defined(_alpha(_unit_sums(ratings, categories).sum(axis=0), categories), "ratings that vary")


def gwets_ac1(ratings: ArrayLike, *, categories: int = 2) -> float:
    """Return Gwet's AC1 for nominal ratings (n units, raters). Raises ValueError if no unit has two ratings.

    `categories` counts all that could have been given. Agreement by chance comes from how often each category
    is used, averaged over all rated units. Gwet (2008), doi:10.1348/000711006X126600.
    """
    return _defined(_ac1(_unit_sums(ratings, categories).sum(axis=0), categories), "units with two ratings")


def _defined(value: NDArray[np.float64], needed: str) -> float:
    if np.isnan(value):
        raise ValueError(f"a coefficient of agreement needs {needed}")
    return float(value)


def best_constant(truth: ArrayLike, *, categories: int = 2) -> Constant:
    """Return what the most frequent category reaches as an answer to everything; `truth` (n,) codes.

    The majority-class baseline; of two that are equally frequent the lower code is taken. Raises ValueError
    without any rating.
    """
    codes = _codes(truth, categories)
    present = codes[~np.isnan(codes)].astype(int)
    if not present.size:
        raise ValueError("no unit has a rating")
    category = int(np.bincount(present, minlength=categories).argmax())
    pairs = np.column_stack([present, np.full(present.size, category)])
    share = float((present == category).mean())
    return Constant(category, share, gwets_ac1(pairs, categories=categories))


def estimate_agreement(
    ratings: ArrayLike,
    clusters: ArrayLike,
    *,
    categories: int = 2,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> Agreement:
    """Return how far raters agree, from ratings (n units, raters) and the prompt of each unit (n,).

    Intervals resample whole prompts `draws` times and are bias-corrected and accelerated (`bca_limits`). Where
    all ratings agree no resample disagrees: at most a share q = 1 - (1-level)^(1/prompts) of prompts then could,
    which gives the lower limit 1 - q/(1 - agreement by chance). Where no resample moves a value below 1, the share
    that agrees has the limits of `all_equal_limits` and a coefficient has none. No interval with fewer than two
    prompts.
    Raises ValueError for codes that are no category, or for other than one prompt a unit.
    """
    codes = _codes(ratings, categories)
    labels = np.asarray(clusters)
    if codes.ndim != 2 or labels.shape != codes.shape[:1]:
        raise ValueError(f"one cluster a unit, not {labels.shape} for ratings {codes.shape}")
    pairable = (~np.isnan(codes)).sum(axis=1) >= 2
    rated = (~np.isnan(codes)).any(axis=1)
    sums = cluster_sums(_unit_sums(codes[rated], categories), labels[rated])
    names: dict[str, Coefficient] = {
        "observed": _observed,
        "ac1": lambda totals: _ac1(totals, categories),
        "alpha": lambda totals: _alpha(totals, categories),
    }
    if codes.shape[1] == 2:
        names["kappa"] = lambda totals: _kappa(totals, categories)
    resampler = _Resampler(sums, categories, level, draws, seed)
    found = {name: resampler.estimate(name, coefficient) for name, coefficient in names.items()}
    return Agreement(
        n=int(pairable.sum()),
        n_clusters=int(np.unique(labels[pairable]).size),
        observed=found["observed"],
        kappa=found.get("kappa"),
        ac1=found["ac1"],
        alpha=found["alpha"],
    )


class _Resampler:
    """The resamples of one set of clusters, which all coefficients share."""

    def __init__(self, sums: Array, categories: int, level: float, draws: int, seed: int) -> None:
        self._totals, self._categories, self._level = sums.sum(axis=0), categories, level
        self._prompts = int((sums[:, 0] > 0).sum())
        several = self._prompts > 1
        self._resampled = resampled_totals(sums, draws=draws, seed=seed) if several else None
        self._left_out = jackknife_totals(sums) if several else None

    def estimate(self, name: str, coefficient: Coefficient) -> Estimate | None:
        """Return the coefficient with its limits; None where it is not defined."""
        value = float(coefficient(self._totals))
        if not np.isfinite(value):
            return None
        low, high, method = self._limits(name, coefficient, value)
        return Estimate(
            name=name,
            estimate=value,
            low=low,
            high=high,
            n=self._prompts,
            method=method,
            scale=name,
            level=self._level,
        )

    def _limits(
        self, name: str, coefficient: Coefficient, value: float
    ) -> tuple[float | None, float | None, str]:
        if self._resampled is None or self._left_out is None:
            return None, None, "none"
        if value == 1:
            return self._lowest_if_all_agree(name), 1.0, "all_agree"
        resampled = coefficient(self._resampled)
        if np.nanmax(resampled) - np.nanmin(resampled) < NO_SPREAD:
            return self._unmoved(name, value)
        limits = bca_limits(value, resampled, coefficient(self._left_out), level=self._level)
        return (*limits, "prompt_bootstrap_bca") if limits else (None, None, "none")

    def _unmoved(self, name: str, value: float) -> tuple[float | None, float | None, str]:
        """Return the limits where every resample has the same value, which says nothing of how sure it is."""
        if name != "observed":
            return None, None, "none"
        low, high = all_equal_limits(value, self._prompts, support=(0.0, 1.0), level=self._level)
        return low, high, "all_equal"

    def _lowest_if_all_agree(self, name: str) -> float:
        share = 1 - (1 - self._level) ** (1 / self._prompts)
        if name == "observed":
            return float(1 - share)
        used = _category_shares(self._totals, self._categories)
        unlike = float((used * (1 - used)).sum())
        left = 1 - unlike / (self._categories - 1) if name == "ac1" else unlike  # 1 - agreement by chance
        return float(max(-1.0, 1 - share / left))


def _unit_sums(ratings: ArrayLike, categories: int) -> Array:
    """Return what each unit adds to the sums that all coefficients are made of, (n, s).

    Columns: 1 if it has two ratings; its agreeing pairs as a share; the same times its ratings; ratings by
    category as shares (k); the same as counts if it has two (k); with two raters its cell of the table (k*k).
    """
    codes = _codes(ratings, categories)
    if codes.ndim != 2:
        raise ValueError(f"ratings are units by raters, not {codes.shape}")
    counts = np.stack([(codes == category).sum(axis=1) for category in range(categories)], axis=1).astype(
        float
    )
    size = counts.sum(axis=1)
    pairable = (size >= 2).astype(float)
    pairs = (counts * (counts - 1)).sum(axis=1)
    others = np.where(size >= 2, size - 1, 1.0)
    share = pairs / (np.maximum(size, 1.0) * others)
    parts = [
        pairable[:, None],
        (pairable * share)[:, None],
        (pairable * pairs / others)[:, None],
        counts / np.maximum(size, 1.0)[:, None],
        counts * pairable[:, None],
    ]
    if codes.shape[1] == 2:
        cell = codes[:, 0] * categories + codes[:, 1]
        parts.append((cell[:, None] == np.arange(categories**2)).astype(float))
    return np.concatenate(parts, axis=1)


def _observed(totals: Array) -> Array:
    return _divide(totals[..., 1], totals[..., 0])


def _ac1(totals: Array, categories: int) -> Array:
    used = _category_shares(totals, categories)
    expected = (used * (1 - used)).sum(axis=-1) / (categories - 1)
    return _divide(_observed(totals) - expected, 1 - expected)


def _alpha(totals: Array, categories: int) -> Array:
    margins = totals[..., 3 + categories : 3 + 2 * categories]
    size = margins.sum(axis=-1)
    unlike = np.square(size) - np.square(margins).sum(axis=-1)
    return 1 - _divide((size - totals[..., 2]) * (size - 1), unlike)


def _kappa(totals: Array, categories: int) -> Array:
    table = totals[..., 3 + 2 * categories :]
    table = table.reshape(*table.shape[:-1], categories, categories)
    size = table.sum(axis=(-2, -1))
    observed = np.trace(table, axis1=-2, axis2=-1) * size
    expected = (table.sum(axis=-1) * table.sum(axis=-2)).sum(axis=-1)
    return _divide(observed - expected, np.square(size) - expected)


def _category_shares(totals: Array, categories: int) -> Array:
    used = totals[..., 3 : 3 + categories]
    return _divide(used, used.sum(axis=-1, keepdims=True))


def _codes(ratings: ArrayLike, categories: int) -> Array:
    codes = np.asarray(ratings, dtype=float)
    present = codes[~np.isnan(codes)]
    if categories < 2 or not np.isin(present, np.arange(categories)).all():
        raise ValueError(f"ratings are codes from 0 to {categories - 1}, or NaN where missing")
    return codes


def _divide(top: Array, bottom: Array) -> Array:
    """Return top / bottom, NaN where the bottom is zero or not known."""
    whole = np.broadcast_to(bottom, np.shape(top))
    result = np.full(np.shape(top), np.nan)
    np.divide(top, whole, out=result, where=whole > 0)
    return result
