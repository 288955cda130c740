"""Steering for architectures without a class of ours: forward hooks in the worker. Only right without compilation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from prefbench.backends.vllm.state import SteeringState
from prefbench.errors import BackendError
from prefbench.steering.sites import find_blocks, find_site


def hook_blocks(worker: Any, *, layers: Sequence[int], slots: int) -> SteeringState:
    """Give blocks their tables and the hooks that add them; return the state.

    Where a vector goes is decided as in the hf backend (see sites). Raises BackendError for a model that is compiled
    or whose blocks cannot be told.
    """
    config = worker.vllm_config
    if not config.model_config.enforce_eager:
        raise BackendError(
            "hooks are ignored by a compiled model: this architecture is steered only with --engine "
            "enforce_eager=true"
        )
    model = worker.model_runner.get_model()
    blocks = find_blocks(model)
    device = next(model.parameters()).device
    state = SteeringState.allocate(layers=layers, slots=slots, vllm_config=config, device=device)
    for layer, table in state.tables.items():
        if not 0 <= layer < len(blocks):
            raise BackendError(f"no block {layer}: the model has {len(blocks)} (0 to {len(blocks) - 1})")
        site = find_site(model, blocks[layer])
        site.module.register_forward_hook(_make_hook(table, state))
        state.sites[layer] = site.name
    model.prefbench_steering = state
    return state


def _make_hook(table: Any, state: SteeringState) -> Callable[..., Any]:
    def add(_module: Any, _inputs: Any, output: Any) -> Any:
        # a block of vLLM may return (what its MLP adds, residual): their sum is the stream, so either will do
        hidden = output[0] if isinstance(output, tuple) else output
        # [tokens, width], or with models of transformers [1, tokens, width]
        tokens = hidden.numel() // hidden.shape[-1]
        added = hidden + table[state.rows[:tokens]].view_as(hidden)
        return (added, *output[1:]) if isinstance(output, tuple) else added

    return add
