"""Which row of the tables each token of a forward pass takes: arrays in, arrays out, the same on every rank."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefbench.steering.plan import KINDS

ROWS_A_SLOT = len(KINDS)
Integers = NDArray[np.int64]


def count_rows(slots: int) -> int:
    """Return the height of a table: row 0, all zeros, for what is not steered; then a row a slot and sort of token."""
    return 1 + ROWS_A_SLOT * slots


def first_row(slot: int) -> int:
    """Return where the rows of a slot begin; slots count from 1."""
    return 1 + ROWS_A_SLOT * (slot - 1)


def find_positions(starts: Integers, counts: Integers) -> Integers:
    """Return each token's place in its own sequence [tokens], for sequences [requests] of which parts are computed."""
    ends = np.cumsum(counts)
    return np.arange(int(counts.sum())) - np.repeat(ends - counts - starts, counts)


def find_kinds(positions: Integers, last: Integers) -> Integers:
    """Return the sort of each token (index into KINDS) from its place and that of its prompt's last token."""
    return (positions >= last).astype(np.int64) + (positions > last)


def choose_rows(slots: Integers, prompt_lengths: Integers, starts: Integers, counts: Integers) -> Integers:
    """Return the row of each token [tokens].

    All arguments are [requests]: the slot (0: not steered), the prompt's length, how many tokens are already
    computed, and how many are computed now. The position decides, not the phase, so a prompt that comes in pieces
    and an answer that is computed again after a preemption keep their rows.
    """
    kinds = find_kinds(find_positions(starts, counts), np.repeat(prompt_lengths - 1, counts))
    chosen = np.repeat(slots, counts)
    return np.where(chosen > 0, 1 + ROWS_A_SLOT * (chosen - 1) + kinds, 0)


def tally_rows(rows: Integers, slots: int) -> Integers:
    """Return how many tokens took each row, by slot and sort of token [slots, 3]."""
    found: Any = np.bincount(rows, minlength=count_rows(slots))[1:]
    return found.reshape(slots, ROWS_A_SLOT)  # type: ignore[no-any-return]
