"""Blocks and human labels in, the cells of a study by condition and group, each with its judged rates and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from prefbench.blocks import Blocks
from prefbench.labels import Labels
from prefbench.records import RecordKey
from prefbench.statistics import LabelledAnswers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]

FEWEST_PROMPTS = 10
"""Labelled prompts that a cell must have to be corrected."""
Grouping = Literal["domain", "format", "temperature"]
GROUPINGS: tuple[Grouping, ...] = ("domain", "format", "temperature")


class PlacedLabels(NamedTuple):
    """Labels (L,) by the block and the condition of a study that they belong to."""

    block: Codes
    column: Codes
    human: Floats
    judge: Floats

    @property
    def size(self) -> int:
        """How many there are."""
        return int(self.block.size)


class SelectedCells(NamedTuple):
    """What the corrections take of k cells: rates and shares (n, k), labels, and the domain (n,) of each prompt."""

    rates: Floats
    answers: LabelledAnswers
    shares: Floats | None
    domain: Codes


class Cell(NamedTuple):
    """A condition, whole or in one group of its answers."""

    condition: str
    group: str | None = None

    def __str__(self) -> str:
        return self.condition if self.group is None else f"{self.condition} ({self.group})"


@dataclass(frozen=True, eq=False)
class LabelledCells:
    """K cells of a study over its n prompts; a prompt that has no answer in a cell is NaN there."""

    cells: tuple[Cell, ...]
    rates: Floats
    """(n, K)"""
    domain: Codes
    """(n,)"""
    placed: PlacedLabels
    prompt: Codes
    """(L,) each label's prompt."""
    cell: Codes
    """(L,) each label's cell, -1 where it has none."""

    def places(self, names: Sequence[Cell]) -> list[int]:
        """Return the places of cells. Raises ValueError, naming the cell, for one that has too few labels."""
        known = dict(zip(self.cells, self.labelled_prompts, strict=True))
        for name in names:
            if known.get(name, 0) < FEWEST_PROMPTS:
                raise ValueError(
                    f"{name} has labels of {known.get(name, 0)} prompts, a correction needs {FEWEST_PROMPTS}"
                )
        return [self.cells.index(name) for name in names]

    @cached_property
    def labelled_prompts(self) -> list[int]:
        """The number of labelled prompts in each cell."""
        return [int(np.unique(self.prompt[self.cell == place]).size) for place in range(len(self.cells))]

    def answers(self, places: Sequence[int], shares: Floats | None = None) -> LabelledAnswers:
        """Return the labels of some cells, weighed so that each domain counts as in the cell's judged rate.

        `shares` (n, k) are the weights of the prompts in the rates of these cells, alike unless given.
        """
        parts = []
        for new, place in enumerate(places):
            own = np.flatnonzero(self.cell == place)
            share = np.ones(len(self.rates)) if shares is None else shares[:, new]
            share = np.where(np.isfinite(self.rates[:, place]), share, 0.0)
            domains = int(self.domain.max()) + 1
            bank = np.bincount(self.domain, weights=share, minlength=domains)
            domain = self.domain[self.prompt[own]]
            weight = (bank / np.maximum(np.bincount(domain, minlength=domains), 1))[domain]
            used = weight > 0
            parts.append((own[used], np.full(int(used.sum()), new), weight[used]))
        chosen, cell, weights = (np.concatenate(each) for each in zip(*parts, strict=True))
        human, judge = self.placed.human[chosen], self.placed.judge[chosen]
        return LabelledAnswers(human, judge, self.prompt[chosen], cell, weights)

    def select(self, places: Sequence[int], shares: Floats | None = None) -> SelectedCells:
        """Return some cells' rates, labels and shares, over the prompts with a rate in any of them."""
        rates = self.rates[:, list(places)]
        known = np.isfinite(rates) if shares is None else np.isfinite(rates) & (shares > 0)
        rows = known.any(axis=1)
        found = self.answers(places, shares)
        prompt = (np.cumsum(rows) - 1)[found.prompt]
        answers = LabelledAnswers(found.human, found.judge, prompt, found.cell, found.weight)
        return SelectedCells(
            rates[rows], answers, None if shares is None else shares[rows], self.domain[rows]
        )


def place_labels(blocks: Blocks, labels: Labels) -> tuple[PlacedLabels, int]:
    """Return the labels of answers whose cell has a rate; and how many belong to none."""
    names = zip(blocks.domain[blocks.prompt], blocks.ids[blocks.prompt], blocks.temperature, strict=True)
    rows = {RecordKey(str(d), str(i), float(t)): row for row, (d, i, t) in enumerate(names)}
    columns = {name: column for column, name in enumerate(blocks.conditions)}
    placed = [
        (rows[each.key], columns[each.condition], each.human, each.judge)
        for each in labels.answers
        if each.key in rows and each.condition in columns
    ]
    block, column, human, judge = np.array(placed, dtype=np.intp).reshape(-1, 4).T
    rated = np.isfinite(blocks.rates[block, column])
    found = PlacedLabels(block[rated], column[rated], human[rated].astype(float), judge[rated].astype(float))
    return found, len(labels.answers) - found.size


def group_cells(blocks: Blocks, placed: PlacedLabels, by: Grouping | None = None) -> LabelledCells:
    """Return every condition, or every condition in every group, as cells; no cell where nothing is rated."""
    cells: list[Cell] = []
    columns: list[Floats] = []
    places = np.full(placed.size, -1)
    for group, mask in _groups(blocks, by):
        for column, condition in enumerate(blocks.conditions):
            rates = blocks.prompt_means(np.where(mask, blocks.rates[:, column], np.nan))
            if not np.isfinite(rates).any():
                continue
            places[mask[placed.block] & (placed.column == column)] = len(cells)
            cells.append(Cell(condition, group))
            columns.append(rates)
    _, domain = np.unique(blocks.domain, return_inverse=True)
    rates = np.stack(columns, axis=1) if columns else np.empty((blocks.prompts, 0))
    return LabelledCells(tuple(cells), rates, domain, placed, blocks.prompt[placed.block], places)


def _groups(blocks: Blocks, by: Grouping | None) -> list[tuple[str | None, NDArray[np.bool_]]]:
    """Return the name and the blocks (B,) of each group; prompts whose format is not known are in none."""
    if by is None:
        return [(None, np.ones(len(blocks.prompt), dtype=bool))]
    if by == "temperature":
        return [(f"{at:g}", blocks.temperature == at) for at in np.unique(blocks.temperature).tolist()]
    values = (blocks.domain if by == "domain" else blocks.format)[blocks.prompt]
    return [(name, np.equal(values, name)) for name in np.unique(values).tolist() if name]
