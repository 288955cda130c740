"""The tables and the row buffer of one worker, and what it knows of the requests that pass: shared by all runners."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from prefbench.backends.vllm.rows import (
    ROWS_A_SLOT,
    Integers,
    choose_rows,
    count_rows,
    find_kinds,
    find_positions,
    first_row,
    tally_rows,
)
from prefbench.errors import BackendError

if TYPE_CHECKING:
    import torch

SLOT = "prefbench_slot"
PROMPT_LENGTH = "prefbench_prompt_length"
PROBE = "prefbench_probe"
"""The keys of a request's `extra_args`: which tables, where its prompt ends if not at its end, and a check's number."""


class Place(NamedTuple):
    """What the worker knows of one request."""

    slot: int
    """Which tables steer it; 0: none."""
    prompt_length: int
    probe: int | None = None
    """The number under which a check reads its hidden states."""


class Witness(Protocol):
    """What is told of every forward pass while a check reads along."""

    def expect(self, probes: Integers, positions: Integers, kinds: Integers) -> None:
        """Take note of each token of the coming pass; probe -1 for tokens that no check reads. All [tokens]."""
        ...


class SteeringState:
    """One table a steered block, one row buffer for all, both allocated once and only ever written in place."""

    def __init__(self, tables: Mapping[int, torch.Tensor], rows: torch.Tensor, slots: int) -> None:
        self.tables = dict(tables)
        """Block -> [1 + 3 x slots, width] in the model's number format."""
        self.rows = rows
        """[tokens at most] int64: the table row of each token of the coming forward pass; 0 beyond its end."""
        self.slots = slots
        self.sites: dict[int, str] = {}
        """Block -> where its vector is added: `mlp` or `block`."""
        self.tally: Integers = np.zeros((slots, ROWS_A_SLOT), dtype=np.int64)
        """Tokens steered so far, by slot and sort of token."""
        self.preempted: int | None = None
        """Requests sent back to be computed again so far; None if this runner does not say."""
        self.witness: Witness | None = None
        self.runner: str | None = None
        """Which model runner fills the rows; None while none does."""
        self._loaded: set[int] = set()
        self._filled = 0

    @classmethod
    def allocate(cls, *, layers: Iterable[int], slots: int, vllm_config: Any, device: Any) -> SteeringState:
        """Return a state for a model; with no device on torch's default one, which vLLM sets while it loads."""
        import torch

        model = vllm_config.model_config
        width = int(model.hf_text_config.hidden_size)
        # CUDA graphs are run on batches that are filled up to their size
        graph = int(getattr(vllm_config.compilation_config, "max_cudagraph_capture_size", None) or 0)
        tokens = max(int(vllm_config.scheduler_config.max_num_batched_tokens), graph)
        height = count_rows(slots)
        tables = {
            layer: torch.zeros(height, width, dtype=model.dtype, device=device) for layer in sorted(layers)
        }
        return cls(tables, torch.zeros(tokens, dtype=torch.int64, device=device), slots)

    def load(self, slot: int, tables: Mapping[int, np.ndarray]) -> dict[int, list[float]]:
        """Write a plan's tables, [3, width] each, into a slot; other blocks get zeros there.

        Return the norms of what is stored, by block and sort of token. Raises BackendError for a slot or a block
        that has no table here.
        """
        import torch

        self._check_slot(slot)
        if unarmed := sorted(set(tables) - set(self.tables)):
            raise BackendError(f"block {unarmed[0]} has no table: {sorted(self.tables)} have")
        where = slice(first_row(slot), first_row(slot) + ROWS_A_SLOT)
        norms = {}
        for layer, stored in self.tables.items():
            table = tables.get(layer)
            values = torch.zeros_like(stored[where]) if table is None else torch.from_numpy(table)
            stored[where].copy_(values)
            norms[layer] = stored[where].float().norm(dim=-1).tolist()
        self._loaded.add(slot)
        return norms

    def locate(self, extra: Mapping[str, Any] | None, prompt_length: int) -> Place:
        """Return what a request's `extra_args` say. Raises BackendError for a slot that holds no plan."""
        extra = extra or {}
        slot = extra.get(SLOT, 0)
        if slot != 0:
            self._check_slot(slot)
            if slot not in self._loaded:
                raise BackendError(f"a request asks for slot {slot}, into which no plan has been loaded")
        return Place(slot, int(extra.get(PROMPT_LENGTH, prompt_length)), extra.get(PROBE))

    def place(self, places: Sequence[Place], starts: Integers, counts: Integers) -> None:
        """Write the rows of the coming forward pass.

        Args:
            places: of each request in it, in the order of the batch.
            starts: [requests]: tokens computed before it.
            counts: [requests]: tokens computed in it.
        """
        slots = np.array([place.slot for place in places], dtype=np.int64)
        lengths = np.array([place.prompt_length for place in places], dtype=np.int64)
        if self.witness is not None:
            self._inform(self.witness, places, lengths, starts, counts)
        if not slots.any():
            self._write(np.zeros(0, dtype=np.int64))
            return
        rows = choose_rows(slots, lengths, starts, counts)
        self.tally += tally_rows(rows, self.slots)
        self._write(rows)

    def _write(self, rows: Integers) -> None:
        """Put rows into the buffer and zeros where the last pass had more."""
        import torch

        size, self._filled = max(len(rows), self._filled), len(rows)
        if not size:
            return
        host = torch.zeros(size, dtype=self.rows.dtype, pin_memory=self.rows.is_cuda)
        host[: len(rows)] = torch.from_numpy(rows)
        self.rows[:size].copy_(host, non_blocking=True)

    @staticmethod
    def _inform(
        witness: Witness, places: Sequence[Place], lengths: Integers, starts: Integers, counts: Integers
    ) -> None:
        probes = np.array([-1 if place.probe is None else place.probe for place in places], dtype=np.int64)
        positions = find_positions(starts, counts)
        witness.expect(
            np.repeat(probes, counts), positions, find_kinds(positions, np.repeat(lengths - 1, counts))
        )

    def _check_slot(self, slot: Any) -> None:
        if not isinstance(slot, int) or not 1 <= slot <= self.slots:
            raise BackendError(
                f"no steering slot {slot!r}: the engine was started with slots 1 to {self.slots}"
            )
