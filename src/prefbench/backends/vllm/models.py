"""vLLM's own model classes with a place for vectors in their blocks. Only vLLM imports this, by name (see plugin).

Each steered block adds `steer_table[steer_rows[:tokens]]` to the output of its MLP, before it joins the residual
stream. Both tensors are there before the model is traced and are only ever written in place, so compiled graphs and
CUDA graphs see every change. Row 0 of a table is zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from vllm.config import VllmConfig
from vllm.model_executor.models.llama import LlamaDecoderLayer, LlamaForCausalLM
from vllm.model_executor.models.mistral import MistralDecoderLayer, MistralForCausalLM
from vllm.model_executor.models.qwen2 import Qwen2DecoderLayer, Qwen2ForCausalLM
from vllm.model_executor.models.qwen3 import Qwen3DecoderLayer, Qwen3ForCausalLM

from prefbench.backends.vllm.state import SteeringState
from prefbench.errors import BackendError


def add_rows(hidden: torch.Tensor, table: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return hidden states [tokens, width] with the table's row of each token added."""
    return hidden + torch.nn.functional.embedding(rows[: hidden.shape[0]], table)


class _TakesVectors:
    """What our blocks add to vLLM's; they follow it in the order of classes."""

    steer_table: torch.Tensor  # [1 + 3 x slots, width]
    steer_rows: torch.Tensor  # [tokens at most], shared by all blocks

    def forward(
        self,
        positions: torch.Tensor,
        hidden_states: torch.Tensor,
        residual: torch.Tensor | None,
        **extra: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (MLP output with the vectors, residual)."""
        hidden, residual = super().forward(positions, hidden_states, residual, **extra)  # type: ignore[misc]
        return add_rows(hidden, self.steer_table, self.steer_rows), residual


class SteeredQwen3Layer(_TakesVectors, Qwen3DecoderLayer):
    """A Qwen3 block that takes vectors."""


class SteeredQwen2Layer(_TakesVectors, Qwen2DecoderLayer):
    """A Qwen2 block that takes vectors."""


class SteeredLlamaLayer(_TakesVectors, LlamaDecoderLayer):
    """A Llama block that takes vectors."""


class SteeredMistralLayer(_TakesVectors, MistralDecoderLayer):
    """A Mistral block that takes vectors."""


STEERED: Mapping[type, type] = {
    Qwen3DecoderLayer: SteeredQwen3Layer,
    Qwen2DecoderLayer: SteeredQwen2Layer,
    LlamaDecoderLayer: SteeredLlamaLayer,
    MistralDecoderLayer: SteeredMistralLayer,
}


class _Steerable:
    """What our classes add to vLLM's: tables in the blocks, and the new model runner's way to fill the rows."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)  # type: ignore[call-arg]
        arm_blocks(self, vllm_config)

    @classmethod
    def get_model_state_cls(cls) -> type:
        """Return what the new model runner asks for its inputs: its default, which also fills the rows."""
        from prefbench.backends.vllm.model_state import SteeredModelState

        return SteeredModelState


class PrefbenchQwen3ForCausalLM(_Steerable, Qwen3ForCausalLM):
    """Qwen3 with steered blocks."""


class PrefbenchQwen2ForCausalLM(_Steerable, Qwen2ForCausalLM):
    """Qwen2 with steered blocks."""


class PrefbenchLlamaForCausalLM(_Steerable, LlamaForCausalLM):
    """Llama with steered blocks."""


class PrefbenchMistralForCausalLM(_Steerable, MistralForCausalLM):
    """Mistral with steered blocks."""


def arm_blocks(model: Any, vllm_config: VllmConfig) -> None:
    """Give the blocks that `hf_overrides["prefbench"]` names their tables, and the model its SteeringState."""
    asked = vllm_config.model_config.hf_config.prefbench
    state = SteeringState.allocate(
        layers=asked["layers"], slots=asked["slots"], vllm_config=vllm_config, device=None
    )
    blocks = model.model.layers
    for layer, table in state.tables.items():
        if not 0 <= layer < len(blocks) or type(blocks[layer]) not in STEERED:
            raise BackendError(
                f"block {layer} cannot be steered: the model has {len(blocks)} blocks of "
                f"{type(blocks[0]).__name__}"
            )
        block = blocks[layer]
        block.__class__ = STEERED[type(block)]
        block.register_buffer("steer_table", table, persistent=False)
        block.register_buffer("steer_rows", state.rows, persistent=False)
        state.sites[layer] = "mlp"
    model.prefbench_steering = state
