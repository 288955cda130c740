"""Blocks and human labels in, what the rates and effects would be with a human as the judge out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from prefbench.blocks import Blocks
from prefbench.effects import make_table
from prefbench.factors import Design
from prefbench.judge_errors import judge_error_table, label_notes, too_few_notes
from prefbench.labelled_cells import (
    FEWEST_PROMPTS,
    GROUPINGS,
    Cell,
    Grouping,
    LabelledCells,
    SelectedCells,
    group_cells,
    place_labels,
)
from prefbench.labels import Labels
from prefbench.statistics import (
    CellFit,
    Contrast,
    Correction,
    Estimate,
    cell_estimate,
    contrast_equivalence,
    contrast_estimate,
    paired_cells,
    ppi_cells,
    rogan_gladen_cells,
    t_quantile,
    to_log_odds,
    trend_of_cells,
)
from prefbench.treatments import adjust_families, effect_row, estimate_effect

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

_POWER_80 = 0.842
"""Normal quantile of .8: an effect of (t + this) standard errors is found four times in five."""
COLUMNS: dict[str, Any] = {
    "name": str,
    "kind": str,
    "by": str,
    "group": str,
    "effect": str,
    "source": str,
    "scale": str,
    "estimate": float,
    "low": float,
    "high": float,
    "p": float,
    "p_adjusted": float,
    "p_equivalence": float,
    "p_change": float,
    "p_bend": float,
    "n": int,
    "n_missing": int,
    "n_labels": int,
    "smallest_effect": float,
    "method": str,
}


def correction_tables(
    blocks: Blocks,
    design: Design,
    labels: Labels,
    *,
    level: float,
    correction: Correction,
    margin: float = 0.05,
) -> tuple[dict[str, pl.DataFrame], list[str]]:
    """Return `corrected` (what `source` says: the judge, PPI++ or Rogan-Gladen), `judge_errors`, and remarks.

    `corrected` has every condition's rate and every effect on both scales, and by PPI++ the same in each domain,
    format and at each temperature, with the differences of these groups and the trend over temperature.

    Labels are weighed so that each domain counts as in the bank; inside a domain they must be a random sample of
    the answers. `smallest_effect` is what these labels could confirm in four studies of five.
    """
    placed, unplaced = place_labels(blocks, labels)
    whole = group_cells(blocks, placed)
    notes = label_notes(labels, unplaced, whole, blocks)
    able = [place for place, count in enumerate(whole.labelled_prompts) if count >= FEWEST_PROMPTS]
    errors, remarks = judge_error_table(whole, able)
    if not able:
        return {"corrected": make_table([], COLUMNS), "judge_errors": errors}, notes
    maker = _Maker(design, level, margin)
    rows = maker.judged(blocks, whole) + maker.whole(whole, able)
    for by in GROUPINGS:
        grouped = group_cells(blocks, placed, by)
        rows += maker.groups(grouped, by)
        notes += _left_out(grouped, by)
    notes += [row["method"].removeprefix("none: ") for row in rows if row["kind"] == "none"]
    table = adjust_families(
        make_table(rows, COLUMNS), ("source", "scale", "by", "effect", "family"), correction
    )
    return {"corrected": table, "judge_errors": errors}, notes + remarks + too_few_notes(table, errors)


def _left_out(cells: LabelledCells, by: Grouping) -> list[str]:
    counts = cells.labelled_prompts
    few = sum(count < FEWEST_PROMPTS for count in counts)
    if len(_group_names(cells)) < 2 or not few:
        return []
    place = "at" if by == "temperature" else "in"
    return [
        f"corrected by {by}: {few} of {len(counts)} cells (a condition {place} one {by}) have labels of fewer than "
        f"{FEWEST_PROMPTS} prompts and are left out"
    ]


def _group_names(cells: LabelledCells) -> list[str]:
    return list(dict.fromkeys(cell.group for cell in cells.cells if cell.group is not None))


@dataclass(frozen=True)
class _Maker:
    """Makes the rows of one study's table."""

    design: Design
    level: float
    margin: float

    def judged(self, blocks: Blocks, cells: LabelledCells) -> list[dict[str, Any]]:
        """Return the effects as the judge reads them, to be put beside the corrected ones."""
        rows = []
        for contrast in self.design.contrasts:
            row = effect_row(contrast, lambda c=contrast: estimate_effect(blocks, c, level=self.level))
            rows.append(row)
        for contrast in self.design.contrasts:

            def odds(c: Contrast = contrast) -> Estimate:
                used = _used(self.design, c)
                if missing := [str(cell) for cell in used if cell not in cells.cells]:
                    raise ValueError(f"{missing[0]} has no rate")
                rates = cells.rates[:, [cells.cells.index(cell) for cell in used]]
                fit = to_log_odds(paired_cells(rates, strata=blocks.domain))
                return contrast_estimate(fit, _weights(c), level=self.level, name=c.name)

            rows.append(effect_row(contrast, odds, scale="log_odds"))
        return [row | {"source": "judge", "n_labels": 0, "method": _as_judged(row["method"])} for row in rows]

    def whole(self, cells: LabelledCells, able: Sequence[int]) -> list[dict[str, Any]]:
        """Return the rate of every condition with labels enough and every effect, by both methods."""
        rows = []
        for source, method in _METHODS.items():
            try:
                method(cells.select(able))
            except ValueError as error:  # one reason for all, not one a row
                reason = _with_names(error, [cells.cells[place] for place in able])
                rows.append({"name": "all", "kind": "none", "method": f"none: {source}: {reason}"})
                continue
            own = [self._rate(cells, cells.cells[place], source=source) for place in able]
            for scale in ("rate_difference", "log_odds"):
                own += [self._effect(cells, c, scale=scale, source=source) for c in self.design.contrasts]
            rows += [row | {"source": source} for row in own]
        return rows

    def groups(self, cells: LabelledCells, by: Grouping) -> list[dict[str, Any]]:
        """Return rates, effects and differences by group, where a cell has labels enough; PPI++ only."""
        names = _group_names(cells)
        if len(names) < 2:
            return []
        rows = []
        for name in names:
            where = f"at temperature {name}" if by == "temperature" else f"in {name}"
            own = [self._rate(cells, cell) for cell in cells.cells if cell.group == name]
            effects = self.design.whole or self.design.contrasts
            own += [self._effect(cells, c, group=name) | {"effect": c.name} for c in effects]
            rows += [row | {"name": f"{row['name']} {where}", "group": name} for row in own]
        for condition in self.design.conditions:
            rows += self._differences(cells, by, condition)
            if by == "temperature":
                rows.append(self._trend(cells, condition))
        return [row | {"by": by, "source": "ppi_plus_plus"} for row in rows if "estimate" in row]

    def _rate(self, cells: LabelledCells, cell: Cell, *, source: str = "ppi_plus_plus") -> dict[str, Any]:
        row = {"name": cell.condition, "kind": "rate", "scale": "rate"}

        def estimate(fit: CellFit) -> dict[str, Any]:
            return _numbers(cell_estimate(fit, 0, level=self.level, name=str(cell)))

        return self._fill(row, cells, [cell], estimate, source=source)

    def _effect(
        self,
        cells: LabelledCells,
        contrast: Contrast,
        *,
        group: str | None = None,
        scale: str = "rate_difference",
        source: str = "ppi_plus_plus",
    ) -> dict[str, Any]:
        row = {"name": contrast.name, "kind": contrast.kind, "scale": scale}
        weights = _weights(contrast)

        def estimate(fit: CellFit) -> dict[str, Any]:
            if scale == "log_odds":
                odds = to_log_odds(fit)
                return _numbers(contrast_estimate(odds, weights, level=self.level, name=contrast.name))
            found = contrast_estimate(fit, weights, level=self.level, name=contrast.name)
            spread = float(np.sqrt(weights @ fit.covariance @ weights))
            smallest = (float(t_quantile(fit.df, level=self.level)) + _POWER_80) * spread
            return _numbers(found) | {"smallest_effect": smallest}

        return self._fill(row, cells, _used(self.design, contrast, group), estimate, source=source)

    def _differences(self, cells: LabelledCells, by: Grouping, condition: str) -> Iterator[dict[str, Any]]:
        """Yield the difference of each two groups: hotter - colder, or higher - lower judged rate."""
        means = {
            cell.group: float(np.nanmean(column))
            for cell, column in zip(cells.cells, cells.rates.T, strict=True)
            if cell.condition == condition
        }
        ordered = list(means) if by == "temperature" else sorted(means, key=lambda name: means[name])
        for first, second in combinations(ordered, 2):
            name = f"{'temperature ' if by == 'temperature' else ''}{second} - {first} in {condition}"
            used = [Cell(condition, first), Cell(condition, second)]
            row = {"name": name, "kind": "difference", "effect": condition, "scale": "rate_difference"}
            compare = self._paired if by == "temperature" else self._compare
            yield self._fill(row, cells, used, compare, within=by == "format")

    def _compare(self, fit: CellFit) -> dict[str, Any]:
        return _numbers(contrast_estimate(fit, (-1, 1), level=self.level, name="the difference"))

    def _paired(self, fit: CellFit) -> dict[str, Any]:
        test = contrast_equivalence(fit, (-1, 1), self.margin, level=self.level, name="the difference")
        return self._compare(fit) | {"p_equivalence": test.p}

    def _trend(self, cells: LabelledCells, condition: str) -> dict[str, Any]:
        used = [cell for cell in cells.cells if cell.condition == condition]
        at = [float(cell.group or "nan") for cell in used]
        row: dict[str, Any] = {"name": f"slope over temperature in {condition}", "kind": "slope"}
        row["scale"] = "rate_per_temperature"

        def estimate(fit: CellFit) -> dict[str, Any]:
            found = trend_of_cells(fit, at, level=self.level, name=row["name"])
            tests = {"p_change": found.change and found.change.p, "p_bend": found.bend and found.bend.p}
            return _numbers(found.slope) | tests

        return self._fill(row, cells, used, estimate)

    def _fill(
        self,
        row: dict[str, Any],
        cells: LabelledCells,
        used: Sequence[Cell],
        estimate: Callable[[CellFit], dict[str, Any]],
        *,
        source: str = "ppi_plus_plus",
        within: bool = False,
    ) -> dict[str, Any]:
        """Return the row with what the fit of these cells gives, or with the reason why it gives nothing."""
        try:
            places = cells.places(used)
            shares = _within_domains(cells, places) if within else None
            selected = cells.select(places, shares)
            found = estimate(_METHODS[source](selected))
        except ValueError as error:
            return row | {"method": f"none: {_with_names(error, used)}"}
        return row | found | {"n_labels": int(selected.answers.cell.size)}


def _ppi(cells: SelectedCells) -> CellFit:
    return ppi_cells(cells.rates, cells.answers, weights=cells.shares, strata=cells.domain).fit


_METHODS: Mapping[str, Callable[[SelectedCells], CellFit]] = {
    "ppi_plus_plus": _ppi,
    "rogan_gladen": lambda cells: rogan_gladen_cells(cells.rates, cells.answers),
}


def _as_judged(method: str) -> str:
    return method if method.startswith("none: ") else f"judge: {method}"


def _used(design: Design, contrast: Contrast, group: str | None = None) -> list[Cell]:
    return [Cell(design.conditions[place], group) for place in np.flatnonzero(contrast.weights)]


def _weights(contrast: Contrast) -> NDArray[np.float64]:
    weights: NDArray[np.float64] = contrast.weights[contrast.weights != 0]
    return weights


def _numbers(found: Estimate) -> dict[str, Any]:
    fields = ("estimate", "low", "high", "p", "n", "n_missing", "method")
    return {name: getattr(found, name) for name in fields}


def _within_domains(cells: LabelledCells, places: Sequence[int]) -> NDArray[np.float64]:
    """Return the weights (n, 2) of prompts that compare two cells inside domains, as `independent_difference` does."""
    known = np.isfinite(cells.rates[:, list(places)])
    counts = np.stack(
        [np.bincount(cells.domain[column], minlength=cells.domain.max() + 1) for column in known.T]
    )
    both = np.where((counts > 1).all(axis=0), counts.prod(axis=0) / np.maximum(counts.sum(axis=0), 1), 0.0)
    if not both.any():
        raise ValueError("no domain has two prompts on either side")
    each = (both / np.maximum(counts, 1))[:, cells.domain].T
    return np.where(known, each, 0.0)


def _with_names(error: ValueError, cells: Sequence[Cell]) -> str:
    return re.sub(r"\bcell (\d+)", lambda found: str(cells[int(found[1])]), str(error))
