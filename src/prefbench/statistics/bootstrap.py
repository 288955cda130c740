"""Resampling whole clusters, for estimates that are functions of sums: sums per cluster in, limits out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from prefbench.statistics.intervals import check_level

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

_BLOCK = 4_000_000  # cluster counts held at a time
_MOST_UNDEFINED = 0.05


def cluster_sums(values: ArrayLike, clusters: ArrayLike) -> NDArray[np.float64]:
    """Return the sums over the units of each cluster, (clusters, s), from values (n, s) and labels (n,).

    Raises ValueError unless there is one cluster a row.
    """
    data = np.asarray(values, dtype=float)
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    if data.ndim != 2 or index.shape != data.shape[:1]:
        raise ValueError(f"one row of values and one cluster a unit, not {data.shape} and {index.shape}")
    columns = [np.bincount(index, weights=column) for column in data.T]
    return np.stack(columns, axis=1) if len(data) else np.zeros((0, data.shape[1]))


def resampled_totals(sums: ArrayLike, *, draws: int, seed: int = 0) -> NDArray[np.float64]:
    """Return the totals (draws, s) of resamples of whole clusters with replacement, from sums (clusters, s).

    Efron and Tibshirani (1993), ch. 6. Raises ValueError without a cluster.
    """
    data = np.asarray(sums, dtype=float)
    count = len(data)
    if not count:
        raise ValueError("there is no cluster to draw")
    rng = np.random.default_rng(seed)
    totals = np.empty((draws, data.shape[1]))
    rows = max(1, _BLOCK // count)
    for start in range(0, draws, rows):
        size = min(rows, draws - start)
        picked = rng.integers(0, count, (size, count)) + count * np.arange(size)[:, None]
        times = np.bincount(picked.ravel(), minlength=size * count).reshape(size, count)
        totals[start : start + size] = times @ data
    return totals


def jackknife_totals(sums: ArrayLike) -> NDArray[np.float64]:
    """Return the totals (clusters, s) without each cluster in turn: Efron and Tibshirani (1993), ch. 11.

    Raises ValueError without a cluster.
    """
    data = np.asarray(sums, dtype=float)
    if not len(data):
        raise ValueError("there is no cluster to leave out")
    totals: Array = data.sum(axis=0) - data
    return totals


def bca_limits(
    value: float, resampled: ArrayLike, left_out: ArrayLike, *, level: float = 0.95
) -> tuple[float, float] | None:
    """Return bias-corrected and accelerated limits from resamples (draws,) and jackknife values (clusters,).

    Efron (1987), doi:10.1080/01621459.1987.10478410. Resamples in which the estimate is not defined (NaN) are
    left out; None if more than 5 % are. The limits hold `value` in any case. Raises ValueError without resamples.
    """
    from scipy.special import ndtr, ndtri

    check_level(level)
    data, jack = np.asarray(resampled, dtype=float), np.asarray(left_out, dtype=float)
    defined = data[np.isfinite(data)]
    if not data.size:
        raise ValueError("limits need resamples")
    if defined.size < (1 - _MOST_UNDEFINED) * data.size:
        return None
    tolerance = 1e-12 * max(1.0, abs(value))
    below = ((defined < value - tolerance).mean() + (defined <= value + tolerance).mean()) / 2
    edge = 0.5 / defined.size
    shift = ndtri(np.clip(below, edge, 1 - edge))
    acceleration = _acceleration(jack[np.isfinite(jack)])
    normal = ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    moved = shift + (shift + normal) / (1 - acceleration * (shift + normal))
    low, high = np.quantile(defined, ndtr(moved))
    return min(float(low), value), max(float(high), value)


def _acceleration(left_out: Array) -> float:
    if not left_out.size:
        return 0.0
    deviations = left_out.mean() - left_out
    spread = float(np.square(deviations).sum())
    return float((deviations**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
