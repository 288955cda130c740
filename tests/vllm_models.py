"""Tiny random models in folders that vLLM runs on a CPU, engines on them, and greedy answers by transformers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prefbench.steering import Plan, steered

os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

WIDTH, BLOCKS, VOCABULARY, CONTEXT = 64, 4, 128, 512
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": 128,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": CONTEXT,
    "initializer_range": 0.2,
}
FAMILIES = {
    "Qwen3": {"head_dim": 32, "tie_word_embeddings": True},
    "Qwen2": {},
    "Llama": {"head_dim": 32},
    "Mistral": {"head_dim": 32, "sliding_window": None},
    "Gemma2": {"head_dim": 32},
    "Olmo2": {},
    "Granite": {"residual_multiplier": 0.5, "embedding_multiplier": 1.0},
}


def write_model(folder: Path, family: str, seed: int = 0) -> Path:
    """Write a random model of a family, without a tokenizer."""
    import torch
    import transformers

    torch.manual_seed(seed)
    config = getattr(transformers, f"{family}Config")(
        **SHAPE, **FAMILIES[family], pad_token_id=0, bos_token_id=1, eos_token_id=2
    )
    model = getattr(transformers, f"{family}ForCausalLM")(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.2)
    model.save_pretrained(folder)
    return folder


def load_reference(folder: Path, adapter: Path | None = None) -> Any:
    """Return the model of a folder in transformers, with a LoRA adapter by peft if one is given."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(adapter)).eval()
    return model


def start(folder: Path, arguments: dict[str, Any], *, eager: bool = True) -> Any:
    """Start an engine in this process."""
    from prefbench.backends.vllm.engine import start_engine
    from prefbench.backends.vllm.logs import engine_log

    log = engine_log()
    return start_engine(
        str(folder),
        {
            "dtype": "float32",
            "enforce_eager": eager,
            "max_model_len": CONTEXT,
            "max_num_seqs": 32,
            "enable_chunked_prefill": False,
            "skip_tokenizer_init": True,
            **arguments,
        },
        log,
    )


def start_steered(
    folder: Path,
    family: str,
    plans: Sequence[Plan],
    *,
    eager: bool = True,
    layers: Sequence[int] | None = None,
    **arguments: Any,
) -> tuple[Any, Any]:
    """Start an engine with a slot for each plan, loaded in their order; return it and its control."""
    from prefbench.backends.vllm.arming import choose_layers, steering_arguments
    from prefbench.backends.vllm.control import SteeringControl

    layers = choose_layers(plans, BLOCKS) if layers is None else list(layers)
    steering, _ = steering_arguments(f"{family}ForCausalLM", layers=layers, slots=len(plans))
    engine = start(folder, {**arguments, **steering}, eager=steering.get("enforce_eager", eager))
    control = SteeringControl(engine)
    control.arm(layers=layers, slots=len(plans))
    for slot, plan in enumerate(plans, start=1):
        control.load(slot, plan)
    return engine, control


def draw_prompts(count: int, shortest: int = 5, seed: int = 0) -> list[list[int]]:
    """Return random prompts, each a token longer than the one before."""
    rng = np.random.default_rng(seed)
    return [rng.integers(3, VOCABULARY, shortest + index).tolist() for index in range(count)]


def draw_table(prompt: float, last: float, answer: float, seed: int = 0) -> np.ndarray:
    """Return a plan's table: one random direction, with a factor for each sort of token."""
    direction = np.random.default_rng(seed).standard_normal(WIDTH)
    return np.outer([prompt, last, answer], direction).astype(np.float32)


def answer_greedily(model: Any, prompt: Sequence[int], plan: Plan | None, tokens: int) -> tuple[int, ...]:
    """Return the greedy answer of a transformers model, computed anew for each token, without a cache."""
    import torch

    ids = list(prompt)
    for _ in range(tokens):
        inputs = torch.tensor([ids])
        with torch.no_grad():
            if plan is None:
                logits = model(input_ids=inputs).logits
            else:
                with steered(model, plan) as steering:
                    steering.place(torch.arange(len(ids))[None], torch.tensor([len(prompt)]))
                    logits = model(input_ids=inputs).logits
        ids.append(int(logits[0, -1].argmax()))
        if ids[-1] == 2:  # end of sequence
            break
    return tuple(ids[len(prompt) :])
