"""Blocks and human labels in, what the rates and effects would be with a human as the judge out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from prefbench.blocks import Blocks
from prefbench.effects import make_table
from prefbench.factors import Design
from prefbench.labels import Labels
from prefbench.statistics import (
    CellFit,
    Contrast,
    Correction,
    Estimate,
    JudgeErrors,
    LabelledAnswers,
    cell_estimate,
    contrast_estimate,
    estimate_judge_errors,
    ppi_cells,
    rogan_gladen_cells,
    t_quantile,
)
from prefbench.treatments import adjust_families, effect_row, estimate_effect

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

ENOUGH_LABELS = 200
"""Labels a condition below which a warning says how large an effect must be to be seen."""
FEWEST_PROMPTS = 10
_POWER_80 = 0.842
"""Normal quantile of .8: an effect of (t + this) standard errors is found four times in five."""

COLUMNS: dict[str, Any] = {
    "name": str,
    "kind": str,
    "scale": str,
    "estimate": float,
    "low": float,
    "high": float,
    "p": float,
    "p_adjusted": float,
    "n": int,
    "n_missing": int,
    "n_labels": int,
    "smallest_effect": float,
    "method": str,
}
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


@dataclass(frozen=True, eq=False)
class _Labelled:
    """The conditions with labels enough, their judged rates and their labels."""

    conditions: tuple[str, ...]
    places: tuple[int, ...]
    rates: NDArray[np.float64]
    answers: LabelledAnswers

    def weights(self, contrast: Contrast) -> NDArray[np.float64]:
        """Return a contrast's weights of these conditions. Raises ValueError if it needs another."""
        others = np.delete(contrast.weights, list(self.places))
        if (others != 0).any():
            raise ValueError(f"a condition of it has labels of fewer than {FEWEST_PROMPTS} prompts")
        return contrast.weights[list(self.places)]


def correction_tables(
    blocks: Blocks, design: Design, labels: Labels, *, level: float, correction: Correction
) -> tuple[dict[str, pl.DataFrame], list[str]]:
    """Return `corrected` (rates and effects by judge, PPI++ and Rogan-Gladen), `judge_errors`, and remarks.

    Labels are weighed so that each domain counts as in the bank; inside a domain they must be a random sample of
    the answers. `smallest_effect` is what these labels could confirm in four studies of five.
    """
    notes = _label_notes(labels)
    answers, unplaced = _place_labels(blocks, labels)
    if unplaced:
        notes.append(f"{unplaced} labels belong to prompts without a rate: they are not used")
    counts = [np.unique(answers.prompt[answers.cell == c]).size for c in range(len(blocks.conditions))]
    places = tuple(place for place, count in enumerate(counts) if count >= FEWEST_PROMPTS)
    notes += [
        f"{name}: labels of {count} prompts; a correction needs {FEWEST_PROMPTS}"
        for name, count in zip(blocks.conditions, counts, strict=True)
        if count < FEWEST_PROMPTS
    ]
    errors = make_table([], ERROR_COLUMNS)
    if not places:
        return {"corrected": make_table([], COLUMNS), "judge_errors": errors}, notes
    chosen = _choose(blocks, answers, places)
    rows = _all_rows(blocks, design, chosen, level)
    rows += _domain_rows(blocks, design, answers, level)
    table = adjust_families(make_table(rows, COLUMNS), ("method", "family"), correction)
    error_table, remarks = _judge_errors(chosen)
    notes += _domain_gaps(blocks, answers) + remarks + _too_few(table, error_table)
    return {"corrected": table, "judge_errors": error_table}, notes


def _place_labels(blocks: Blocks, labels: Labels) -> tuple[LabelledAnswers, int]:
    """Return the labels by row and column of the blocks, weighed by domain; and how many have no place."""
    prompts = {
        (str(d), str(i)): row for row, (d, i) in enumerate(zip(blocks.domain, blocks.ids, strict=True))
    }
    columns = {name: column for column, name in enumerate(blocks.conditions)}
    placed = [
        (prompts[each.key[:2]], columns[each.condition], each.human, each.judge)
        for each in labels.answers
        if each.key[:2] in prompts and each.condition in columns
    ]
    table = np.array(placed, dtype=np.intp).reshape(-1, 4)
    prompt, cell, human, judge = table.T
    _, domain = np.unique(blocks.domain, return_inverse=True)
    weight = np.ones(prompt.size)
    rated = np.isfinite(_condition_rates(blocks))
    for column in range(len(columns)):
        own = cell == column
        bank = np.bincount(domain[rated[:, column]], minlength=domain.max() + 1).astype(float)
        seen = np.bincount(domain[prompt[own]], minlength=bank.size)
        weight[own] = (bank / np.maximum(seen, 1))[domain[prompt[own]]]
    usable = weight > 0
    answers = LabelledAnswers(
        human[usable].astype(float), judge[usable].astype(float), prompt[usable], cell[usable], weight[usable]
    )
    return answers, len(labels.answers) - int(usable.sum())


def _condition_rates(blocks: Blocks) -> NDArray[np.float64]:
    """Return each condition's own rates (n, C): a prompt's mean over the temperatures that it has there."""
    columns = [blocks.prompt_means(column) for column in blocks.rates.T]
    return np.stack(columns, axis=1)


def _choose(blocks: Blocks, answers: LabelledAnswers, places: tuple[int, ...]) -> _Labelled:
    new = np.full(len(blocks.conditions), -1)
    new[list(places)] = np.arange(len(places))
    kept = new[answers.cell] >= 0
    chosen = LabelledAnswers(
        answers.human[kept],
        answers.judge[kept],
        answers.prompt[kept],
        new[answers.cell[kept]],
        answers.weight[kept],
    )
    names = tuple(blocks.conditions[place] for place in places)
    return _Labelled(names, places, _condition_rates(blocks)[:, list(places)], chosen)


def _all_rows(blocks: Blocks, design: Design, chosen: _Labelled, level: float) -> list[dict[str, Any]]:
    rows = []
    fits: dict[str, Callable[[], CellFit]] = {
        "ppi_plus_plus": lambda: ppi_cells(chosen.rates, chosen.answers).fit,
        "rogan_gladen": lambda: rogan_gladen_cells(chosen.rates, chosen.answers),
    }
    for contrast in design.contrasts:
        judged = effect_row(contrast, lambda c=contrast: estimate_effect(blocks, c, level=level))
        rows.append(judged | {"n_labels": 0, "method": f"judge: {judged['method']}"})
    for method, make in fits.items():
        try:
            fit = make()
        except ValueError as error:
            rows.append({"name": "all", "kind": "none", "method": f"none: {method}: {error}"})
            continue
        rows += [_rate_row(fit, place, name, chosen, level) for place, name in enumerate(chosen.conditions)]
        rows += [_contrast_row(fit, contrast, chosen, level) for contrast in design.contrasts]
    return rows


def _rate_row(fit: CellFit, place: int, name: str, chosen: _Labelled, level: float) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "kind": "rate", "scale": "rate"}
    row["n_labels"] = int((chosen.answers.cell == place).sum())
    try:
        found = cell_estimate(fit, place, level=level, name=name)
    except ValueError as error:
        return row | {"method": f"none: {error}"}
    return row | _numbers(found)


def _contrast_row(fit: CellFit, contrast: Contrast, chosen: _Labelled, level: float) -> dict[str, Any]:
    row: dict[str, Any] = {"name": contrast.name, "kind": contrast.kind, "scale": "rate_difference"}
    try:
        weights = chosen.weights(contrast)
        found = contrast_estimate(fit, weights, level=level, name=contrast.name)
    except ValueError as error:
        return row | {"method": f"none: {error}"}
    row["n_labels"] = int(np.isin(chosen.answers.cell, np.flatnonzero(weights)).sum())
    spread = float(np.sqrt(weights @ fit.covariance @ weights))
    smallest = (float(t_quantile(fit.df, level=level)) + _POWER_80) * spread
    return row | _numbers(found) | {"smallest_effect": smallest}


def _numbers(found: Estimate) -> dict[str, Any]:
    fields = ("estimate", "low", "high", "p", "n", "n_missing", "method")
    return {name: getattr(found, name) for name in fields}


def _domain_rows(
    blocks: Blocks, design: Design, answers: LabelledAnswers, level: float
) -> list[dict[str, Any]]:
    """Return the corrected rates and effects in each domain, where two conditions have labels enough in it."""
    rows = []
    for domain in np.unique(blocks.domain).tolist():
        keep = np.equal(blocks.domain, domain)
        part = blocks.select(domain)
        inside = keep[answers.prompt]
        new = np.cumsum(keep) - 1
        own = LabelledAnswers(
            answers.human[inside],
            answers.judge[inside],
            new[answers.prompt[inside]],
            answers.cell[inside],
            answers.weight[inside],
        )
        places = tuple(
            place
            for place in range(len(blocks.conditions))
            if np.unique(own.prompt[own.cell == place]).size >= FEWEST_PROMPTS
        )
        if len(places) < 2 or keep.all():
            continue
        chosen = _choose(part, own, places)
        fit = ppi_cells(chosen.rates, chosen.answers).fit
        rates = [_rate_row(fit, spot, name, chosen, level) for spot, name in enumerate(chosen.conditions)]
        rows += [row | {"name": f"{row['name']} in {domain}"} for row in rates]
        found = [_contrast_row(fit, contrast, chosen, level) for contrast in design.whole or design.contrasts]
        rows += [
            row | {"name": f"{row['name']} in {domain}", "kind": "domain"}
            for row in found
            if "estimate" in row
        ]
    return rows


def _judge_errors(chosen: _Labelled) -> tuple[pl.DataFrame, list[str]]:
    answers = chosen.answers
    rows: list[dict[str, Any]] = []
    tuning = ppi_cells(chosen.rates, answers).tuning
    for place, name in enumerate(chosen.conditions):
        own = answers.cell == place
        human, judge = answers.human[own], answers.judge[own]
        row: dict[str, Any] = {"condition": name, "n_labels": int(own.sum())}
        row |= {"n_prompts": np.unique(answers.prompt[own]).size, "tuning": float(tuning[place])}
        row |= {"human_rate": float(human.mean()), "judge_rate": float(judge.mean())}
        row |= {"agreement": float((human == judge).mean()), "method": "labels_by_domain"}
        rows.append(row)
    try:
        errors = estimate_judge_errors(answers, prompts=len(chosen.rates), cells=len(chosen.conditions))
    except ValueError as error:
        rows = [row | {"method": f"none: {error}"} for row in rows]
        return make_table(rows, ERROR_COLUMNS), []
    for place, row in enumerate(rows):
        row["sensitivity"], row["specificity"] = (
            float(each[place]) for each in (errors.sensitivity, errors.specificity)
        )
    return make_table(rows, ERROR_COLUMNS), _differential_notes(errors) if len(rows) > 1 else []


def _differential_notes(errors: JudgeErrors) -> list[str]:
    notes = []
    shares = {"sensitivity": errors.sensitivity, "specificity": errors.specificity}
    for (name, values), test in zip(shares.items(), errors.differ(), strict=True):
        if test is not None and test.p < 0.05:
            shown = "p < 0.001" if test.p < 0.001 else f"p = {test.p:.3f}"
            notes.append(
                f"the judge's {name} differs between conditions ({shown}): effects without correction mix "
                "what the model does with what the judge does"
            )
        elif test is None and np.ptp(values) > 0:
            notes.append(
                f"whether the judge's {name} differs between conditions cannot be tested (it is {values.min():.2f} to "
                f"{values.max():.2f}): in some condition it does not vary between prompts"
            )
    return notes


def _label_notes(labels: Labels) -> list[str]:
    counts = {
        "labels belong to answers without a verdict: they are not used": labels.unjudged,
        "labels belong to conditions that are not here: they are not used": labels.unknown,
    }
    return [f"{count} {what}" for what, count in counts.items() if count]


def _domain_gaps(blocks: Blocks, answers: LabelledAnswers) -> list[str]:
    notes = []
    for place, name in enumerate(blocks.conditions):
        seen = set(blocks.domain[answers.prompt[answers.cell == place]].tolist())
        missing = sorted(set(blocks.domain.tolist()) - seen)
        if seen and missing:
            notes.append(
                f"{name}: no labels in {', '.join(missing)}: the correction takes the judge to err there as elsewhere"
            )
    return notes


def _too_few(table: pl.DataFrame, errors: pl.DataFrame) -> list[str]:
    few = [
        f"{row['condition']} has {row['n_labels']}"
        for row in errors.to_dicts()
        if row["n_labels"] < ENOUGH_LABELS
    ]
    sizes = table.filter((table["method"] == "ppi_plus_plus") & (table["kind"] != "domain"))[
        "smallest_effect"
    ]
    if not few or sizes.drop_nulls().is_empty():
        return []
    smallest, largest = (round(100 * value) for value in np.quantile(sizes.drop_nulls().to_numpy(), [0, 1]))
    return [
        f"too few labels to confirm small effects ({', '.join(few)}; {ENOUGH_LABELS} a condition are a start): these "
        f"would confirm no effect smaller than {smallest} to {largest} points"
    ]
