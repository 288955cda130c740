"""Binomial GLM of counts on cells and categories, errors clustered by prompt; rates by g-computation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from prefbench.statistics.clustered import CellFit, cluster_codes, cluster_sums, cr1, group_sums

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

MOST_STEPS = 50
LARGEST_LOGIT = 30.0


@dataclass(frozen=True, eq=False, kw_only=True)
class BinomialFit:
    """A fitted logistic regression: first one intercept a cell, then the categories but the first of each."""

    coefficients: Floats
    """(k,)"""
    covariance: Floats
    """(k, k), CR1."""
    influence: Floats
    """(G, k): what each cluster contributes to the coefficients."""
    categories: Floats
    """(P, k - C): the distinct rows of category dummies."""
    shares: Floats
    """(P,): how often each of them occurs in the rows."""
    cells: int
    rows: int

    @property
    def clusters(self) -> int:
        """Prompts."""
        return len(self.influence)

    def log_odds(self) -> CellFit:
        """Return the cell intercepts: their contrasts are log odds ratios, conditional on the categories.

        They are marginal over prompts within a category: nearer to zero than a mixed model's, which are
        conditional on the prompt (Zeger, Liang and Albert 1988).
        """
        c = self.cells
        return self._cell_fit(self.coefficients[:c], self.covariance[:c, :c], "glm_cr1", "log_odds")

    def standardise(self) -> CellFit:
        """Return each cell's rate averaged over the categories of all rows: g-computation, delta method.

        Greenland (2004); the same as `emmeans(regrid = "response")` with proportional weights in R. The mix of
        categories (domains, temperatures) is taken as given.
        """
        c = self.cells
        logits = self.coefficients[:c, None] + (self.categories @ self.coefficients[c:])[None, :]
        rates = _logistic(logits)  # (C, P)
        slopes = rates * (1 - rates) * self.shares
        jacobian = np.concatenate([np.diag(slopes.sum(axis=1)), slopes @ self.categories], axis=1)
        covariance = jacobian @ self.covariance @ jacobian.T
        return self._cell_fit(rates @ self.shares, covariance, "glm_g_computation", "rate_difference")

    def _cell_fit(self, estimates: Floats, covariance: Floats, method: str, scale: str) -> CellFit:
        return CellFit(
            estimates=estimates,
            covariance=covariance,
            df=self.clusters - 1,
            n=self.clusters,
            method=method,
            scale=scale,
        )


def fit_binomial(
    yes: ArrayLike,
    trials: ArrayLike,
    cells: ArrayLike,
    *,
    clusters: ArrayLike,
    categories: Sequence[ArrayLike] = (),
    cell_names: Sequence[str] | None = None,
) -> BinomialFit:
    """Fit log odds = cell + categories to counts yes of trials (n,) by Newton's method, with CR1 errors.

    `cells` (n,) are numbers from 0; `categories` are columns (n,) of labels (domain, temperature), added on the
    logit scale; rows without trials are left out. The rows of one pattern are fitted as one, which changes
    nothing but the time. Liang and Zeger (1986), with independence as the working model. Raises ValueError for
    a cell or category whose answers are all Y or all N: its log odds are not finite.
    """
    k, m, cell = np.asarray(yes, dtype=float), np.asarray(trials, dtype=float), np.asarray(cells)
    columns = [np.asarray(column) for column in categories]
    prompt = np.asarray(clusters)
    if any(each.shape != k.shape or k.ndim != 1 for each in (m, cell, prompt, *columns)):
        raise ValueError("one count, cell, cluster and category a row")
    kept = np.isfinite(k) & (m > 0)
    if not kept.any() or (k[kept] < 0).any() or (k[kept] > m[kept]).any():
        raise ValueError("counts need 0 <= yes <= trials, and at least one trial")
    k, m, cell, prompt = k[kept], m[kept], cell[kept], prompt[kept]
    count = int(cell.max()) + 1
    _check_finite(k, m, cell, list(cell_names or map(str, range(count))))
    codes = [cell]
    for column in columns:
        names, code = np.unique(column[kept], return_inverse=True)
        _check_finite(k, m, code, [str(name) for name in names])
        codes.append(code)
    pattern, design, pattern_rows = _patterns(codes, count)
    totals = [group_sums(pattern, each, len(design)) for each in (k, m)]
    coefficients, information = _newton(design, totals[0], totals[1])
    residuals = k - m * _logistic(design @ coefficients)[pattern]
    cluster, clusters_found = cluster_codes(prompt)
    sums = cluster_sums(residuals[:, None] * design[pattern], cluster, clusters_found)
    influence: Floats = np.asarray(np.linalg.solve(information, sums.T).T, dtype=float)
    distinct, place = np.unique(design[:, count:], axis=0, return_inverse=True)
    shares = group_sums(place.ravel(), pattern_rows, len(distinct)) / k.size
    return BinomialFit(
        coefficients=coefficients,
        covariance=cr1(influence),
        influence=influence,
        categories=distinct,
        shares=shares,
        cells=count,
        rows=k.size,
    )


def _patterns(codes: list[NDArray[np.intp]], cells: int) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Return each row's pattern, the design of the patterns (P, k) and how many rows each has."""
    sizes = [cells, *(int(code.max()) + 1 for code in codes[1:])]
    mixed, pattern, rows = np.unique(
        np.ravel_multi_index(tuple(codes), tuple(sizes)), return_inverse=True, return_counts=True
    )
    levels = np.unravel_index(mixed, tuple(sizes))
    blocks = [(levels[0][:, None] == np.arange(cells)).astype(float)]
    blocks += [
        (level[:, None] == np.arange(1, size)).astype(float)
        for level, size in zip(levels[1:], sizes[1:], strict=True)
    ]
    return pattern, np.concatenate(blocks, axis=1), rows.astype(float)


def _newton(design: Floats, yes: Floats, trials: Floats) -> tuple[Floats, Floats]:
    """Return the coefficients (k,) and the information (k, k) at them."""
    coefficients = np.zeros(design.shape[1])
    for _ in range(MOST_STEPS):
        p = _logistic(design @ coefficients)
        information = design.T @ (design * (trials * p * (1 - p))[:, None])
        if np.linalg.matrix_rank(information) < design.shape[1]:
            raise ValueError("a category tells nothing apart from the cells and the others: leave it out")
        step = np.linalg.solve(information, design.T @ (yes - trials * p))
        coefficients = coefficients + step
        if np.abs(design @ coefficients).max() > LARGEST_LOGIT:
            break
        if np.abs(step).max() < 1e-10:
            p = _logistic(design @ coefficients)
            return coefficients, design.T @ (design * (trials * p * (1 - p))[:, None])
    raise ValueError(
        "the log odds are not finite: some combination of cells and categories is all Y or all N"
    )


def _check_finite(yes: Floats, trials: Floats, codes: NDArray[np.intp], names: list[str]) -> None:
    sums, totals = np.bincount(codes, weights=yes), np.bincount(codes, weights=trials)
    for name, k, m in zip(names, sums, totals, strict=True):
        if m == 0:
            raise ValueError(f"{name} has no answers: leave it out")
        if k in (0, m):
            raise ValueError(f"{name} has {'only Y' if k else 'only N'} answers: its log odds are not finite")


def _logistic(x: Floats) -> Floats:
    from scipy.special import expit

    result: Floats = expit(x)
    return result
