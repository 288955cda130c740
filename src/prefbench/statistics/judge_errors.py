"""The judge's errors by condition: sensitivity, specificity, whether they differ, and Rogan-Gladen's correction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from prefbench.statistics.clustered import CellFit, WaldTest, cr1, group_sums, wald_test
from prefbench.statistics.human_labels import FEWEST_PROMPTS, LabelledAnswers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

LEAST_YOUDEN = 0.2
"""Below this sensitivity + specificity - 1 the correction divides by next to nothing."""


@dataclass(frozen=True, eq=False, kw_only=True)
class JudgeErrors:
    """How a judge reads the answers of C cells, against human labels."""

    sensitivity: Floats
    """(C,): share of human Y that the judge reads as Y; NaN in a cell without any."""
    specificity: Floats
    sensitivity_influence: Floats
    """(n, C): what each prompt contributes."""
    specificity_influence: Floats
    labelled_prompts: NDArray[np.intp]

    def differ(self) -> tuple[WaldTest | None, WaldTest | None]:
        """Test that sensitivity is one in all cells, and that specificity is; None where that cannot be tested."""
        return (
            self._test(self.sensitivity, self.sensitivity_influence),
            self._test(self.specificity, self.specificity_influence),
        )

    def _test(self, values: Floats, influence: Floats) -> WaldTest | None:
        if not np.isfinite(values).all():
            return None
        steps = np.diff(np.eye(values.size), axis=0)
        covariance = steps @ cr1(influence) @ steps.T
        try:
            return wald_test(steps @ values, covariance, float(self.labelled_prompts.min() - 1))
        except ValueError:
            return None


def estimate_judge_errors(
    labels: LabelledAnswers, *, prompts: int, cells: int, complete: bool = True
) -> JudgeErrors:
    """Return the judge's sensitivity and specificity in each cell, with each prompt's part in them.

    Raises ValueError for a cell with fewer than 10 labelled prompts, and for one without a human Y or a human N,
    unless `complete` is false: its sensitivity or specificity is then NaN.
    """
    rates: list[list[float]] = [[], []]
    parts: list[list[Floats]] = [[], []]
    counts = []
    for cell in range(cells):
        counts.append(np.unique(labels.prompt[labels.cell == cell]).size)
        if counts[-1] < FEWEST_PROMPTS:
            raise ValueError(
                f"cell {cell} has labels of {counts[-1]} prompts: the judge's errors need {FEWEST_PROMPTS}"
            )
        for place, truth in enumerate((1.0, 0.0)):
            chosen = (labels.cell == cell) & (labels.human == truth)
            if not chosen.any() and complete:
                raise ValueError(f"cell {cell} has no answer labelled {'Y' if truth else 'N'}")
            right = (labels.judge[chosen] == truth).astype(float)
            total = float(labels.weight[chosen].sum())
            rate = float((labels.weight[chosen] * right).sum()) / total if total else float("nan")
            rates[place].append(rate)
            part = labels.weight[chosen] * (right - rate) / total
            parts[place].append(group_sums(labels.prompt[chosen], part, prompts))
    return JudgeErrors(
        sensitivity=np.array(rates[0]),
        specificity=np.array(rates[1]),
        sensitivity_influence=np.stack(parts[0], axis=1),
        specificity_influence=np.stack(parts[1], axis=1),
        labelled_prompts=np.array(counts),
    )


def rogan_gladen_cells(rates: ArrayLike, labels: LabelledAnswers, *, pooled: bool = False) -> CellFit:
    """Return rates of C cells corrected for the judge's errors in each: (judged + sp - 1)/(se + sp - 1).

    Rogan and Gladen (1978), with the delta method over prompts; not cut to [0, 1], so that differences stay
    unbiased. `pooled` takes one sensitivity and specificity for all cells, which assumes that the judge errs
    alike in all (`JudgeErrors.differ` tests it): if it does not, pooling makes effects worse. Raises ValueError
    where sensitivity + specificity is below 1.2, and as `estimate_judge_errors` does.
    """
    judged = np.asarray(rates, dtype=float)
    n, count = judged.shape
    used = labels if not pooled else _pool(labels)
    errors = estimate_judge_errors(used, prompts=n, cells=1 if pooled else count)
    estimates, influences = [], []
    for cell in range(count):
        column, source = judged[:, cell], 0 if pooled else cell
        present = np.isfinite(column)
        mean = float(column[present].mean())
        whole = np.where(present, column - mean, 0.0) / present.sum()
        sensitivity, specificity = errors.sensitivity[source], errors.specificity[source]
        youden = sensitivity + specificity - 1
        if youden < LEAST_YOUDEN:
            raise ValueError(
                f"cell {cell}: the judge is too near to chance to correct (se + sp - 1 = {youden:.2f})"
            )
        rate = (mean + specificity - 1) / youden
        estimates.append(rate)
        influences.append(
            (
                whole
                - rate * errors.sensitivity_influence[:, source]
                + (1 - rate) * errors.specificity_influence[:, source]
            )
            / youden
        )
    fewest = int(errors.labelled_prompts.min())
    influence = np.stack(influences, axis=1)
    return CellFit(
        estimates=np.array(estimates),
        covariance=influence.T @ influence * (fewest / (fewest - 1)),
        df=fewest - 1,
        n=n,
        method="rogan_gladen_pooled" if pooled else "rogan_gladen",
        scale="rate_difference",
    )


def _pool(labels: LabelledAnswers) -> LabelledAnswers:
    cell = np.zeros_like(labels.cell)
    return LabelledAnswers(labels.human, labels.judge, labels.prompt, cell, labels.weight)
