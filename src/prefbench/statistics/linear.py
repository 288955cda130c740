"""Linear probability model: differences between cells with fixed effects of blocks, errors clustered by prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from prefbench.statistics.clustered import CellFit, cluster_codes, cluster_sums, cr1

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def fit_linear(
    rates: ArrayLike,
    cells: ArrayLike,
    blocks: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    cell_names: ArrayLike | None = None,
) -> CellFit:
    """Return cell differences by least squares of rates (n,) on cells (n,) with one intercept a block (n,).

    A block is a prompt, or a prompt at one temperature; `clusters` (n,) are the prompts, the blocks if not
    given. `cells` are numbers from 0. NaN rates are left out; a block with one cell left tells nothing and
    counts as missing where its whole cluster does. Cells are estimated up to a constant. CR1 errors, t with
    clusters - 1. With complete data this is the paired contrast. Raises ValueError where cells share no block.
    Wooldridge (2010), ch. 10; fixed effects inside a cluster take no degrees of freedom.
    """
    y, cell = np.asarray(rates, dtype=float), np.asarray(cells)
    block, prompt = np.asarray(blocks), np.asarray(blocks if clusters is None else clusters)
    if not y.shape == cell.shape == block.shape == prompt.shape or y.ndim != 1:
        raise ValueError("one rate, cell, block and prompt a row")
    count = int(cell.max()) + 1 if cell.size else 0
    names = np.arange(count) if cell_names is None else np.asarray(cell_names)
    expected = np.unique(prompt).size
    block_codes = np.unique(block, return_inverse=True)[1]
    present = np.isfinite(y)
    sizes = np.bincount(block_codes[present], minlength=block_codes.max(initial=0) + 1)
    kept = present & (sizes[block_codes] > 1)
    y, cell, block_codes, prompt = y[kept], cell[kept], block_codes[kept], prompt[kept]
    if count < 2 or not y.size:
        raise ValueError("no prompt has a rate in two cells: there is nothing to compare within prompts")
    sizes = np.maximum(np.bincount(block_codes), 1)
    dummies = (cell[:, None] == np.arange(1, count)).astype(float)
    x = dummies - np.stack(
        [(np.bincount(block_codes, weights=d) / sizes)[block_codes] for d in dummies.T], axis=1
    )
    gram = x.T @ x
    if np.linalg.matrix_rank(gram) < count - 1:
        raise ValueError(f"some of the cells {', '.join(map(str, names))} share no prompt with the others")
    coefficients = np.linalg.solve(gram, x.T @ y)
    residuals = y - x @ coefficients
    residuals -= (np.bincount(block_codes, weights=residuals) / sizes)[block_codes]
    codes, clusters_left = cluster_codes(prompt)
    influence = cluster_sums(x * residuals[:, None], codes, clusters_left) @ np.linalg.inv(gram)
    covariance = np.zeros((count, count))
    covariance[1:, 1:] = cr1(influence)
    return CellFit(
        estimates=np.concatenate([[0.0], coefficients]),
        covariance=covariance,
        df=clusters_left - 1,
        n=clusters_left,
        n_missing=expected - clusters_left,
        method="lpm_cr1",
        scale="rate_difference",
    )
