"""What the labels say of the judge: its errors in each condition, and what the labels are too few for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from prefbench.blocks import Blocks
from prefbench.effects import make_table
from prefbench.labelled_cells import FEWEST_PROMPTS, LabelledCells
from prefbench.labels import Labels
from prefbench.statistics import JudgeErrors, LabelledAnswers, estimate_judge_errors, ppi_cells

if TYPE_CHECKING:
    import polars as pl

ENOUGH_LABELS = 200
"""Labels a condition below which a warning says how large an effect must be to be seen."""
ERROR_COLUMNS: dict[str, Any] = {
    "condition": str,
    "n_labels": int,
    "n_prompts": int,
    "human_rate": float,
    "judge_rate": float,
    "agreement": float,
    "sensitivity": float,
    "specificity": float,
    "tuning": float,
    "method": str,
}


def judge_error_table(cells: LabelledCells, able: Sequence[int]) -> tuple[pl.DataFrame, list[str]]:
    """Return a row for each condition with labels enough (`able`), and whether the errors differ between them."""
    if not able:
        return make_table([], ERROR_COLUMNS), []
    rates, answers, _, domain = cells.select(able)
    tuning = ppi_cells(rates, answers, strata=domain).tuning
    rows = [
        {"condition": cells.cells[place].condition, "tuning": float(tuning[new])} | _shares(answers, new)
        for new, place in enumerate(able)
    ]
    errors = estimate_judge_errors(answers, prompts=len(rates), cells=len(able), complete=False)
    for place, row in enumerate(rows):
        row["sensitivity"] = float(errors.sensitivity[place])
        row["specificity"] = float(errors.specificity[place])
    names = [cells.cells[place].condition for place in able]
    return make_table(rows, ERROR_COLUMNS), _differential_notes(errors, names) if len(rows) > 1 else []


def _shares(answers: LabelledAnswers, cell: int) -> dict[str, Any]:
    own = answers.cell == cell
    human, judge, weights = answers.human[own], answers.judge[own], answers.weight[own]
    counts = {"n_labels": int(own.sum()), "n_prompts": np.unique(answers.prompt[own]).size}
    columns = {"human_rate": human, "judge_rate": judge, "agreement": human == judge}
    shares = {name: float(np.average(values, weights=weights)) for name, values in columns.items()}
    return {**counts, **shares, "method": "labels_by_domain"}


def _differential_notes(errors: JudgeErrors, names: Sequence[str]) -> list[str]:
    """Return whether sensitivity and specificity differ between the conditions, or why that cannot be tested."""
    notes = []
    kinds = {"sensitivity": (errors.sensitivity, "Y"), "specificity": (errors.specificity, "N")}
    for (kind, (values, label)), test in zip(kinds.items(), errors.differ(), strict=True):
        cannot = f"whether the judge's {kind} differs between conditions cannot be tested"
        if bare := [name for name, value in zip(names, values, strict=True) if np.isnan(value)]:
            notes.append(f"{cannot}: there is no answer labelled {label} of {', '.join(bare)}")
        elif test is not None and test.p < 0.05:
            shown = "p < 0.001" if test.p < 0.001 else f"p = {test.p:.3f}"
            notes.append(
                f"the judge's {kind} differs between conditions ({shown}): effects without correction mix "
                "what the model does with what the judge does"
            )
        elif test is None and np.ptp(values) > 0:
            notes.append(
                f"{cannot} (it is {values.min():.2f} to {values.max():.2f}): in some condition it does not vary "
                "between prompts"
            )
    return notes


def label_notes(labels: Labels, unplaced: int, cells: LabelledCells, blocks: Blocks) -> list[str]:
    """Return which labels are of no use, which conditions have too few, and which domains have none."""
    counts = {
        "labels belong to answers without a verdict: they are not used": labels.unjudged,
        "labels belong to conditions that are not here: they are not used": labels.unknown,
        "labels belong to prompts without a rate: they are not used": unplaced,
    }
    notes = [f"{count} {what}" for what, count in counts.items() if count]
    labelled = dict(zip((cell.condition for cell in cells.cells), cells.labelled_prompts, strict=True))
    for condition in blocks.conditions:
        if (count := labelled.get(condition, 0)) < FEWEST_PROMPTS:
            notes.append(f"{condition}: labels of {count} prompts; a correction needs {FEWEST_PROMPTS}")
    for place, cell in enumerate(cells.cells):
        seen = set(blocks.domain[cells.prompt[cells.cell == place]].tolist())
        missing = sorted(set(blocks.domain.tolist()) - seen)
        if missing and cells.labelled_prompts[place] >= FEWEST_PROMPTS:
            notes.append(
                f"{cell.condition}: no labels in {', '.join(missing)}: the correction takes the judge to err there "
                "as elsewhere"
            )
    return notes


def too_few_notes(table: pl.DataFrame, errors: pl.DataFrame) -> list[str]:
    """Return a warning with the smallest effect that could be confirmed, where a condition has few labels."""
    few = [
        f"{row['condition']} has {row['n_labels']}"
        for row in errors.to_dicts()
        if row["n_labels"] < ENOUGH_LABELS
    ]
    whole = table.filter((table["source"] == "ppi_plus_plus") & table["by"].is_null())
    sizes = whole["smallest_effect"].drop_nulls()
    if not few or sizes.is_empty():
        return []
    smallest, largest = (round(100 * value) for value in np.quantile(sizes.to_numpy(), [0, 1]))
    return [
        f"too few labels to confirm small effects ({', '.join(few)}; {ENOUGH_LABELS} a condition are a start): these "
        f"would confirm no effect smaller than {smallest} to {largest} points"
    ]
