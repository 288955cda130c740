"""What an engine has to be started with so that it can be steered, by the model's architecture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from prefbench.backends.vllm.plugin import CLASSES
from prefbench.errors import ConfigError
from prefbench.steering.checks import strongest_block
from prefbench.steering.plan import Plan

WORKER_CLASS = "prefbench.backends.vllm.worker.SteeringWorker"


def choose_layers(plans: Iterable[Plan], blocks: int) -> list[int]:
    """Return the blocks that need tables: those that a plan steers, and for each plan the one of the wrong-layer check.

    Only these cost anything in a forward pass.
    """
    layers: set[int] = set()
    for plan in plans:
        layers |= set(plan.layers)
        if plan.layers and blocks > 1:
            layer = strongest_block(plan)
            layers.add(layer + 1 if layer + 1 < blocks else layer - 1)
    return sorted(layers)


def steering_arguments(
    architecture: str, *, layers: Sequence[int], slots: int
) -> tuple[dict[str, Any], str | None]:
    """Return the engine arguments that make these blocks steerable, and a line for the manifest, or None.

    Architectures that have no class of ours are steered by hooks, which a compiled model ignores: the engine runs
    uncompiled then, and the line says so.
    """
    arguments: dict[str, Any] = {"worker_extension_cls": WORKER_CLASS}
    if architecture not in CLASSES:
        return {**arguments, "enforce_eager": True}, (
            f"vLLM steers {architecture} by forward hooks, so the model runs uncompiled and slower; "
            f"compiled steering is there for {', '.join(sorted(CLASSES))}"
        )
    require_plugin(CLASSES[architecture])
    arguments["hf_overrides"] = {
        "architectures": [CLASSES[architecture]],
        "prefbench": {"layers": list(layers), "slots": slots},
    }
    return arguments, None


def require_plugin(name: str) -> None:
    """Raise ConfigError if vLLM does not find prefbench's entry point, and so would not know the class."""
    from vllm import ModelRegistry
    from vllm.plugins import load_general_plugins

    load_general_plugins()
    if name not in ModelRegistry.get_supported_archs():
        raise ConfigError(
            "vLLM does not find prefbench's plugin, so nothing would be steered: install prefbench into vLLM's "
            "environment (pip install prefbench), and let VLLM_PLUGINS, if it is set, contain prefbench"
        )
