"""The engine's side of steering: arm the workers, fill their slots, count what they steered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from prefbench.errors import BackendError
from prefbench.steering.plan import KINDS, Plan

STORED_WITHIN = 0.01
"""How far a stored row's norm may be from the plan's, as a share: what half precision rounds is far less."""
SAME_FOR_ALL = ("layers", "sites", "slots", "mode", "runner", "blocks", "width")


class Caller(Protocol):
    """What is needed of an engine."""

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of every worker and return its answers, one a rank."""
        ...


class SteeringControl:
    """Steering of one running engine. Slots count from 1; a request names its own in `extra_args`."""

    def __init__(self, engine: Caller) -> None:
        self._engine = engine
        self.description: dict[str, Any] = {}
        """What the workers said of themselves; empty until armed."""

    def arm(self, *, layers: Sequence[int], slots: int) -> dict[str, Any]:
        """Make sure that every rank steers these blocks; return what the manifest says of it.

        Raises BackendError if one does not.
        """
        ranks = self._engine.call("prefbench_arm", list(layers), slots)
        for rank in ranks:
            if rank["layers"] != sorted(layers) or rank["slots"] != slots:
                raise BackendError(
                    f"steering check failed: rank {rank['rank']} steers blocks {rank['layers']} with {rank['slots']} "
                    f"slots, not {sorted(layers)} with {slots}; nothing was sampled"
                )
            if differing := [name for name in SAME_FOR_ALL if rank[name] != ranks[0][name]]:
                raise BackendError(
                    f"steering check failed: rank {rank['rank']} has {differing[0]} {rank[differing[0]]}, rank "
                    f"{ranks[0]['rank']} {ranks[0][differing[0]]}; nothing was sampled"
                )
        if not ranks:
            raise BackendError("steering check failed: the engine has no workers; nothing was sampled")
        self.description = {name: value for name, value in ranks[0].items() if name != "rank"}
        self.description["ranks"] = len(ranks)
        return self.description

    def load(self, slot: int, plan: Plan) -> None:
        """Put a plan into a slot in place of what was there.

        Cached blocks of earlier requests of that slot are stale then: give later ones another `cache_salt`, or empty
        the prefix cache. Raises BackendError for a block that is not armed and for a rank that did not store it.
        """
        armed = self.description.get("layers", [])
        if unarmed := [layer for layer in plan.layers if layer not in armed]:
            raise BackendError(
                f"block {unarmed[0]} cannot be steered in this engine: it was started with tables at {armed}"
            )
        width = self.description["width"]
        if wrong := [layer for layer in plan.layers if plan.tables[layer].shape != (len(KINDS), width)]:
            raise BackendError(
                f"the vector for block {wrong[0]} has {plan.tables[wrong[0]].shape[-1]} entries, the model's hidden "
                f"states {width}"
            )
        packed = {str(layer): table.astype(np.float32).tobytes() for layer, table in plan.tables.items()}
        for stored in self._engine.call("prefbench_load", slot, packed):
            _compare_stored(stored, plan)

    def counts(self, *, reset: bool = False) -> dict[int, list[int]]:
        """Return how many tokens were steered since the last reset: slot -> counts by sort of token (KINDS).

        Raises BackendError if two ranks that share a model disagree.
        """
        ranks = self._engine.call("prefbench_counts", reset)
        if any(rank != ranks[0] for rank in ranks):
            raise BackendError(f"the ranks steered different tokens: {ranks}; the answers cannot be trusted")
        return {slot: list(row) for slot, row in enumerate(ranks[0], start=1)}

    def preempted(self) -> bool:
        """Whether a request may have been computed again since the last reset, so that its tokens count twice."""
        return any(found is None or found > 0 for found in self._engine.call("prefbench_preempted"))


def _compare_stored(stored: dict[str, list[float]], plan: Plan) -> None:
    for layer, norms in stored.items():
        table = plan.tables.get(int(layer))
        wanted = np.zeros(len(KINDS)) if table is None else np.linalg.norm(table.astype(np.float64), axis=-1)
        if not np.allclose(norms, wanted, rtol=STORED_WITHIN, atol=1e-30):
            raise BackendError(
                f"steering check failed: block {layer} holds vectors of norms {norms}, not {wanted.tolist()}: the "
                "number format cannot hold them; try --engine dtype=float32; nothing was sampled"
            )
