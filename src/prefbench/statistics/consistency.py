"""One record's counts of Y and N in; its label, its share of Y and its consistency out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from prefbench.records import Label

ConsistencyDefinition = Literal["max_share", "pairwise"]
CONSISTENCY_DEFINITIONS: tuple[ConsistencyDefinition, ...] = get_args(ConsistencyDefinition)


@dataclass(frozen=True, slots=True)
class LabelThresholds:
    """Where a record stops being mixed. The published card does not state its own, so ours are named.

    A record is `consistent_preference` if yes/(yes+no) >= upper, `consistent_no_preference` if <= lower,
    otherwise `mixed`. Raises ValueError unless 0 <= lower < upper <= 1.
    """

    upper: float = 0.8
    lower: float = 0.2

    def __post_init__(self) -> None:
        if not 0 <= self.lower < self.upper <= 1:
            raise ValueError(
                f"label thresholds need 0 <= lower < upper <= 1, not {self.lower} and {self.upper}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return {"upper": ..., "lower": ...}."""
        return asdict(self)


DEFAULT_THRESHOLDS = LabelThresholds()


def label_record(yes: int, no: int, thresholds: LabelThresholds = DEFAULT_THRESHOLDS) -> Label | None:
    """Return the label of a record with `yes` Y and `no` N verdicts; None if neither was read.

    Unreadable verdicts are in neither count. Raises ValueError for a negative count.
    """
    _check_counts(yes, no)
    if yes + no == 0:
        return None
    share = yes / (yes + no)
    if share >= thresholds.upper:
        return "consistent_preference"
    return "consistent_no_preference" if share <= thresholds.lower else "mixed"


def record_consistency(yes: int, no: int, definition: ConsistencyDefinition = "max_share") -> float | None:
    """Return how far the readable verdicts of one record agree, in [0, 1]; None where it is not defined.

    `max_share`: max(yes, no)/m with m = yes + no, as published. Never below .5, and biased up: .623 is
    expected at a true rate of .5 with m = 10. None if m = 0.
    `pairwise`: [yes(yes-1) + no(no-1)]/[m(m-1)], the share of pairs of verdicts that agree: unbiased for
    p^2 + (1-p)^2. None if m < 2.
    Raises ValueError for a negative count or another definition.
    """
    _check_counts(yes, no)
    readable = yes + no
    if definition == "max_share":
        return max(yes, no) / readable if readable else None
    if definition == "pairwise":
        agreeing = yes * (yes - 1) + no * (no - 1)
        return agreeing / (readable * (readable - 1)) if readable > 1 else None
    raise ValueError(f"consistency is one of {', '.join(CONSISTENCY_DEFINITIONS)}, not {definition!r}")


def max_share(yes: ArrayLike, no: ArrayLike) -> NDArray[np.float64]:
    """Return max(yes, no)/(yes + no) for arrays of counts; NaN where both are zero or either is NaN.

    The published definition; biased up (see `record_consistency`). Raises ValueError for a negative count.
    """
    k, other = _count_arrays(yes, no)
    return _ratio(np.maximum(k, other), k + other)


def pairwise_agreement(yes: ArrayLike, no: ArrayLike) -> NDArray[np.float64]:
    """Return the share of agreeing pairs of verdicts for arrays of counts; NaN below two verdicts.

    Simpson's unbiased index (1949) of two categories, Fleiss's P_i (1971). Raises ValueError for a negative count.
    """
    k, other = _count_arrays(yes, no)
    readable = k + other
    return _ratio(k * (k - 1) + other * (other - 1), readable * (readable - 1))


def simpson_agreement(counts: ArrayLike) -> NDArray[np.float64]:
    """Return the share of pairs of answers that chose the same option, from counts (..., options).

    sum n_k (n_k - 1) / (n (n - 1)), unbiased for the chance that two answers agree: Simpson (1949), Nature
    163:688. NaN below two choices. Raises ValueError for a negative count or no option.
    """
    k = np.asarray(counts, dtype=float)
    if not k.ndim or not k.shape[-1] or (k < 0).any():
        raise ValueError("choices are counts of 0 or more of each of one or more options")
    total = k.sum(axis=-1)
    return _ratio((k * (k - 1)).sum(axis=-1), total * (total - 1))


def _check_counts(yes: int, no: int) -> None:
    if yes < 0 or no < 0:
        raise ValueError(f"counts of verdicts cannot be negative: {yes} Y and {no} N")


def _count_arrays(yes: ArrayLike, no: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    k, other = np.asarray(yes, dtype=float), np.asarray(no, dtype=float)
    if (k < 0).any() or (other < 0).any():
        raise ValueError("counts of verdicts cannot be negative")
    return k, other


def _ratio(top: NDArray[np.float64], bottom: NDArray[np.float64]) -> NDArray[np.float64]:
    result = np.full(bottom.shape, np.nan)
    np.divide(top, bottom, out=result, where=bottom > 0)
    return result
