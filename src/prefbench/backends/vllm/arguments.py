"""The engine's arguments: what the user gave, what the conditions need, and what this platform needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, get_args

from prefbench.errors import ConfigError

LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as `max_lora_rank`."""
OWNED = {
    "model": "give it as the condition's model",
    "tokenizer": "the model's own is used",
    "worker_extension_cls": "steering uses it",
    "enable_lora": "it is on when a condition has an adapter",
    "seed": "each prompt has its own seed: give --seed",
    "skip_tokenizer_init": "stop strings need the tokenizer",
    "disable_log_stats": "progress is counted here",
    "runner": "it is always generate",
    "headless": "an engine without a front end answers nobody",
}
CPU_CACHE_BYTES = 2**30


def check_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the user's engine arguments. Raises ConfigError for one that vLLM lacks or that is not the user's."""
    from vllm.engine.arg_utils import EngineArgs

    known = {
        field.name: field.type for field in dataclasses.fields(EngineArgs) if not field.name.startswith("_")
    }
    for name in given:
        if name in OWNED:
            raise ConfigError(f"engine argument {name} is not yours to set: {OWNED[name]}")
        if name not in known:
            near = get_close_matches(name, known, n=3)
            guess = (
                f"did you mean {' or '.join(near)}?" if near else "vLLM documents them under Engine Arguments"
            )
            raise ConfigError(f"vLLM has no engine argument {name!r}: {guess}")
    _check_numbers(given, known)
    return dict(given)


def _check_numbers(given: Mapping[str, Any], types: Mapping[str, Any]) -> None:
    """Raise ConfigError for text where only numbers fit: vLLM reckons with it before it looks."""
    for name, value in given.items():
        # the members of a union, or the types of a Literal's values
        members = get_args(types[name]) or [types[name]]
        kinds = {each if isinstance(each, type) else type(each) for each in members} - {type(None)}
        if isinstance(value, str) and kinds <= {int, float, bool}:
            wanted = "true or false" if kinds == {bool} else "a number"
            raise ConfigError(f"engine argument {name} takes {wanted}, not {value!r}")


def lora_arguments(
    given: Mapping[str, Any], ranks: list[int], modules: list[str]
) -> tuple[dict[str, Any], list[str]]:
    """Return what adapters of these ranks on these modules need, and a line for each of the user's limits raised.

    One slot more than there are adapters: with none to spare, a CPU engine gives the last adapter to requests
    that asked for none.
    """
    if not ranks:
        return {}, []
    if max(ranks) > LORA_RANKS[-1]:
        raise ConfigError(
            f"an adapter has rank {max(ranks)}: vLLM loads up to {LORA_RANKS[-1]}; merge it into a checkpoint, or use "
            "--backend hf"
        )
    rank = next(each for each in LORA_RANKS if each >= max(ranks))
    needed = {"max_lora_rank": rank, "max_loras": len(ranks) + 1}
    raised = []
    for name, least in needed.items():
        asked = given.get(name)
        if isinstance(asked, int) and asked >= least:
            needed[name] = asked
        elif asked is not None:
            raised.append(f"{name} {asked} is too small for the conditions' adapters: it is {least}")
    return {"enable_lora": True, "lora_target_modules": modules, **needed}, raised


def platform_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an engine without a GPU needs where the user says nothing; nothing on a GPU."""
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return {}
    needed: dict[str, Any] = {
        "dtype": "float32",  # half precision is slow there and rounds more
        "enforce_eager": True,  # compiling takes longer than most runs there, and gains nothing
        # a seeded request whose prefill is split dies there
        "enable_chunked_prefill": False,
        "kv_cache_memory_bytes": CPU_CACHE_BYTES,
    }
    return {name: value for name, value in needed.items() if name not in given}
