"""Worst-case bounds: how far an estimate could move if what is missing were all one way."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Bounds(NamedTuple):
    """The lowest and the highest value that the missing units allow; no sampling error is in it."""

    low: float
    high: float


def worst_case_rate(
    lowest: ArrayLike, highest: ArrayLike | None = None, *, weights: ArrayLike | None = None
) -> Bounds:
    """Return the bounds of a mean rate over all n expected units (Manski 1989, no assumption made).

    `lowest` and `highest` (n,) are each unit's rate with its missing responses counted as N and as Y; NaN is a
    unit missing altogether: 0 to 1. With one array the units present are taken as complete. `weights` (n,) is
    what each unit counts for, 1 by default. Raises ValueError for no units or a rate outside [0, 1].
    """
    low, high = _filled(lowest, 0.0), _filled(lowest if highest is None else highest, 1.0)
    shares = _shares(low, weights)
    return Bounds(float(low @ shares), float(high @ shares))


def worst_case_difference(first: Bounds, second: Bounds) -> Bounds:
    """Return the bounds of second - first for rates over the same units that were bounded separately.

    Sharp (Manski 2003, Partial Identification, ch. 1), since nothing ties a missing answer in one condition to the
    other's.
    """
    return Bounds(second.low - first.high, second.high - first.low)


def _filled(rates: ArrayLike, value: float) -> NDArray[np.float64]:
    data = np.asarray(rates, dtype=float)
    if data.ndim != 1 or not data.size:
        raise ValueError("worst-case bounds need the rates of at least one expected unit")
    if (data < 0).any() or (data > 1).any():
        raise ValueError("a rate lies between 0 and 1")
    return np.where(np.isnan(data), value, data)


def _shares(units: NDArray[np.float64], weights: ArrayLike | None) -> NDArray[np.float64]:
    raw = np.ones(units.shape) if weights is None else np.asarray(weights, dtype=float)
    if raw.shape != units.shape or not (raw > 0).all():
        raise ValueError("weights are positive, one a unit")
    shares: NDArray[np.float64] = raw / raw.sum()
    return shares
