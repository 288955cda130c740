"""Tiny random models of several families, and plans and files for them: the oracles of the steering tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from prefbench.steering import Plan, TraitVector, save_vector

WIDTH, BLOCKS, VOCABULARY = 32, 4, 100
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": 64,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
}
FAMILIES = {
    "qwen3": ("Qwen3", {"head_dim": 8}, "mlp"),
    "llama": ("Llama", {}, "mlp"),
    "qwen3_moe": (
        "Qwen3Moe",
        {"head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
        "mlp",
    ),
    "gemma2": ("Gemma2", {"head_dim": 8}, "block"),
    "gemma3": ("Gemma3", {"head_dim": 8}, "block"),
    "olmo2": ("Olmo2", {}, "block"),
    "granite": ("Granite", {"residual_multiplier": 0.5}, "block"),
}


def make_model(family: str, seed: int = 0) -> Any:
    """Return a random model of a family in evaluation mode."""
    import torch
    import transformers

    name, extra, _ = FAMILIES[family]
    config_class = getattr(transformers, "Gemma3TextConfig" if name == "Gemma3" else f"{name}Config")
    torch.manual_seed(seed)
    config = config_class(**SHAPE, **extra, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    return getattr(transformers, f"{name}ForCausalLM")(config).eval()


def draw(seed: int = 0, width: int = WIDTH) -> np.ndarray:
    """Return a random vector [width], float32."""
    return np.random.default_rng(seed).standard_normal(width).astype(np.float32)


def make_table(prompt: float, last: float, answer: float, seed: int = 0) -> np.ndarray:
    """Return a plan's table: one direction, with a factor for each sort of token."""
    return np.outer([prompt, last, answer], draw(seed)).astype(np.float32)


def everywhere(layer: int, seed: int = 0, factor: float = 1.0) -> Plan:
    """Return a plan that adds a random vector at one block to all tokens."""
    return Plan({layer: make_table(factor, factor, factor, seed)})


def make_vector(layers: Sequence[int] = range(BLOCKS), *, width: int = WIDTH, **changes: Any) -> TraitVector:
    """Return a trait vector with random directions."""
    vector = TraitVector(
        trait="warmth",
        vectors={layer: draw(layer, width) for layer in layers},
        method="mean_difference",
        token_rule="mean over the answer's tokens",
        model="tiny",
        weights={"files_sha256": "a" * 64, "hash_of": "whole files"},
        blocks=BLOCKS,
        hidden_norms={layer: 10.0 + layer for layer in layers},
        pairs=7,
        recommended_layer=layers[len(layers) // 2],
        reason="because",
        diagnostics={layer: {"cosine": 0.5, "separation": 2.0, "accuracy": 1.0} for layer in layers},
        origin={"recipe": {"seed": 0}},
    )
    return replace(vector, **changes)


def write_vector(path: Path, **changes: Any) -> Path:
    """Write a trait vector and return its path."""
    save_vector(make_vector(**changes), path)
    return path
