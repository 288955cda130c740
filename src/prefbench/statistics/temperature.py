"""How a rate moves with temperature, paired within prompts: slope, any change, and departure from a line."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from prefbench.statistics.clustered import CellFit, WaldTest, contrast_estimate, wald_test
from prefbench.statistics.estimate import Estimate
from prefbench.statistics.factorial import paired_cells
from prefbench.statistics.paired import mean_difference

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class TemperatureTrend(NamedTuple):
    """What T temperatures show; a test is None where it does not exist or the rates do not vary."""

    slope: Estimate
    """Mean per-prompt slope of the rate per 1.0 of temperature; scale `rate_per_temperature`."""
    change: WaldTest | None
    """All T rates are one: T - 1 contrasts."""
    bend: WaldTest | None
    """The T rates lie on a line: T - 2 contrasts; None for two temperatures."""


def temperature_trend(
    rates: ArrayLike,
    temperatures: ArrayLike,
    *,
    strata: ArrayLike | None = None,
    level: float = 0.95,
    name: str = "slope",
) -> TemperatureTrend:
    """Return the trend of rates (n, T) at temperatures (T,), over prompts that have all of them.

    Each prompt gives one least-squares slope (paired t); the joint tests are clustered Wald tests with F
    (Hotelling; Anderson 2003, ch. 5). Raises ValueError for fewer than two temperatures or no two complete
    prompts in a stratum.
    """
    data, at = np.asarray(rates, dtype=float), np.asarray(temperatures, dtype=float)
    if data.ndim != 2 or data.shape[1:] != at.shape or np.unique(at).size < max(at.size, 2):
        raise ValueError("a trend needs two temperatures or more, each once, and one column of rates each")
    centred = at - at.mean()
    weights = centred / (centred @ centred)
    found = mean_difference(
        data @ weights, strata=strata, bound=float(np.abs(weights).sum() / 2), level=level, name=name
    )
    slope = replace(found, scale="rate_per_temperature")
    return TemperatureTrend(slope, *_joint_tests(paired_cells(data, strata=strata), at))


def trend_of_cells(
    fit: CellFit, temperatures: ArrayLike, *, level: float = 0.95, name: str = "slope"
) -> TemperatureTrend:
    """Return the trend of cells that are one condition at temperatures (T,), such as rates corrected by labels.

    The slope is a contrast of the cells, the tests are Hotelling's (Anderson 2003, ch. 5) as there. Raises
    ValueError for fewer than two temperatures, or a slope that does not vary.
    """
    at = np.asarray(temperatures, dtype=float)
    if at.shape != fit.estimates.shape or np.unique(at).size < max(at.size, 2):
        raise ValueError("a trend needs two temperatures or more, each once, and one cell each")
    centred = at - at.mean()
    found = contrast_estimate(fit, centred / (centred @ centred), level=level, name=name)
    return TemperatureTrend(replace(found, scale="rate_per_temperature"), *_joint_tests(fit, at))


def _joint_tests(fit: CellFit, at: NDArray[np.float64]) -> list[WaldTest | None]:
    """Return the tests that all temperatures share one rate, and that the rates lie on a line."""
    steps = np.diff(np.eye(at.size), axis=0)
    bends = _orthogonal_to_lines(at)
    return [
        _test(contrasts @ fit.estimates, contrasts @ fit.covariance @ contrasts.T, fit.df)
        for contrasts in (steps, bends)
    ]


def _orthogonal_to_lines(at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return T - 2 contrasts (T - 2, T) that are zero for every straight line in the temperatures."""
    lines = np.stack([np.ones_like(at), at], axis=1)
    complement: NDArray[np.float64] = np.linalg.qr(lines, mode="complete")[0][:, 2:].T
    return complement


def _test(estimates: NDArray[np.float64], covariance: NDArray[np.float64], df: float) -> WaldTest | None:
    if not estimates.size:
        return None
    try:
        return wald_test(estimates, covariance, df)
    except ValueError:  # no prompt moves with the temperature
        return None
