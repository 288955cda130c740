"""Contrasts of a 2^k design: main effects, interactions as differences in differences, simple effects."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING, Literal

import numpy as np

from prefbench.statistics.clustered import CellFit
from prefbench.statistics.estimate import Estimate
from prefbench.statistics.paired import mean_difference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

ContrastKind = Literal["main", "interaction", "simple"]


@dataclass(frozen=True, eq=False)
class Contrast:
    """One question to a design, as weights of its cells."""

    name: str
    kind: ContrastKind
    weights: NDArray[np.float64]
    """(C,), summing to zero."""


def factorial_contrasts(levels: ArrayLike, factors: Sequence[str]) -> list[Contrast]:
    """Return the contrasts that cells with these levels (C, k), 0 or 1, can answer.

    With all 2^k combinations: k main effects (averaged over the other factors with equal weights), every
    interaction (two factors: the additive difference in differences; more: differences of these), averaged over
    the factors that it leaves out. Always: simple effects, two cells that differ in one factor only. Box, Hunter and
    Hunter (2005), ch. 5.
    Raises ValueError for levels other than 0 and 1, and for two cells with the same levels.
    """
    table = np.asarray(levels)
    if table.ndim != 2 or table.shape[1] != len(factors) or not np.isin(table, (0, 1)).all():
        raise ValueError("levels are 0 or 1, one row a cell and one column a factor")
    places = {tuple(int(level) for level in row): index for index, row in enumerate(table)}
    if len(places) < len(table) or len(table) < 2:
        raise ValueError("a design has two cells or more, each with levels of its own")
    return [*_whole(places, factors), *_simple(places, factors)]


def paired_contrast(
    rates: ArrayLike,
    contrast: Contrast,
    *,
    strata: ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:
    """Return a contrast of rates (n, C) taken inside each prompt first: paired t, df = prompts - strata.

    NaN is a missing cell: the prompts that lack one that the contrast uses count as missing. With two cells
    this is `paired_difference`: Student (1908), of contrasts. Raises ValueError as `mean_difference` does.
    """
    data = np.asarray(rates, dtype=float)
    if data.ndim != 2 or data.shape[1] != contrast.weights.size:
        raise ValueError(f"{contrast.name}: rates are one row a prompt and one column a cell")
    used = contrast.weights != 0
    return mean_difference(
        data[:, used] @ contrast.weights[used],
        strata=strata,
        bound=float(contrast.weights[used].clip(min=0).sum()),
        level=level,
        name=contrast.name,
    )


def paired_cells(rates: ArrayLike, *, strata: ArrayLike | None = None) -> CellFit:
    """Return the mean rates (C,) of complete prompts in rates (n, C) and their covariance within strata.

    Its contrasts are those of `paired_contrast` on complete prompts (repeated measures without an assumption on
    their covariance: Maxwell and Delaney 2004, ch. 13). Raises ValueError without two complete
    prompts in a stratum.
    """
    data = np.asarray(rates, dtype=float)
    complete = np.isfinite(data).all(axis=1)
    kept = data[complete]
    labels = np.zeros(len(kept), dtype=int) if strata is None else np.asarray(strata)[complete]
    names, codes = np.unique(labels, return_inverse=True)
    df = len(kept) - names.size
    if df < 1:
        raise ValueError(
            f"a paired fit needs two complete prompts in a stratum, there are {len(kept)} in all"
        )
    sizes = np.bincount(codes)
    means = np.stack([np.bincount(codes, weights=column) / sizes for column in kept.T], axis=1)
    deviations = kept - means[codes]
    return CellFit(
        estimates=kept.mean(axis=0),
        covariance=deviations.T @ deviations / df / len(kept),
        df=df,
        n=len(kept),
        n_missing=int((~complete).sum()),
        method="paired_t",
        scale="rate_difference",
    )


def _whole(places: dict[tuple[int, ...], int], factors: Sequence[str]) -> list[Contrast]:
    count = len(factors)
    if len(places) < 2**count:
        return []
    found = []
    for size in range(1, count + 1):
        for chosen in combinations(range(count), size):
            weights = np.zeros(len(places))
            for levels, place in places.items():
                sign = np.prod([1 if levels[factor] else -1 for factor in chosen])
                weights[place] = sign / 2 ** (count - size)
            name = " x ".join(factors[factor] for factor in chosen)
            found.append(Contrast(name, "main" if size == 1 else "interaction", weights))
    return found


def _simple(places: dict[tuple[int, ...], int], factors: Sequence[str]) -> list[Contrast]:
    found = []
    for factor, name in enumerate(factors):
        others = [index for index in range(len(factors)) if index != factor]
        for rest in product((0, 1), repeat=len(others)):
            low, high = (tuple(np.insert(rest, factor, level).tolist()) for level in (0, 1))
            if low in places and high in places:
                weights = np.zeros(len(places))
                weights[places[high]], weights[places[low]] = 1.0, -1.0
                given = ", ".join(
                    f"{'with' if level else 'without'} {factors[index]}"
                    for index, level in zip(others, rest, strict=True)
                )
                found.append(Contrast(f"{name} {given}".strip(), "simple", weights))
    return found
