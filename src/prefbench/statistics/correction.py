"""p values adjusted for a family of tests: Holm for confirmation, Benjamini-Hochberg for exploration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Correction = Literal["holm", "bh", "none"]
CORRECTIONS: tuple[Correction, ...] = get_args(Correction)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return Holm's adjusted p values (n,): they bound the chance of any false finding in the family.

    NaN is a test that could not be made: it stays NaN and is not counted. Holm (1979). Raises ValueError
    for a p outside [0, 1].
    """
    p, order = _sorted(p_values)
    count = order.size
    return _scatter(p, order, np.maximum.accumulate(p[order] * np.arange(count, 0, -1)))


def benjamini_hochberg(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return Benjamini-Hochberg adjusted p values (n,): they bound the expected share of false findings.

    NaN is a test that could not be made, as in `holm`. Benjamini and Hochberg (1995).
    """
    p, order = _sorted(p_values)
    count = order.size
    steps = p[order] * count / np.arange(1, count + 1)
    return _scatter(p, order, np.minimum.accumulate(steps[::-1])[::-1])


def adjust_p_values(p_values: ArrayLike, correction: Correction = "holm") -> NDArray[np.float64]:
    """Return p values adjusted by `holm`, `bh` (Benjamini-Hochberg) or `none`.

    Holm (1979), Scandinavian Journal of Statistics 6:65; Benjamini and Hochberg (1995), JRSS B 57:289. Raises
    ValueError for another name, and for a p outside [0, 1].
    """
    if correction == "holm":
        return holm(p_values)
    if correction == "bh":
        return benjamini_hochberg(p_values)
    if correction == "none":
        return _sorted(p_values)[0].copy()
    raise ValueError(f"a correction is one of {', '.join(CORRECTIONS)}, not {correction!r}")


def _sorted(p_values: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    p = np.asarray(p_values, dtype=float)
    if p.ndim != 1 or (p < 0).any() or (p > 1).any():
        raise ValueError("p values are one list of numbers between 0 and 1")
    made = np.flatnonzero(~np.isnan(p))
    return p, made[np.argsort(p[made], kind="stable")]


def _scatter(
    p: NDArray[np.float64], order: NDArray[np.intp], adjusted: NDArray[np.float64]
) -> NDArray[np.float64]:
    result = np.full(p.shape, np.nan)
    result[order] = np.minimum(adjusted, 1.0)
    return result
