"""Rates corrected by human labels of some answers: prediction-powered inference, clustered by prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from prefbench.statistics.clustered import CellFit, group_sums

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

FEWEST_PROMPTS = 10
"""Fewer labelled prompts in a cell give no variance worth the name."""

FEWEST_IN_STRATUM = 5


@dataclass(frozen=True, eq=False)
class LabelledAnswers:
    """Answers that a human and the judge have both read, (L,) each."""

    human: Floats
    """1 for Y, 0 for N."""
    judge: Floats
    """The judge's verdict on the same answer."""
    prompt: NDArray[np.intp]
    """Row of the prompt in the table of judged rates."""
    cell: NDArray[np.intp]
    """Column of the cell there."""
    weight: Floats
    """How many answers each stands for, up to a factor; all one if labels were drawn evenly."""

    def __post_init__(self) -> None:
        columns = (self.human, self.judge, self.prompt, self.cell, self.weight)
        if any(column.shape != self.human.shape or column.ndim != 1 for column in columns):
            raise ValueError("labelled answers have one label, verdict, prompt, cell and weight each")
        if not (np.isin(self.human, (0, 1)).all() and np.isin(self.judge, (0, 1)).all()):
            raise ValueError("labels and verdicts are 0 or 1; leave out what could not be read")
        if not (self.weight > 0).all():
            raise ValueError("the weights of labelled answers are positive")


@dataclass(frozen=True, eq=False)
class CorrectedFit:
    """Cells corrected by labels, with how much the judge was trusted."""

    fit: CellFit
    tuning: Floats
    """(C,): lambda, 0 where the judge is of no use and only labels count, 1 where it is fully used."""
    labels: NDArray[np.intp]
    """(C,): labelled answers."""
    labelled_prompts: NDArray[np.intp]


def ppi_cells(
    rates: ArrayLike,
    labels: LabelledAnswers,
    *,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    tuning: float | None = None,
) -> CorrectedFit:
    """Return the rates of C cells as a human would read them, from judged rates (n, C) and labelled answers.

    Cell c: lambda mean(judged) + mean over labels of (human - lambda judge), with lambda in [0, 1] that
    minimises the variance unless `tuning` gives it: PPI++ (Angelopoulos, Duchi and Zrnic 2023, arXiv
    2311.01453), here with the judged set containing the labelled one and influences summed within prompts. Each cell
    has its own lambda and its own correction, so that a judge that errs differently by condition biases nothing.
    The labels must be a random sample of the answers, up to their weights. `weights` (n, C) are those of the
    prompts in a cell's rate, alike unless given. The variance is taken about the means of `strata` (n,), such as
    domains, if every cell has 5 labelled prompts in each, about one mean otherwise; t with labelled prompts -
    strata. Raises ValueError for a cell with fewer than 10 labelled prompts or no judged
    rate, and for a tuning outside [0, 1].
    """
    judged = np.asarray(rates, dtype=float)
    if judged.ndim != 2 or (judged < 0).any() or (judged > 1).any():
        raise ValueError("judged rates lie between 0 and 1, one row a prompt and one column a cell")
    shares = np.ones(judged.shape) if weights is None else np.asarray(weights, dtype=float)
    if shares.shape != judged.shape or not (shares >= 0).all():
        raise ValueError("the weights of prompts are not negative, one for each judged rate")
    if tuning is not None and not 0 <= tuning <= 1:
        raise ValueError(f"the weight of the judge lies between 0 and 1, not at {tuning}")
    stratum, degrees = _strata(strata, labels, np.isfinite(judged) & (shares > 0))
    cells = [
        _correct_cell(judged[:, cell], shares[:, cell], labels, cell, stratum, tuning)
        for cell in range(judged.shape[1])
    ]
    influence = np.stack([cell.influence for cell in cells], axis=1)
    fewest, df = min(cell.prompts for cell in cells), min(degrees)
    fit = CellFit(
        estimates=np.array([cell.estimate for cell in cells]),
        covariance=influence.T @ influence * (fewest / df),
        df=df,
        n=len(judged),
        method="ppi_plus_plus",
        scale="rate_difference",
    )
    tunings = np.array([cell.tuning for cell in cells])
    counts, prompts = (np.array(each) for each in zip(*((c.labels, c.prompts) for c in cells), strict=True))
    return CorrectedFit(fit, tunings, counts, prompts)


class _Corrected(NamedTuple):
    """One cell: its rate, what each prompt (n,) contributes to it, lambda, and its labels and labelled prompts."""

    estimate: float
    influence: Floats
    tuning: float
    labels: int
    prompts: int


def _correct_cell(
    judged: Floats,
    shares: Floats,
    labels: LabelledAnswers,
    cell: int,
    stratum: NDArray[np.intp],
    tuning: float | None,
) -> _Corrected:
    chosen = labels.cell == cell
    human, verdict, prompt, labelled = _by_prompt(labels, chosen, len(judged))
    if labelled < FEWEST_PROMPTS:
        raise ValueError(f"cell {cell} has labels of {labelled} prompts: a correction needs {FEWEST_PROMPTS}")
    part = np.where(np.isfinite(judged), shares, 0.0)
    if not part.any():
        raise ValueError(f"cell {cell} has no judged rate")
    part /= part.sum()
    column = np.where(part > 0, judged, 0.0)
    share = prompt / prompt.sum()
    truth, read = human / prompt.sum(), verdict / prompt.sum()
    whole = _about_means(part * column, part, stratum)
    truth_part, read_part = (_about_means(each, share, stratum) for each in (truth, read))
    best = _tune(truth_part, read_part, whole) if tuning is None else tuning
    estimate = best * float(part @ column) + float(truth.sum()) - best * float(read.sum())
    influence = truth_part - best * (read_part - whole)
    return _Corrected(estimate, influence, best, int(chosen.sum()), labelled)


def _strata(
    strata: ArrayLike | None, labels: LabelledAnswers, used: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], list[int]]:
    """Return each prompt's stratum (n,) from 0 and the degrees of freedom of each cell; `used` (n, C) are its prompts.

    One stratum for all where a cell has labels of too few prompts in one: their spread would be made too small.
    """
    prompts, cells = used.shape
    names, codes = np.unique(np.zeros(prompts) if strata is None else np.asarray(strata), return_inverse=True)
    if codes.shape != (prompts,):
        raise ValueError(f"one stratum per prompt, not {codes.shape} for {prompts} prompts")
    labelled = [np.unique(labels.prompt[labels.cell == cell]) for cell in range(cells)]
    counts = [np.bincount(codes[each], minlength=names.size) for each in labelled]
    needed = [np.bincount(codes[column], minlength=names.size) > 0 for column in used.T]
    if all((count[need] >= FEWEST_IN_STRATUM).all() for count, need in zip(counts, needed, strict=True)):
        return codes, [each.size - int(need.sum()) for each, need in zip(labelled, needed, strict=True)]
    return np.zeros_like(codes), [each.size - 1 for each in labelled]


def _about_means(parts: Floats, shares: Floats, stratum: NDArray[np.intp]) -> Floats:
    """Return parts (n,) of a weighted mean less what they would be at the mean of their stratum."""
    totals = [np.bincount(stratum, weights=each) for each in (parts, shares)]
    means = totals[0] / np.where(totals[1] > 0, totals[1], 1.0)
    centred: Floats = parts - shares * means[stratum]
    return centred


def _tune(truth: Floats, read: Floats, whole: Floats) -> float:
    """Return the lambda that makes truth - lambda (read - whole) vary least.

    It is truth.d / d.d with d = read - whole. Labels drawn at random from the judged answers have
    E[read.whole] = |whole|^2, so that whole.d is noise about 0: without it a judge that agrees with every label
    has exactly 1. The paper's 1/(1 + labelled/unlabelled) goes, because its unlabelled set holds no labelled answer.
    """
    gap = read - whole
    spread = float(gap @ gap)
    return float(np.clip(1 + (truth - read) @ gap / spread, 0.0, 1.0)) if spread > 1e-18 else 0.0


def _by_prompt(
    labels: LabelledAnswers, chosen: NDArray[np.bool_], prompts: int
) -> tuple[Floats, Floats, Floats, int]:
    """Return sums over each prompt's labelled answers of weight*human, weight*judge and weight; and their number."""
    weight, place = labels.weight[chosen], labels.prompt[chosen]
    sums = [
        group_sums(place, weight * values, prompts)
        for values in (labels.human[chosen], labels.judge[chosen], np.ones(int(chosen.sum())))
    ]
    return sums[0], sums[1], sums[2], int((sums[2] > 0).sum())
