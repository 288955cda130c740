"""What an engine that steers must not do, refused by name: before it starts, and again from its final settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefbench.errors import BackendError, ConfigError

_WHY = {
    "speculative_config": "tokens of a draft are not steered, and their places are guesses",
    "pipeline_parallel_size": "each stage has only some of the blocks",
    "prefill_context_parallel_size": "each device has only some of a prompt's tokens",
    "data_parallel_size": "a request may go to any replica, and the checks see one",
    "enable_dbo": "a batch is cut in two, and the second half would take the rows of the first",
    "ubatch_size": "a batch is cut in two, and the second half would take the rows of the first",
    "enable_sp": "sequence parallelism gives each device only some of the tokens",
}
_SIZES = ("pipeline_parallel_size", "prefill_context_parallel_size", "data_parallel_size")
_CURE = "leave it out, or sample the steered conditions with --backend hf"


def refuse_arguments(given: Mapping[str, Any]) -> None:
    """Raise ConfigError for an engine argument that steering rules out. For what the user gave, before the start."""
    passes = (_as_mapping(given.get("compilation_config")).get("pass_config")) or {}
    found = {
        "speculative_config": bool(given.get("speculative_config")),
        "enable_dbo": bool(given.get("enable_dbo")),
        "enable_sp": bool(_as_mapping(passes).get("enable_sp")),
        "ubatch_size": int(given.get("ubatch_size") or 0) > 1,
        **{name: int(given.get(name) or 1) > 1 for name in _SIZES},
    }
    for name, refused in found.items():
        if refused:
            raise ConfigError(f"engine argument {name} cannot go with trait vectors: {_WHY[name]}; {_CURE}")
    overrides = given.get("hf_overrides") or {}
    if not isinstance(overrides, Mapping):
        raise ConfigError(
            f"engine argument hf_overrides takes a table, such as {{rope_theta=1e6}}, not {overrides!r}"
        )
    if overrides.get("architectures"):
        raise ConfigError(
            "engine argument hf_overrides names an architecture, and steering has to choose the model's class: "
            "leave that out, or sample the steered conditions with --backend hf"
        )


def require_supported(vllm_config: Any) -> None:
    """Raise BackendError for a running engine's setting that steering rules out, whoever chose it."""
    parallel = vllm_config.parallel_config
    passes = vllm_config.compilation_config.pass_config
    found = {
        "speculative_config": vllm_config.speculative_config is not None,
        "enable_dbo": bool(getattr(parallel, "enable_dbo", False)),
        "ubatch_size": int(getattr(parallel, "ubatch_size", 0) or 0) > 1,
        "enable_sp": bool(getattr(passes, "enable_sp", False)),
        **{name: int(getattr(parallel, name, 1) or 1) > 1 for name in _SIZES},
    }
    for name, refused in found.items():
        if refused:
            raise BackendError(f"this engine has {name}, and cannot be steered: {_WHY[name]}; {_CURE}")


def _as_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
