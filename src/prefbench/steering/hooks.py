"""Add a plan's vectors to a model while it runs: forward hooks that are gone afterwards, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from prefbench.errors import BackendError
from prefbench.steering.plan import KINDS, Plan
from prefbench.steering.sites import find_blocks, find_site, hidden_of

if TYPE_CHECKING:
    import torch

_ANSWER = KINDS.index("answer")


@contextmanager
def steered(model: Any, plan: Plan) -> Iterator[Steering]:
    """Within the block, every forward pass of the model is steered by the plan.

    A plan that treats all tokens alike needs nothing more. One that does not must be told before each forward
    pass which tokens it is given: `place` or `place_answers`.

    Raises BackendError for a block that the model does not have, and for tokens that were not placed.
    """
    steering = Steering(model, plan)
    try:
        steering.attach()
        yield steering
    finally:
        steering.detach()


class Steering:
    """The hooks of one plan on one model, and what they know of the tokens that pass."""

    def __init__(self, model: Any, plan: Plan) -> None:
        self._model = model
        self._plan = plan
        self._handles: list[Any] = []
        self._placed: torch.Tensor | None = None  # [rows, tokens]: rows of the tables, see KINDS
        self._answers = False
        self.passes = dict.fromkeys(plan.tables, 0)
        """Block -> how often its hook has run."""
        self.sites: dict[int, str] = {}
        """Block -> where its vector is added: `mlp` or `block`."""

    def attach(self) -> None:
        """Put the hooks in place."""
        blocks = find_blocks(self._model)
        for layer, table in sorted(self._plan.tables.items()):
            if not 0 <= layer < len(blocks):
                raise BackendError(f"no block {layer}: the model has {len(blocks)} (0 to {len(blocks) - 1})")
            site = find_site(self._model, blocks[layer])
            self.sites[layer] = site.name
            self._handles.append(
                site.module.register_forward_hook(self._make_hook(layer, table, blocks[layer]))
            )
        # what was said of one forward pass must not be taken for the next
        self._handles.append(self._model.register_forward_hook(lambda *_: self._forget()))

    def detach(self) -> None:
        """Take the hooks away."""
        while self._handles:
            self._handles.pop().remove()

    def place(self, positions: torch.Tensor, prompt_lengths: torch.Tensor) -> None:
        """Say where the tokens of the next forward pass stand.

        Args:
            positions: [rows, tokens], from 0 at the first token that is not padding (there, any number).
            prompt_lengths: [rows].
        """
        last = prompt_lengths[:, None] - 1
        self._placed = (positions >= last).long() + (positions > last).long()

    def place_answers(self) -> None:
        """Say that all tokens of the next forward pass belong to answers."""
        self._answers = True

    def require_active(self) -> None:
        """Raise BackendError if a hook has never run: the model would then have been steered in name only."""
        idle = [layer for layer, count in self.passes.items() if not count]
        if idle:
            raise BackendError(
                f"steering did nothing at block {idle[0]}: {type(self._model).__name__} does not call the module that "
                "the vector is added at; this architecture cannot be steered"
            )

    def _forget(self) -> None:
        self._placed, self._answers = None, False

    def _make_hook(self, layer: int, table: Any, block: Any) -> Any:
        import torch

        weight = next(block.parameters())
        rows = torch.from_numpy(table).to(device=weight.device, dtype=self._model.dtype)  # [3, width]
        alike = bool((table == table[0]).all())

        def add(_module: Any, _inputs: Any, output: Any) -> Any:
            hidden = hidden_of(output)  # [rows, tokens, width]
            self.passes[layer] += 1
            row: Any = _ANSWER if alike or self._answers else self._kinds(layer, hidden)
            added = hidden + rows[row]
            return (added, *output[1:]) if isinstance(output, tuple) else added

        return add

    def _kinds(self, layer: int, hidden: torch.Tensor) -> torch.Tensor:
        if self._placed is None or self._placed.shape != hidden.shape[:2]:
            raise BackendError(
                f"block {layer} is steered at some tokens only, and nobody said where the {list(hidden.shape[:2])} "
                "tokens of this forward pass stand: call steering.place(positions, prompt_lengths) before it"
            )
        return self._placed.to(hidden.device)
