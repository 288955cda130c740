"""Draws of several Markov chains in; whether they have converged, and how many independent draws they are worth, out.

Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), "Rank-normalization, folding, and localization: an improved
R-hat", doi:10.1214/20-BA1221.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

LARGEST_R_HAT = 1.01
LEAST_ESS = 400.0
"""The limits that the paper recommends, for four chains."""


class ChainDiagnostics(NamedTuple):
    """How far the draws of one quantity can be trusted."""

    r_hat: float
    """The larger of the rank-normalised split R-hat of the draws and of the folded draws."""
    ess_bulk: float
    ess_tail: float
    """The smaller of the effective sample sizes of the 5 % and the 95 % quantile."""


def diagnose_chains(draws: ArrayLike) -> ChainDiagnostics:
    """Return the diagnostics of draws (chains, n) of one quantity.

    A quantity that never moves has an R-hat of infinity and an effective size of 0: nothing was learned of it.
    Raises ValueError below two chains of four finite draws.
    """
    values = np.asarray(draws, dtype=float)
    if values.ndim != 2 or values.shape[0] < 2 or values.shape[1] < 4 or not np.isfinite(values).all():
        raise ValueError("diagnostics need two chains or more, of four or more finite draws each")
    halves = _split(values)
    if (np.ptp(halves, axis=1) == 0).any():
        return ChainDiagnostics(np.inf, 0.0, 0.0)
    folded = np.abs(halves - np.median(halves))
    r_hat = max(_r_hat(_normal_scores(halves)), _r_hat(_normal_scores(folded)))
    tails = [_effective_size((halves <= np.quantile(halves, share)).astype(float)) for share in (0.05, 0.95)]
    return ChainDiagnostics(r_hat, _effective_size(_normal_scores(halves)), min(tails))


def _split(draws: Floats) -> Floats:
    """Return each chain as two: (2 x chains, n // 2)."""
    half = draws.shape[1] // 2
    return np.concatenate([draws[:, :half], draws[:, -half:]])


def _normal_scores(draws: Floats) -> Floats:
    from scipy.special import ndtri
    from scipy.stats import rankdata

    ranks = rankdata(draws, method="average").reshape(draws.shape)
    scores: Floats = ndtri((ranks - 3 / 8) / (draws.size + 1 / 4))
    return scores


def _variances(draws: Floats) -> tuple[float, float]:
    """Return the mean variance within chains, and the pooled estimate with that between chains."""
    n = draws.shape[1]
    within = float(draws.var(axis=1, ddof=1).mean())
    between = float(draws.mean(axis=1).var(ddof=1))
    return within, within * (n - 1) / n + between


def _r_hat(draws: Floats) -> float:
    within, pooled = _variances(draws)
    return float(np.sqrt(pooled / within)) if within > 0 else float("inf")


def _effective_size(draws: Floats) -> float:
    """Return chains x n over the autocorrelation time, summed by Geyer's initial monotone sequence."""
    chains, n = draws.shape
    within, pooled = _variances(draws)
    if pooled == 0:
        return 0.0
    centred = draws - draws.mean(axis=1, keepdims=True)
    size = 2 ** int(np.ceil(np.log2(2 * n)))
    spectrum = np.abs(np.fft.rfft(centred, n=size)) ** 2
    covariance = np.fft.irfft(spectrum, n=size)[:, :n].mean(axis=0) / n
    correlation = 1 - (within - covariance * n / (n - 1)) / pooled
    correlation[0] = 1.0
    pairs = correlation[: n - n % 2].reshape(-1, 2).sum(axis=1)
    ends = np.flatnonzero(pairs < 0)
    kept = np.minimum.accumulate(pairs[: ends[0] if ends.size else pairs.size])
    time = max(-1 + 2 * float(kept.sum()), 1 / np.log10(chains * n))
    return float(chains * n / time)
