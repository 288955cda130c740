"""Rate cells in, arrays out: one row a prompt and temperature, one column a condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from prefbench.effects import PROMPT

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]


@dataclass(frozen=True, eq=False, kw_only=True)
class Blocks:
    """The B blocks (a prompt at a temperature) and C conditions of a study; NaN is a missing cell."""

    conditions: tuple[str, ...]
    yes: Floats
    """(B, C)"""
    readable: Floats
    """(B, C)"""
    prompt: Codes
    """(B,) the prompt of each block, from 0."""
    temperature: Floats
    """(B,)"""
    domain: NDArray[np.str_]
    """(n,) the domain of each prompt."""
    format: NDArray[np.str_]
    """(n,) the format of each prompt, empty where it is not known."""
    ids: NDArray[np.str_]
    """(n,)"""

    @property
    def rates(self) -> Floats:
        """(B, C)"""
        rates: Floats = self.yes / np.where(self.readable > 0, self.readable, np.nan)
        return rates

    @property
    def prompts(self) -> int:
        """Prompts expected in any condition."""
        return len(self.domain)

    def prompt_means(self, values: Floats) -> Floats:
        """Return the mean of block values (B,) or (B, q) over each prompt's blocks without NaN: (n,) or (n, q)."""
        columns = values.reshape(len(values), -1)
        present = np.logical_and.reduce(np.isfinite(columns), axis=1)
        counts = np.bincount(self.prompt[present], minlength=self.prompts)
        filled = np.where(present[:, None], columns, 0.0)
        sums = [np.bincount(self.prompt, weights=column, minlength=self.prompts) for column in filled.T]
        means = np.stack(sums, axis=1) / np.where(counts > 0, counts, np.nan)[:, None]
        shaped: Floats = means.reshape((self.prompts, *values.shape[1:]))
        return shaped

    def by_temperature(self) -> tuple[Floats, Floats]:
        """Return counts of Y and of answers as (n, C, T), NaN and 0 where a prompt lacks a temperature."""
        temperatures, place = np.unique(self.temperature, return_inverse=True)
        shape = (self.prompts, len(self.conditions), temperatures.size)
        yes, readable = np.full(shape, np.nan), np.zeros(shape)
        yes[self.prompt, :, place], readable[self.prompt, :, place] = self.yes, np.nan_to_num(self.readable)
        return yes, readable

    def select(self, domain: str) -> Blocks:
        """Return the blocks of one domain."""
        keep = np.array([each == domain for each in self.domain.tolist()], dtype=bool)
        rows = keep[self.prompt]
        new = np.cumsum(keep) - 1
        return replace(
            self,
            yes=self.yes[rows],
            readable=self.readable[rows],
            prompt=new[self.prompt[rows]],
            temperature=self.temperature[rows],
            domain=self.domain[keep],
            format=self.format[keep],
            ids=self.ids[keep],
        )


def make_blocks(cells: pl.DataFrame, conditions: Sequence[str]) -> Blocks:
    """Return the blocks of cells (of `rate_cells`); prompts are sorted by domain and id."""
    import polars as pl

    keys = [*PROMPT, "temperature"]
    used = cells.filter(pl.col("condition").is_in(list(conditions)))
    blocks = used.select(keys).unique().sort(keys).with_row_index("block")
    formats = used.group_by(PROMPT).agg(pl.col("format").drop_nulls().first())
    prompts = formats.sort(PROMPT).with_row_index("prompt")
    placed = used.join(blocks, on=keys, how="left")
    columns = placed["condition"].replace_strict(
        list(conditions), list(range(len(conditions))), return_dtype=pl.Int64
    )
    place = (placed["block"].to_numpy(), columns.to_numpy())
    yes = np.full((blocks.height, len(conditions)), np.nan)
    readable = np.full_like(yes, np.nan)
    rated = placed["readable"].is_not_null().to_numpy()
    yes[place] = np.where(rated, placed["yes"].cast(pl.Float64).fill_null(np.nan).to_numpy(), np.nan)
    readable[place] = placed["readable"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return Blocks(
        conditions=tuple(conditions),
        yes=yes,
        readable=readable,
        prompt=blocks.join(prompts, on=PROMPT, how="left", maintain_order="left")["prompt"]
        .to_numpy()
        .astype(np.intp),
        temperature=blocks["temperature"].to_numpy(),
        domain=np.array(prompts["domain"].to_list(), dtype=str),
        format=np.array(prompts["format"].fill_null("").to_list(), dtype=str),
        ids=np.array(prompts["id"].to_list(), dtype=str),
    )
